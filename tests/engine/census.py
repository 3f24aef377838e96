"""Everything that is in a bare cloud, and everything that a state says is there, in the same terms: type and id."""

import itertools
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from tests.engine.bare import BareCloud

Resource = dict[str, Any]
Found = set[tuple[str, str]]
NOT_IN_THE_CLOUD = ("opstrace:", "pulumi:", "random:", "aws:acm/certificateValidation:")
# What nobody made by hand and what its controllers take away after it.
OF_CONTROLLERS = (
    *("Event", "Lease", "Endpoints", "EndpointSlice", "ReplicaSet", "ControllerRevision", "Pod"),
    *("PersistentVolumeClaim", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "PriorityClass"),
    *("FlowSchema", "PriorityLevelConfiguration", "APIService", "IPAddress", "ServiceCIDR", "ComponentStatus"),
)
KEPT_PARTS = ("BucketPolicy", "BucketPublicAccessBlock")  # of a bucket that is retained
PARTS_OF_A_BUCKET = (*KEPT_PARTS, "BucketLifecycleConfiguration")
GIVEN_OBJECTS = re.compile(r"(default|kube-\S+)(/\S*)?|\S+/(default|kube-root-ca\.crt)")


def of_bucket(bucket: str, parts: Iterable[str] = KEPT_PARTS) -> Found:
    """Return a bucket with its parts, each of which is a resource; those that it keeps when it is retained, unless told."""
    kinds = ("Bucket", *parts)
    return {(f"aws:s3/{kind[0].lower()}{kind[1:]}:{kind}", bucket) for kind in kinds}


def of_state(resources: list[Resource]) -> Found:
    """Return what a state says is in the cloud."""
    return {
        (entry["type"], entry["id"])
        for entry in resources
        if entry.get("id") and not entry["type"].startswith(NOT_IN_THE_CLOUD)
    }


def of_cloud(cloud: BareCloud) -> Found:
    """Return what is there, without what an account and a cluster have from the start."""
    aws = itertools.chain(_storage(cloud), _identities(cloud), _names(cloud), _entrance(cloud), _network(cloud))
    return {*aws, *_objects(cloud)}


def _parts(client: Any, bucket: str) -> Iterator[str]:
    calls = (client.get_bucket_policy, client.get_public_access_block, client.get_bucket_lifecycle_configuration)
    for part, call in zip(PARTS_OF_A_BUCKET, calls, strict=True):
        try:
            call(Bucket=bucket)
            yield part
        except client.exceptions.ClientError as error:
            assert error.response["Error"]["Code"].startswith("NoSuch"), error


def _storage(cloud: BareCloud) -> Iterator[tuple[str, str]]:
    s3 = cloud.aws("s3")
    for bucket in s3.list_buckets()["Buckets"]:
        yield from of_bucket(bucket["Name"], _parts(s3, bucket["Name"]))
    manager = cloud.aws("secretsmanager")
    for secret in manager.list_secrets()["SecretList"]:
        yield "aws:secretsmanager/secret:Secret", secret["ARN"]
        for version, stages in secret.get("SecretVersionsToStages", {}).items():
            if "AWSCURRENT" in stages:
                yield "aws:secretsmanager/secretVersion:SecretVersion", f"{secret['ARN']}|{version}"


def _identities(cloud: BareCloud) -> Iterator[tuple[str, str]]:
    iam = cloud.aws("iam")
    for role in iam.list_roles()["Roles"]:
        yield "aws:iam/role:Role", role["RoleName"]
        for policy in iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]:
            yield "aws:iam/rolePolicy:RolePolicy", f"{role['RoleName']}:{policy}"


def _names(cloud: BareCloud) -> Iterator[tuple[str, str]]:
    for certificate in cloud.aws("acm").list_certificates()["CertificateSummaryList"]:
        yield "aws:acm/certificate:Certificate", certificate["CertificateArn"]
    route53 = cloud.aws("route53")
    for zone in route53.list_hosted_zones()["HostedZones"]:
        identity = zone["Id"].rsplit("/", 1)[-1]
        yield "aws:route53/zone:Zone", identity
        for page in route53.get_paginator("list_resource_record_sets").paginate(HostedZoneId=identity):
            for record in page["ResourceRecordSets"]:
                if record["Type"] not in ("NS", "SOA"):
                    yield "aws:route53/record:Record", f"{identity}_{record['Name'].rstrip('.')}_{record['Type']}"


def _entrance(cloud: BareCloud) -> Iterator[tuple[str, str]]:
    elb = cloud.aws("elbv2")
    for balancer in elb.describe_load_balancers()["LoadBalancers"]:
        yield "aws:lb/loadBalancer:LoadBalancer", balancer["LoadBalancerArn"]
        for listener in elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]:
            yield "aws:lb/listener:Listener", listener["ListenerArn"]
            shown = elb.describe_listener_certificates(ListenerArn=listener["ListenerArn"])["Certificates"]
            for entry in shown:
                if not entry["IsDefault"]:
                    identity = f"{listener['ListenerArn']}_{entry['CertificateArn']}"
                    yield "aws:lb/listenerCertificate:ListenerCertificate", identity
            assert len(shown) == len({entry["CertificateArn"] for entry in shown}), "a certificate is there twice"
    for group in elb.describe_target_groups()["TargetGroups"]:
        yield "aws:lb/targetGroup:TargetGroup", group["TargetGroupArn"]
    for scaling in cloud.aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]:
        attached = scaling.get("TargetGroupARNs", [])
        for target in attached:
            yield "aws:autoscaling/attachment:Attachment", f"{scaling['AutoScalingGroupName']}_{target}"
        assert len(attached) == len({*attached}), "a target group is attached twice"


def _network(cloud: BareCloud) -> Iterator[tuple[str, str]]:
    ec2 = cloud.aws("ec2")
    ours = set()
    for group in ec2.describe_security_groups()["SecurityGroups"]:
        if group["GroupName"] not in ("default", "nodes"):
            ours.add(group["GroupId"])
            yield "aws:ec2/securityGroup:SecurityGroup", group["GroupId"]
    for rule in ec2.describe_security_group_rules()["SecurityGroupRules"]:
        # Each group has from the start the rule that lets everything out: the program's has none.
        given = rule["IsEgress"] and rule["IpProtocol"] == "-1" and rule["GroupId"] not in ours
        direction = "Egress" if rule["IsEgress"] else "Ingress"
        if not given:
            kind = f"aws:vpc/securityGroup{direction}Rule:SecurityGroup{direction}Rule"
            yield kind, rule["SecurityGroupRuleId"]


def _objects(cloud: BareCloud) -> Iterator[tuple[str, str]]:
    api = cloud.kubernetes
    roots = {"v1": "/api/v1"}
    for group in api.request("GET", "/apis")["groups"]:
        version = group["preferredVersion"]["groupVersion"]
        roots[version] = f"/apis/{version}"
    for version, root in roots.items():
        for kind in api.request("GET", root)["resources"]:
            if "list" not in kind["verbs"] or "/" in kind["name"] or kind["kind"] in OF_CONTROLLERS:
                continue
            for found in api.list(f"{root}/{kind['name']}"):
                metadata = found["metadata"]
                place = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
                if not GIVEN_OBJECTS.fullmatch(f"{place}{metadata['name']}"):
                    module = "core/v1" if version == "v1" else version
                    yield f"kubernetes:{module}:{kind['kind']}", f"{place}{metadata['name']}"


def portrait(resources: list[Resource]) -> dict[str, Any]:
    """Return what a state is apart from what AWS and chance drew: the same of two runs that made the same.

    For each URN what the program gave (`inputs`) and what the engine holds of it; `resources` have their secrets shown.
    """
    drawn = sorted(_drawn(resources).items(), key=lambda pair: -len(pair[0]))

    def plain(text: str) -> str:
        for value, name in drawn:
            text = text.replace(value, name)
        return re.sub(r'("opstrace/config": )"[0-9a-f]+"', r'\1"digest of a text with drawn names"', text)

    kept = ("type", "inputs", "parent", "protect", "retainOnDelete", "delete", "external", "pendingReplacement")
    result: dict[str, Any] = {}
    for entry in resources:
        facts = {name: entry[name] for name in kept if entry.get(name)}
        facts["dependencies"] = sorted(entry.get("dependencies", []))
        assert entry["urn"] not in result, f"{entry['urn']} is in the state twice"
        result[entry["urn"]] = json.loads(plain(json.dumps(facts, sort_keys=True)))
    return result


def _drawn(resources: list[Resource]) -> dict[str, str]:
    """Return what AWS and chance drew, value to the name of what it belongs to."""
    found: dict[str, str] = {}
    for entry in sorted(resources, key=lambda entry: entry["urn"]):
        if not entry["type"].startswith(("aws:", "random:", "pulumi:providers:")):
            continue
        name = entry["urn"].rsplit("::", 1)[-1]
        given = json.dumps(entry.get("inputs", {}))
        for path, value in _leaves({"id": entry.get("id", ""), **entry.get("outputs", {})}):
            if len(value) >= 8 and value not in given:
                found.setdefault(value, f"<{name}:{path}>")
    return found


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, part in sorted(value.items()):
            yield from _leaves(part, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _leaves(part, f"{path}[{index}]")
    elif isinstance(value, str):
        yield path, value.rstrip(".")
