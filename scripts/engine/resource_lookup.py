"""The lookup of a resource when the engine has its inputs but not its id.

Ids have the form in which the official plugins import the type.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from components.core.resource_names import (
    BUCKET_POLICY_TYPE,
    BUCKET_TYPE,
    CERTIFICATE_TYPE,
    EGRESS_RULE_TYPE,
    ENCRYPTION_TYPE,
    INGRESS_RULE_TYPE,
    KUBERNETES_PREFIX,
    LIFECYCLE_TYPE,
    LISTENER_CERTIFICATE_TYPE,
    LISTENER_TYPE,
    LOAD_BALANCER_TYPE,
    PUBLIC_ACCESS_BLOCK_TYPE,
    RECORD_TYPE,
    ROLE_POLICY_TYPE,
    ROLE_TYPE,
    SECRET_TYPE,
    SECRET_VERSION_TYPE,
    SECURITY_GROUP_TYPE,
    TARGET_GROUP_TYPE,
    ZONE_TYPE,
)
from scripts.clients.aws import Clients, is_code
from scripts.clients.kubernetes import Cluster

Inputs = dict[str, Any]
Resource = dict[str, Any]
Find = Callable[[Clients, Inputs], Iterable[str]]
ANY_ADDRESS = {"0.0.0.0/0", "::/0"}


def _is_ours(tags: list[dict[str, str]], inputs: Inputs) -> bool:
    """Tell whether a resource has the tags of `inputs`. If not, somebody else created it under the same name."""
    expected: dict[str, str] = inputs.get("tags", {})
    return expected.items() <= {tag["Key"]: tag["Value"] for tag in tags}.items()


def _bucket(aws: Clients, inputs: Inputs) -> Iterator[str]:
    aws["s3"].head_bucket(Bucket=inputs["bucket"])  # the random suffix of its name makes it ours
    yield inputs["bucket"]


def _encryption(aws: Clients, inputs: Inputs) -> Iterator[str]:
    """Find the encryption of a bucket. S3 gives every bucket one, so it is ours only by the key."""
    found = aws["s3"].get_bucket_encryption(Bucket=inputs["bucket"])["ServerSideEncryptionConfiguration"]["Rules"]
    keys = [rule["ApplyServerSideEncryptionByDefault"].get("KMSMasterKeyID") for rule in found]
    if keys == [rule["applyServerSideEncryptionByDefault"].get("kmsMasterKeyId") for rule in inputs["rules"]]:
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
    """Find the current version. A new version is current, and the refresh reads its content."""
    versions = aws["secretsmanager"].describe_secret(SecretId=inputs["secretId"]).get("VersionIdsToStages", {})
    yield from (f"{inputs['secretId']}|{version}" for version, stages in versions.items() if "AWSCURRENT" in stages)


def _load_balancing(aws: Clients, inputs: Inputs, kind: str) -> Iterator[str]:
    """Find a load balancer or a target group by its name."""
    describe = getattr(aws["elbv2"], f"describe_{kind}")
    key = {"load_balancers": "LoadBalancer", "target_groups": "TargetGroup"}[kind]
    arn = str(describe(Names=[inputs["name"]])[f"{key}s"][0][f"{key}Arn"])
    tags = aws["elbv2"].describe_tags(ResourceArns=[arn])["TagDescriptions"][0]["Tags"]
    if _is_ours(tags, inputs):
        yield arn


def _load_balancer(aws: Clients, inputs: Inputs) -> Iterator[str]:
    yield from _load_balancing(aws, inputs, "load_balancers")


def _target_group(aws: Clients, inputs: Inputs) -> Iterator[str]:
    yield from _load_balancing(aws, inputs, "target_groups")


def _zone(aws: Clients, inputs: Inputs) -> Iterator[str]:
    answer = aws["route53"].list_hosted_zones_by_name(DNSName=inputs["name"])
    for zone in answer["HostedZones"]:
        # Zones of other owners can have the same name. The comment names the instance.
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
    """Remove the rules for all outgoing traffic. AWS adds them to a new group, and a complete create removes them."""
    open_rules = [
        rule["SecurityGroupRuleId"]
        for rule in _rules_of(aws, identity)
        if rule["IsEgress"]
        and rule["IpProtocol"] == "-1"
        and ANY_ADDRESS & {rule.get("CidrIpv4"), rule.get("CidrIpv6")}
    ]
    if open_rules:
        aws["ec2"].revoke_security_group_egress(GroupId=identity, SecurityGroupRuleIds=open_rules)


def _rules(aws: Clients, inputs: Inputs, *, egress: bool) -> Iterator[str]:
    for rule in _rules_of(aws, inputs["securityGroupId"]):
        if (
            rule["IsEgress"] == egress
            and rule.get("FromPort") == inputs.get("fromPort")
            and rule.get("CidrIpv4") == inputs.get("cidrIpv4")
            and rule.get("ReferencedGroupInfo", {}).get("GroupId") == inputs.get("referencedSecurityGroupId")
        ):
            yield rule["SecurityGroupRuleId"]


def _ingress_rule(aws: Clients, inputs: Inputs) -> Iterator[str]:
    yield from _rules(aws, inputs, egress=False)


def _egress_rule(aws: Clients, inputs: Inputs) -> Iterator[str]:
    yield from _rules(aws, inputs, egress=True)


def _listener(aws: Clients, inputs: Inputs) -> Iterator[str]:
    answer = aws["elbv2"].describe_listeners(LoadBalancerArn=inputs["loadBalancerArn"])
    yield from (entry["ListenerArn"] for entry in answer["Listeners"] if entry["Port"] == inputs["port"])


def _id_from(template: str) -> Find:
    """Return a finder for an id that follows from the inputs. A refresh drops it if the resource does not exist."""

    def find_by_inputs(_: Clients, inputs: Inputs) -> Iterator[str]:
        yield template.format_map(inputs)

    return find_by_inputs


# The operation of any other type is dropped: a second create of it does no harm.
FINDERS: dict[str, Find] = {
    BUCKET_TYPE: _bucket,
    BUCKET_POLICY_TYPE: _id_from("{bucket}"),
    PUBLIC_ACCESS_BLOCK_TYPE: _id_from("{bucket}"),
    LIFECYCLE_TYPE: _id_from("{bucket}"),
    ENCRYPTION_TYPE: _encryption,
    ROLE_TYPE: _role,
    ROLE_POLICY_TYPE: _id_from("{role}:{name}"),
    SECRET_TYPE: _secret,
    SECRET_VERSION_TYPE: _secret_version,
    ZONE_TYPE: _zone,
    RECORD_TYPE: _id_from("{zoneId}_{name}_{type}"),
    CERTIFICATE_TYPE: _certificate,
    LOAD_BALANCER_TYPE: _load_balancer,
    TARGET_GROUP_TYPE: _target_group,
    LISTENER_TYPE: _listener,
    LISTENER_CERTIFICATE_TYPE: _id_from("{listenerArn}_{certificateArn}"),
    SECURITY_GROUP_TYPE: _security_group,
    INGRESS_RULE_TYPE: _ingress_rule,
    EGRESS_RULE_TYPE: _egress_rule,
}
# What a create does after it has created the resource. No later update does it.
FINISH: dict[str, Callable[[Clients, str], None]] = {SECURITY_GROUP_TYPE: _finish_security_group}
NOT_FOUND = (
    "404",
    "NoSuchBucket",
    "NoSuchEntity",
    "ResourceNotFoundException",
    "LoadBalancerNotFound",
    "TargetGroupNotFound",
    "InvalidGroup.NotFound",
)


def _kubernetes_object(cluster: Cluster, inputs: Inputs) -> Iterator[str]:
    metadata = inputs["metadata"]
    namespace = metadata.get("namespace")
    labels = cluster.labels(inputs["apiVersion"], inputs["kind"], metadata["name"], namespace)
    if labels is not None and metadata.get("labels", {}).items() <= labels.items():
        yield f"{namespace}/{metadata['name']}" if namespace else str(metadata["name"])


def find(resource: Resource, aws: Clients, cluster: Cluster, existing: Collection[str] = ()) -> str | None:
    """Return the id of the resource that the create of `resource` made, None if there is none of ours.

    `existing` are the ids that the state has for that type. This create did not make those.
    """
    inputs, kind = resource.get("inputs", {}), str(resource["type"])
    if resource.get("id"):
        return str(resource["id"])
    try:
        if kind.startswith(KUBERNETES_PREFIX):
            identities: Iterable[str] = _kubernetes_object(cluster, inputs)
        else:
            identities = FINDERS[kind](aws, inputs) if kind in FINDERS else ()
        return next((identity for identity in identities if identity not in existing), None)
    except ClientError as error:
        if is_code(error, *NOT_FOUND):
            return None
        raise
