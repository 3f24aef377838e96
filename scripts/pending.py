"""What an update that was killed may have made without the engine knowing: finding it by what it was to be.

A killed create leaves a pending operation, with the inputs but mostly without the id.
Ids have the form in which the official plugins import the type.
"""

from collections.abc import Callable, Iterable
from typing import Any

from botocore.exceptions import ClientError

from scripts.aws import Clients
from scripts.cluster import Cluster

Inputs = dict[str, Any]
Find = Callable[[Clients, Inputs], str | None]


def _first(found: Iterable[Any]) -> str | None:
    return next((str(entry) for entry in found), None)


def _is_ours(tags: list[dict[str, str]], inputs: Inputs) -> bool:
    """Tell whether what has the name has the tags too: else it is somebody else's, and stays out of the state."""
    wanted: dict[str, str] = inputs.get("tags", {})
    return wanted.items() <= {tag["Key"]: tag["Value"] for tag in tags}.items()


def _role(aws: Clients, inputs: Inputs) -> str | None:
    role = aws["iam"].get_role(RoleName=inputs["name"])["Role"]
    return str(role["RoleName"]) if _is_ours(role.get("Tags", []), inputs) else None


def _secret(aws: Clients, inputs: Inputs) -> str | None:
    secret = aws["secretsmanager"].describe_secret(SecretId=inputs["name"])
    return str(secret["ARN"]) if _is_ours(secret.get("Tags", []), inputs) else None


def _balancing(aws: Clients, inputs: Inputs, what: str) -> str | None:
    """Find a load balancer or a target group by its name."""
    describe = getattr(aws["elbv2"], f"describe_{what}")
    key = {"load_balancers": "LoadBalancer", "target_groups": "TargetGroup"}[what]
    arn = str(describe(Names=[inputs["name"]])[f"{key}s"][0][f"{key}Arn"])
    tags = aws["elbv2"].describe_tags(ResourceArns=[arn])["TagDescriptions"][0]["Tags"]
    return arn if _is_ours(tags, inputs) else None


def _zone(aws: Clients, inputs: Inputs) -> str | None:
    answer = aws["route53"].list_hosted_zones_by_name(DNSName=inputs["name"])
    return _first(
        zone["Id"].rsplit("/", 1)[-1]
        for zone in answer["HostedZones"]
        # Another zone of that name may be somebody else's: the comment names the instance.
        if zone["Name"].rstrip(".") == inputs["name"] and zone["Config"].get("Comment") == inputs.get("comment")
    )


def _certificate(aws: Clients, inputs: Inputs) -> str | None:
    acm = aws["acm"]
    return _first(
        entry["CertificateArn"]
        for page in acm.get_paginator("list_certificates").paginate()
        for entry in page["CertificateSummaryList"]
        if entry["DomainName"] == inputs["domainName"]
        and _is_ours(acm.list_tags_for_certificate(CertificateArn=entry["CertificateArn"])["Tags"], inputs)
    )


def _security_group(aws: Clients, inputs: Inputs) -> str | None:
    filters = [{"Name": "group-name", "Values": [inputs["name"]]}, {"Name": "vpc-id", "Values": [inputs["vpcId"]]}]
    groups = aws["ec2"].describe_security_groups(Filters=filters)["SecurityGroups"]
    return _first(group["GroupId"] for group in groups if _is_ours(group.get("Tags", []), inputs))


def _rule(aws: Clients, inputs: Inputs, *, egress: bool) -> str | None:
    filters = [{"Name": "group-id", "Values": [inputs["securityGroupId"]]}]
    return _first(
        rule["SecurityGroupRuleId"]
        for rule in aws["ec2"].describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
        if rule["IsEgress"] == egress
        and rule.get("FromPort") == inputs.get("fromPort")
        and rule.get("CidrIpv4") == inputs.get("cidrIpv4")
        and rule.get("ReferencedGroupInfo", {}).get("GroupId") == inputs.get("referencedSecurityGroupId")
    )


def _listener(aws: Clients, inputs: Inputs) -> str | None:
    answer = aws["elbv2"].describe_listeners(LoadBalancerArn=inputs["loadBalancerArn"])
    return _first(entry["ListenerArn"] for entry in answer["Listeners"] if entry["Port"] == inputs["port"])


# A type that is not here makes nothing that a second create would make twice: the operation is dropped.
FINDERS: dict[str, Find] = {
    "aws:s3/bucket:Bucket": lambda aws, i: i["bucket"],
    "aws:s3/bucketPolicy:BucketPolicy": lambda aws, i: i["bucket"],
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": lambda aws, i: i["bucket"],
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": lambda aws, i: i["bucket"],
    "aws:iam/role:Role": _role,
    "aws:iam/rolePolicy:RolePolicy": lambda aws, i: f"{i['role']}:{i['name']}",
    "aws:secretsmanager/secret:Secret": _secret,
    "aws:route53/zone:Zone": _zone,
    "aws:route53/record:Record": lambda aws, i: f"{i['zoneId']}_{i['name']}_{i['type']}",
    "aws:acm/certificate:Certificate": _certificate,
    "aws:lb/loadBalancer:LoadBalancer": lambda aws, i: _balancing(aws, i, "load_balancers"),
    "aws:lb/targetGroup:TargetGroup": lambda aws, i: _balancing(aws, i, "target_groups"),
    "aws:lb/listener:Listener": _listener,
    "aws:lb/listenerCertificate:ListenerCertificate": lambda aws, i: f"{i['listenerArn']}_{i['certificateArn']}",
    "aws:ec2/securityGroup:SecurityGroup": _security_group,
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": lambda aws, i: _rule(aws, i, egress=False),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": lambda aws, i: _rule(aws, i, egress=True),
}
GONE = (
    "NoSuchEntity",
    "ResourceNotFoundException",
    "LoadBalancerNotFound",
    "TargetGroupNotFound",
    "InvalidGroup.NotFound",
)


def _object(cluster: Cluster, inputs: Inputs) -> str | None:
    metadata = inputs["metadata"]
    namespace = metadata.get("namespace")
    found = cluster.labels(inputs["apiVersion"], inputs["kind"], metadata["name"], namespace)
    if found is None or not metadata.get("labels", {}).items() <= found.items():
        return None
    return f"{namespace}/{metadata['name']}" if namespace else str(metadata["name"])


def find(resource: dict[str, Any], aws: Clients, cluster: Cluster) -> str | None:
    """Return the id of what the pending create of `resource` made, None where there is nothing of ours.

    The id of a part of something that is ours follows from the inputs and is returned unseen: a refresh drops
    what is not there.
    """
    inputs, kind = resource.get("inputs", {}), str(resource["type"])
    if resource.get("id"):
        return str(resource["id"])
    if kind.startswith("kubernetes:"):
        return _object(cluster, inputs)
    finder = FINDERS.get(kind)
    try:
        return finder(aws, inputs) if finder else None
    except ClientError as error:
        if error.response["Error"]["Code"] in GONE:
            return None
        raise


def settled(state: dict[str, Any], aws: Clients, cluster: Cluster) -> tuple[dict[str, Any], list[str], list[str]]:
    """Return the exported state with its pending creates settled, and the URNs taken in and those dropped.

    What was made becomes a resource of the state, without outputs: a refresh must follow, which reads them.
    """
    deployment = dict(state["deployment"])
    resources = [dict(entry) for entry in deployment.get("resources") or []]
    taken, dropped = [], []
    for operation in deployment.pop("pending_operations", []):
        resource = operation["resource"]
        identity = find(resource, aws, cluster) if operation["type"] == "creating" else None
        if identity is None:
            dropped.append(str(resource["urn"]))
            continue
        for entry in resources:
            if entry["urn"] == resource["urn"]:  # the create was the first half of a replacement
                entry["delete"] = True
        resources.append({**resource, "id": identity, "outputs": resource.get("outputs") or resource["inputs"]})
        taken.append(str(resource["urn"]))
    return {**state, "deployment": {**deployment, "resources": resources}}, taken, dropped
