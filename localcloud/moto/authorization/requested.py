"""What a request of an IAM user asks for: actions, each on a resource, with the values of condition keys.

An operation that this module does not know is an action on `*`: only a statement on all resources permits it.
Source: 'Actions, resources, and condition keys for AWS services' (Service Authorization Reference).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.acm.models import acm_backends
from moto.autoscaling.models import autoscaling_backends
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import determine_request_protocol
from moto.core.utils import get_service_model
from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends
from moto.secretsmanager.models import secretsmanager_backends

from localcloud.moto.authorization.keys.secrets import context_of, uses
from localcloud.moto.authorization.policies import Values
from localcloud.moto.authorization.web_identity import PARTITION

# An AWS policy names a resource that is being created by its name and `*`; its id is unknown.
NEW = "new"
EVERYTHING = "*"


@dataclass(frozen=True)
class Requested:
    """An action, such as `ec2:CreateTags`, on the resource with an ARN."""

    action: str
    resource: str = EVERYTHING
    values: Values = field(default_factory=dict)


@dataclass(frozen=True)
class _Call:
    """An operation with its parameters, under the names of botocore's model."""

    prefix: str
    operation: str
    parameters: Mapping[str, Any]
    account: str
    region: str

    def __getitem__(self, name: str) -> Any:
        return self.parameters.get(name)

    def on(self, resource: str = EVERYTHING, values: Values | None = None, operation: str = "") -> Requested:
        """Return the operation, or another one, as an action on a resource."""
        return Requested(f"{self.prefix}:{operation or self.operation}", resource, values or {})

    def arn(self, resource: str) -> str:
        """Return the ARN of a resource of the service in the account and region."""
        return f"arn:aws:{self.prefix}:{self.region}:{self.account}:{resource}"

    def request_tags(self, tags: list[Mapping[str, str]] | None = None) -> dict[str, str]:
        """Return the condition keys of the tags in the request."""
        named = tags if tags is not None else self["Tags"] or []
        return {f"aws:RequestTag/{tag.get('Key', '')}": tag.get("Value", "") for tag in named}


def requested(response: Any) -> list[Requested]:
    """Return what a request asks for. `response` is moto's object for the request, for any service but S3."""
    model = get_service_model(response.boto3_service_name)
    operation = model.operation_model(response._get_action())
    request = response.normalized_request
    parser = PROTOCOL_PARSERS[determine_request_protocol(model, request.content_type)](operation, map_type=dict)
    parameters = parser.parse(
        {
            "method": request.method,
            "values": request.values,
            "headers": request.headers,
            "body": request.data,
            "url_path": request.path,
            "url_params": response.uri_match,
        }
    )
    call = _Call(model.signing_name, operation.name, parameters or {}, response.current_account, response.region)
    return [*SERVICES.get(call.prefix, _any)(call)]


def _any(call: _Call) -> Iterator[Requested]:
    yield call.on()


def _resource_tags(tags: Mapping[str, str | None]) -> dict[str, str]:
    return {f"aws:ResourceTag/{key}": value or "" for key, value in tags.items()}


def _acm(call: _Call) -> Iterator[Requested]:
    if call.operation == "RequestCertificate":
        names = [call["DomainName"], *(call["SubjectAlternativeNames"] or [])]
        asked = {"acm:DomainNames": names, "acm:ValidationMethod": call["ValidationMethod"] or "EMAIL"}
        yield call.on(EVERYTHING, call.request_tags() | asked)
        if call["Tags"]:
            yield call.on(call.arn(f"certificate/{NEW}"), call.request_tags(), "AddTagsToCertificate")
    elif call["CertificateArn"]:
        kept = acm_backends[call.account][call.region].iter_tagged_resources()
        tags = next((entry.tags for entry in kept if entry.arn == call["CertificateArn"]), {})
        yield call.on(call["CertificateArn"], _resource_tags(tags) | call.request_tags())
    else:
        yield call.on()


def _autoscaling(call: _Call) -> Iterator[Requested]:
    groups = autoscaling_backends[call.account][call.region].autoscaling_groups
    name = call["AutoScalingGroupName"]
    values = {"autoscaling:TargetGroupARNs": call["TargetGroupARNs"]} if call["TargetGroupARNs"] else {}
    missing = call.arn(f"autoScalingGroup:{NEW}:autoScalingGroupName/{name}")
    yield call.on((groups[name].arn if name in groups else missing) if name else EVERYTHING, values)


EC2_KINDS = {"sg": "security-group", "sgr": "security-group-rule", "vpc": "vpc"}  # prefix of ids: kind in ARNs


def _ec2_resource(call: _Call, identity: str) -> tuple[str, Values]:
    """Return the ARN of a resource with this id, and its tags."""
    kind = EC2_KINDS.get(identity.partition("-")[0])
    tags = ec2_backends[call.account][call.region].tags.get(identity, {})
    return call.arn(f"{kind}/{identity}") if kind else EVERYTHING, _resource_tags(tags)


def _ec2(call: _Call) -> Iterator[Requested]:
    # The parameters are as they were sent: any may be missing.
    specifications = call["TagSpecifications"] or []
    made = {spec.get("ResourceType", ""): call.request_tags(spec.get("Tags", [])) for spec in specifications}
    if call.operation == "CreateSecurityGroup":
        yield call.on(call.arn(f"security-group/{NEW}"), made.get("security-group", {}))
        yield call.on(*_ec2_resource(call, call["VpcId"] or ""))
    elif call.operation in ("CreateTags", "DeleteTags"):
        for identity in call["Resources"] or [""]:
            arn, tags = _ec2_resource(call, identity)
            yield call.on(arn, {**tags, **call.request_tags()})
    elif call["GroupId"]:
        yield call.on(*_ec2_resource(call, call["GroupId"]))
        if call.operation.startswith(("Authorize", "Modify")):
            yield call.on(call.arn(f"security-group-rule/{NEW}"), made.get("security-group-rule", {}))
    else:
        yield call.on()
    for kind, tags in made.items():
        yield call.on(call.arn(f"{kind}/{NEW}"), tags | {"ec2:CreateAction": call.operation}, "CreateTags")


def _eks(call: _Call) -> Iterator[Requested]:
    cluster = call["clusterName"] or call["name"]
    parts = {"fargateProfileName": "fargateprofile", "nodegroupName": "nodegroup"}
    part = next((f"{kind}/{cluster}/{call[name]}/{NEW}" for name, kind in parts.items() if call[name]), None)
    yield call.on(call.arn(part or f"cluster/{cluster}") if cluster else EVERYTHING)


def _elasticloadbalancing(call: _Call) -> Iterator[Requested]:
    if call.operation.startswith("Describe"):  # limited to no resource
        yield call.on()
        return
    kinds = {"network": "net", "gateway": "gwy"}
    created = {
        "CreateLoadBalancer": f"loadbalancer/{kinds.get(call['Type'], 'app')}/{call['Name']}/{NEW}",
        "CreateTargetGroup": f"targetgroup/{call['Name']}/{NEW}",
    }
    names = ("ListenerArn", "LoadBalancerArn", "TargetGroupArn")
    arns = call["ResourceArns"] or [call[name] for name in names if call[name]] or [EVERYTHING]
    if call.operation in created:
        arns = [call.arn(created[call.operation])]
    for arn in arns:
        yield call.on(arn, call.request_tags())
    if call.operation.startswith("Create") and call["Tags"]:
        kind = call.operation.removeprefix("Create")
        made = arns[0].replace(":loadbalancer/", ":listener/") + f"/{NEW}" if kind == "Listener" else arns[0]
        yield call.on(made, call.request_tags() | {"elasticloadbalancing:CreateAction": call.operation}, "AddTags")


def _iam(call: _Call) -> Iterator[Requested]:
    if call["OpenIDConnectProviderArn"]:
        yield call.on(call["OpenIDConnectProviderArn"])
        return
    if not call["RoleName"]:
        name = {"iam:AWSServiceName": call["AWSServiceName"]} if call["AWSServiceName"] else {}
        yield call.on(EVERYTHING, name)
        return
    roles = [*iam_backends[call.account][PARTITION].roles.values()]
    role = next((entry for entry in roles if entry.name == call["RoleName"]), None)
    arn = role.arn if role else f"arn:aws:iam::{call.account}:role{call['Path'] or '/'}{call['RoleName']}"
    boundary = call["PermissionsBoundary"] or (role.permissions_boundary_arn if role else None)
    values = call.request_tags() | ({"iam:PermissionsBoundary": boundary} if boundary else {})
    yield call.on(arn, values)
    if call.operation == "CreateRole" and call["Tags"]:
        yield call.on(arn, call.request_tags(), "TagRole")


def _kms(call: _Call) -> Iterator[Requested]:
    key = call["KeyId"]
    yield call.on(EVERYTHING if not key else key if key.startswith("arn:") else call.arn(f"key/{key}"))


def _route53(call: _Call) -> Iterator[Requested]:
    if call.operation == "ChangeResourceRecordSets":
        changes = (call["ChangeBatch"] or {}).get("Changes", [])
        records = [change.get("ResourceRecordSet", {}) for change in changes]
        key = "route53:ChangeResourceRecordSets"
        values: Values = {
            f"{key}NormalizedRecordNames": [_normalized(record.get("Name", "")) for record in records],
            f"{key}RecordTypes": [record.get("Type", "") for record in records],
            f"{key}Actions": [change.get("Action", "") for change in changes],
        }
        yield call.on(_route53_arn("hostedzone", call["HostedZoneId"]), values)
        return
    identity = call["HostedZoneId"] or call["Id"] or call["ResourceId"]
    kind = "change" if call.operation == "GetChange" else call["ResourceType"] or "hostedzone"
    yield call.on(_route53_arn(kind, identity) if identity else EVERYTHING)


def _route53_arn(kind: str, identity: str) -> str:
    return f"arn:aws:route53:::{kind}/{identity.rsplit('/', 1)[-1]}"


def _normalized(name: str) -> str:
    """Return a name as conditions have it (Route 53 developer guide, 'Normalizing the condition key values')."""
    text = name.replace("\\052", "*").rstrip(".").lower()
    return "".join(part if part.isalnum() or part in "-_." else f"\\{ord(part):03o}" for part in text)


def _secretsmanager(call: _Call) -> Iterator[Requested]:
    name = call["Name"] if call.operation == "CreateSecret" else call["SecretId"]
    if not name:
        yield call.on()
        return
    secret = secretsmanager_backends[call.account][call.region].secrets.get(name)
    new = name if name.startswith("arn:") else call.arn(f"secret:{name}-{NEW}")
    arn = str(secret.arn) if secret and call.operation != "CreateSecret" else new
    yield call.on(arn, call.request_tags())
    if call.operation == "CreateSecret" and call["Tags"]:
        yield call.on(arn, call.request_tags(), "TagResource")
    for action, key in uses(call.operation, call, secret, call.region):  # as the caller
        yield Requested(action, key, context_of(call.region, arn))


SERVICES: Mapping[str, Callable[[_Call], Iterator[Requested]]] = {
    "acm": _acm,
    "autoscaling": _autoscaling,
    "ec2": _ec2,
    "eks": _eks,
    "elasticloadbalancing": _elasticloadbalancing,
    "iam": _iam,
    "kms": _kms,
    "route53": _route53,
    "secretsmanager": _secretsmanager,
    "servicequotas": _any,
    "sts": _any,
}
"""The services that users reach, beside S3, by the prefix of their actions."""
