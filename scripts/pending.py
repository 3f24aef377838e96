"""What an update that was killed may have made without the engine knowing: finding it by what it was to be.

A killed engine leaves pending operations, with the inputs of a create but mostly without the id. A killed plugin
leaves nothing: to the engine, its creates failed. What they were to make is what a preview would still create.
Ids have the form in which the official plugins import the type.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from scripts.aws import Clients, is_code
from scripts.cluster import Cluster

Inputs = dict[str, Any]
Resource = dict[str, Any]
Find = Callable[[Clients, Inputs], Iterable[str]]
EVERYWHERE = {"0.0.0.0/0", "::/0"}
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # the engine's, for what only an update will tell


def _is_ours(tags: list[dict[str, str]], inputs: Inputs) -> bool:
    """Tell whether what has the name has the tags too: else it is somebody else's, and stays out of the state."""
    wanted: dict[str, str] = inputs.get("tags", {})
    return wanted.items() <= {tag["Key"]: tag["Value"] for tag in tags}.items()


def _bucket(aws: Clients, inputs: Inputs) -> Iterator[str]:
    aws["s3"].head_bucket(Bucket=inputs["bucket"])  # its name has a random end: nobody else's has
    yield inputs["bucket"]


def _role(aws: Clients, inputs: Inputs) -> Iterator[str]:
    role = aws["iam"].get_role(RoleName=inputs["name"])["Role"]
    if _is_ours(role.get("Tags", []), inputs):
        yield role["RoleName"]


def _secret(aws: Clients, inputs: Inputs) -> Iterator[str]:
    secret = aws["secretsmanager"].describe_secret(SecretId=inputs["name"])
    if _is_ours(secret.get("Tags", []), inputs):
        yield secret["ARN"]


def _secret_version(aws: Clients, inputs: Inputs) -> Iterator[str]:
    """Find the version that is current: a new one is, and the refresh reads what is in it."""
    versions = aws["secretsmanager"].describe_secret(SecretId=inputs["secretId"]).get("VersionIdsToStages", {})
    yield from (f"{inputs['secretId']}|{version}" for version, stages in versions.items() if "AWSCURRENT" in stages)


def _balancing(aws: Clients, inputs: Inputs, what: str) -> Iterator[str]:
    """Find a load balancer or a target group by its name."""
    describe = getattr(aws["elbv2"], f"describe_{what}")
    key = {"load_balancers": "LoadBalancer", "target_groups": "TargetGroup"}[what]
    arn = str(describe(Names=[inputs["name"]])[f"{key}s"][0][f"{key}Arn"])
    tags = aws["elbv2"].describe_tags(ResourceArns=[arn])["TagDescriptions"][0]["Tags"]
    if _is_ours(tags, inputs):
        yield arn


def _zone(aws: Clients, inputs: Inputs) -> Iterator[str]:
    answer = aws["route53"].list_hosted_zones_by_name(DNSName=inputs["name"])
    for zone in answer["HostedZones"]:
        # Another zone of that name may be somebody else's: the comment names the instance.
        if zone["Name"].rstrip(".") == inputs["name"] and zone["Config"].get("Comment") == inputs.get("comment"):
            yield zone["Id"].rsplit("/", 1)[-1]


def _certificate(aws: Clients, inputs: Inputs) -> Iterator[str]:
    acm = aws["acm"]
    for page in acm.get_paginator("list_certificates").paginate():
        for entry in page["CertificateSummaryList"]:
            arn = entry["CertificateArn"]
            if entry["DomainName"] == inputs["domainName"] and _is_ours(
                acm.list_tags_for_certificate(CertificateArn=arn)["Tags"], inputs
            ):
                yield arn


def _security_group(aws: Clients, inputs: Inputs) -> Iterator[str]:
    filters = [{"Name": "group-name", "Values": [inputs["name"]]}, {"Name": "vpc-id", "Values": [inputs["vpcId"]]}]
    groups = aws["ec2"].describe_security_groups(Filters=filters)["SecurityGroups"]
    yield from (group["GroupId"] for group in groups if _is_ours(group.get("Tags", []), inputs))


def _rules_of(aws: Clients, group: str) -> list[dict[str, Any]]:
    filters = [{"Name": "group-id", "Values": [group]}]
    return list(aws["ec2"].describe_security_group_rules(Filters=filters)["SecurityGroupRules"])


def _finish_security_group(aws: Clients, identity: str) -> None:
    """Take away the rules that let everything out: AWS makes them with a group, and the create takes them away at its end."""
    to_all = [
        rule["SecurityGroupRuleId"]
        for rule in _rules_of(aws, identity)
        if rule["IsEgress"] and rule["IpProtocol"] == "-1" and EVERYWHERE & {rule.get("CidrIpv4"), rule.get("CidrIpv6")}
    ]
    if to_all:
        aws["ec2"].revoke_security_group_egress(GroupId=identity, SecurityGroupRuleIds=to_all)


def _rule(aws: Clients, inputs: Inputs, *, egress: bool) -> Iterator[str]:
    for rule in _rules_of(aws, inputs["securityGroupId"]):
        if (
            rule["IsEgress"] == egress
            and rule.get("FromPort") == inputs.get("fromPort")
            and rule.get("CidrIpv4") == inputs.get("cidrIpv4")
            and rule.get("ReferencedGroupInfo", {}).get("GroupId") == inputs.get("referencedSecurityGroupId")
        ):
            yield rule["SecurityGroupRuleId"]


def _listener(aws: Clients, inputs: Inputs) -> Iterator[str]:
    answer = aws["elbv2"].describe_listeners(LoadBalancerArn=inputs["loadBalancerArn"])
    yield from (entry["ListenerArn"] for entry in answer["Listeners"] if entry["Port"] == inputs["port"])


# A type that is not here makes nothing that a second create would make twice: the operation is dropped.
FINDERS: dict[str, Find] = {
    "aws:s3/bucket:Bucket": _bucket,
    "aws:s3/bucketPolicy:BucketPolicy": lambda aws, i: [i["bucket"]],
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": lambda aws, i: [i["bucket"]],
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": lambda aws, i: [i["bucket"]],
    "aws:iam/role:Role": _role,
    "aws:iam/rolePolicy:RolePolicy": lambda aws, i: [f"{i['role']}:{i['name']}"],
    "aws:secretsmanager/secret:Secret": _secret,
    "aws:secretsmanager/secretVersion:SecretVersion": _secret_version,
    "aws:route53/zone:Zone": _zone,
    "aws:route53/record:Record": lambda aws, i: [f"{i['zoneId']}_{i['name']}_{i['type']}"],
    "aws:acm/certificate:Certificate": _certificate,
    "aws:lb/loadBalancer:LoadBalancer": lambda aws, i: _balancing(aws, i, "load_balancers"),
    "aws:lb/targetGroup:TargetGroup": lambda aws, i: _balancing(aws, i, "target_groups"),
    "aws:lb/listener:Listener": _listener,
    "aws:lb/listenerCertificate:ListenerCertificate": lambda aws, i: [f"{i['listenerArn']}_{i['certificateArn']}"],
    "aws:ec2/securityGroup:SecurityGroup": _security_group,
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": lambda aws, i: _rule(aws, i, egress=False),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": lambda aws, i: _rule(aws, i, egress=True),
}
# What a create does after it has made the thing, and no later update would do.
FINISH: dict[str, Callable[[Clients, str], None]] = {"aws:ec2/securityGroup:SecurityGroup": _finish_security_group}
GONE = (
    "404",
    "NoSuchBucket",
    "NoSuchEntity",
    "ResourceNotFoundException",
    "LoadBalancerNotFound",
    "TargetGroupNotFound",
    "InvalidGroup.NotFound",
)


def _object(cluster: Cluster, inputs: Inputs) -> Iterator[str]:
    metadata = inputs["metadata"]
    namespace = metadata.get("namespace")
    found = cluster.labels(inputs["apiVersion"], inputs["kind"], metadata["name"], namespace)
    if found is not None and metadata.get("labels", {}).items() <= found.items():
        yield f"{namespace}/{metadata['name']}" if namespace else str(metadata["name"])


def find(resource: Resource, aws: Clients, cluster: Cluster, known: Collection[str] = ()) -> str | None:
    """Return the id of what the create of `resource` made, None where there is nothing of ours.

    `known` are the ids that the state has for resources of that type: those were not made by this create.
    The id of a part of something that is ours follows from the inputs and is returned unseen: a refresh drops
    what is not there.
    """
    inputs, kind = resource.get("inputs", {}), str(resource["type"])
    if resource.get("id"):
        return str(resource["id"])
    try:
        if kind.startswith("kubernetes:"):
            found: Iterable[str] = _object(cluster, inputs)
        else:
            found = FINDERS[kind](aws, inputs) if kind in FINDERS else ()
        return next((identity for identity in found if identity not in known), None)
    except ClientError as error:
        if is_code(error, *GONE):
            return None
        raise


class Settled(NamedTuple):
    """An exported state without pending creates, and what became of these.

    `taken` and `dropped` are URNs; `beyond` has the ids of what the state has no place for any more, by URN.
    """

    state: dict[str, Any]
    taken: list[str]
    dropped: list[str]
    beyond: dict[str, str]


def settled(state: dict[str, Any], aws: Clients, cluster: Cluster) -> Settled:
    """Settle the pending creates of an exported state.

    What was made becomes a resource of the state, without outputs: a refresh must follow, which reads them.
    """
    deployment = dict(state["deployment"])
    operations = deployment.pop("pending_operations", [])
    creates = [entry["resource"] for entry in operations if entry["type"] == "creating"]
    resources = deployment.get("resources") or []
    # Not all have their place: a plain `pulumi destroy` leaves the operations, and takes away what they lean on.
    known = _known(resources)
    placeable = [one for one in creates if _needed(one) <= known]
    mended, taken = _with({**state, "deployment": deployment}, placeable, aws, cluster)
    beyond = {
        one["urn"]: there
        for one in creates
        # What is to be retained would have been left alone anyway, and is found by its tags.
        if one not in placeable and not one.get("retainOnDelete")
        if (there := find(one, aws, cluster, _ids(resources, one["type"])))
    }
    named = {*taken, *beyond}
    dropped = [str(entry["resource"]["urn"]) for entry in operations if entry["resource"]["urn"] not in named]
    return Settled(mended, taken, dropped, beyond)


def _needed(resource: Resource) -> set[str]:
    """Return what must be in a state for `resource` to be: URNs, and the provider's with its id."""
    needed = {resource.get("parent"), resource.get("provider"), *resource.get("dependencies", [])}
    return {one for one in needed if one}


def _ids(resources: Iterable[Resource], kind: str) -> set[str]:
    return {str(entry.get("id")) for entry in resources if entry["type"] == kind}


def _known(resources: Iterable[Resource]) -> set[str]:
    """Return what is in a state of that which `_needed` names."""
    return {name for entry in resources for name in (entry["urn"], f"{entry['urn']}::{entry.get('id')}")}


def found_again(
    state: dict[str, Any], planned: Iterable[Resource], aws: Clients, cluster: Cluster
) -> tuple[dict[str, Any], list[str]]:
    """Return the exported state with what of `planned` is there already and ours, and the URNs of that.

    `planned` is what a preview would create. What it would make of something that is not there yet cannot be there.
    """
    known = _known(state["deployment"].get("resources") or [])

    def could_be_there(resource: Resource) -> bool:
        return _needed(resource) <= known and UNKNOWN not in str(resource.get("inputs"))

    return _with(state, filter(could_be_there, planned), aws, cluster)


def _with(
    state: dict[str, Any], creates: Iterable[Resource], aws: Clients, cluster: Cluster
) -> tuple[dict[str, Any], list[str]]:
    """Return the state with what the creates made in it, and the URNs of that."""
    resources = [dict(entry) for entry in state["deployment"].get("resources") or []]
    taken = []
    for resource in creates:
        known = _ids(resources, resource["type"])
        identity = find(resource, aws, cluster, known)
        if identity is None or identity in known:
            continue
        if finish := FINISH.get(str(resource["type"])):
            finish(aws, identity)
        for entry in resources:
            if entry["urn"] == resource["urn"]:  # the create was the first half of a replacement
                entry["delete"] = True
        resources.append({**resource, "id": identity, "outputs": resource.get("outputs") or resource["inputs"]})
        taken.append(str(resource["urn"]))
    return {**state, "deployment": {**state["deployment"], "resources": resources}}, taken
