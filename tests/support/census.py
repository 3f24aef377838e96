"""Inventories of a bare cloud and of a Pulumi state, as pairs of type and id that can be compared."""

import itertools
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from components.core.resource_names import (
    ATTACHMENT_TYPE,
    AWS_PREFIX,
    BUCKET_POLICY_TYPE,
    BUCKET_TYPE,
    CERTIFICATE_TYPE,
    CERTIFICATE_VALIDATION_TYPE,
    COMPONENT_PREFIX,
    EGRESS_RULE_TYPE,
    ENCRYPTION_TYPE,
    ENGINE_PREFIX,
    INGRESS_RULE_TYPE,
    KUBERNETES_PREFIX,
    LIFECYCLE_TYPE,
    LISTENER_CERTIFICATE_TYPE,
    LISTENER_TYPE,
    LOAD_BALANCER_TYPE,
    PROVIDER_PREFIX,
    PUBLIC_ACCESS_BLOCK_TYPE,
    RANDOM_ID_TYPE,
    RECORD_TYPE,
    ROLE_POLICY_TYPE,
    ROLE_TYPE,
    SECRET_TYPE,
    SECRET_VERSION_TYPE,
    SECURITY_GROUP_TYPE,
    TARGET_GROUP_TYPE,
    ZONE_TYPE,
    logical_name,
)
from components.core.tags import CONFIG_ANNOTATION
from tests.support.bare_cloud import BareCloud

Resource = dict[str, Any]
Inventory = set[tuple[str, str]]
NOT_IN_THE_CLOUD = (COMPONENT_PREFIX, ENGINE_PREFIX, RANDOM_ID_TYPE, CERTIFICATE_VALIDATION_TYPE)
# Kinds whose objects controllers create, and remove after their owners.
OF_CONTROLLERS = (
    *("Event", "Lease", "Endpoints", "EndpointSlice", "ReplicaSet", "ControllerRevision", "Pod"),
    *("PersistentVolumeClaim", "Role", "RoleBinding"),
    *("FlowSchema", "PriorityLevelConfiguration", "APIService", "IPAddress", "ServiceCIDR", "ComponentStatus"),
)
KEPT_PARTS = (BUCKET_POLICY_TYPE, PUBLIC_ACCESS_BLOCK_TYPE)  # the parts that a retained bucket keeps
PARTS_OF_A_BUCKET = (*KEPT_PARTS, LIFECYCLE_TYPE)
BUILT_IN_TTL = 172_800  # of the NS record of a new zone (Route 53 developer guide)
BUILT_IN_OBJECTS = re.compile(
    r"(default|kube-\S+)(/\S*)?|system-(cluster|node)-critical|\S+/(default|kube-root-ca\.crt)"
    r"|system:\S+|cluster-admin|admin|edit|view"  # the API server's own cluster roles
)


def of_bucket(bucket: str, parts: Iterable[str] = KEPT_PARTS) -> Inventory:
    """Return a bucket and its parts, which are resources; by default the parts that a retained bucket keeps."""
    return {(kind, bucket) for kind in (BUCKET_TYPE, *parts)}


def of_state(resources: list[Resource]) -> Inventory:
    """Return the resources in the cloud according to a state."""
    return {
        (entry["type"], entry["id"])
        for entry in resources
        if entry.get("id") and not entry["type"].startswith(NOT_IN_THE_CLOUD)
    }


def of_cloud(cloud: BareCloud) -> Inventory:
    """Return the resources that are in the cloud, without the built-in ones of an account and a cluster."""
    aws = itertools.chain(_storage(cloud), _identities(cloud), _names(cloud), _load_balancers(cloud), _network(cloud))
    return {*aws, *_objects(cloud)}


def _parts(client: Any, bucket: str) -> Iterator[str]:
    calls = (client.get_bucket_policy, client.get_public_access_block, client.get_bucket_lifecycle_configuration)
    for part, call in zip(PARTS_OF_A_BUCKET, calls, strict=True):
        try:
            call(Bucket=bucket)
            yield part
        except client.exceptions.ClientError as error:
            if not error.response["Error"]["Code"].startswith("NoSuch"):
                raise
    # S3 gives every bucket an encryption by its own keys.
    (rule,) = client.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    if "KMSMasterKeyID" in rule["ApplyServerSideEncryptionByDefault"]:
        yield ENCRYPTION_TYPE


def _storage(cloud: BareCloud) -> Iterator[tuple[str, str]]:
    s3 = cloud.aws("s3")
    for bucket in s3.list_buckets()["Buckets"]:
        yield from of_bucket(bucket["Name"], _parts(s3, bucket["Name"]))
    manager = cloud.aws("secretsmanager")
    for secret in manager.list_secrets()["SecretList"]:
        yield SECRET_TYPE, secret["ARN"]
        for version, stages in secret.get("SecretVersionsToStages", {}).items():
            if "AWSCURRENT" in stages:
                yield SECRET_VERSION_TYPE, f"{secret['ARN']}|{version}"


def _identities(cloud: BareCloud) -> Iterator[tuple[str, str]]:
    iam = cloud.aws("iam")
    for role in iam.list_roles()["Roles"]:
        yield ROLE_TYPE, role["RoleName"]
        for policy in iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]:
            yield ROLE_POLICY_TYPE, f"{role['RoleName']}:{policy}"


def _names(cloud: BareCloud) -> Iterator[tuple[str, str]]:
    for certificate in cloud.aws("acm").list_certificates()["CertificateSummaryList"]:
        yield CERTIFICATE_TYPE, certificate["CertificateArn"]
    route53 = cloud.aws("route53")
    for zone in route53.list_hosted_zones()["HostedZones"]:
        identity = zone["Id"].rsplit("/", 1)[-1]
        yield ZONE_TYPE, identity
        for page in route53.get_paginator("list_resource_record_sets").paginate(HostedZoneId=identity):
            for record in page["ResourceRecordSets"]:
                built_in = record["Type"] == "SOA" or (record["Type"], record.get("TTL")) == ("NS", BUILT_IN_TTL)
                if not built_in:
                    yield RECORD_TYPE, f"{identity}_{record['Name'].rstrip('.')}_{record['Type']}"


def _load_balancers(cloud: BareCloud) -> Iterator[tuple[str, str]]:
    elb = cloud.aws("elbv2")
    for balancer in elb.describe_load_balancers()["LoadBalancers"]:
        yield LOAD_BALANCER_TYPE, balancer["LoadBalancerArn"]
        for listener in elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]:
            yield LISTENER_TYPE, listener["ListenerArn"]
            shown = elb.describe_listener_certificates(ListenerArn=listener["ListenerArn"])["Certificates"]
            for entry in shown:
                if not entry["IsDefault"]:
                    identity = f"{listener['ListenerArn']}_{entry['CertificateArn']}"
                    yield LISTENER_CERTIFICATE_TYPE, identity
            assert len(shown) == len({entry["CertificateArn"] for entry in shown}), "a certificate is attached twice"
    for group in elb.describe_target_groups()["TargetGroups"]:
        yield TARGET_GROUP_TYPE, group["TargetGroupArn"]
    for scaling in cloud.aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]:
        attached = scaling.get("TargetGroupARNs", [])
        for target in attached:
            yield ATTACHMENT_TYPE, f"{scaling['AutoScalingGroupName']}_{target}"
        assert len(attached) == len({*attached}), "a target group is attached twice"


def _network(cloud: BareCloud) -> Iterator[tuple[str, str]]:
    ec2 = cloud.aws("ec2")
    ours = set()
    for group in ec2.describe_security_groups()["SecurityGroups"]:
        if group["GroupName"] not in ("default", "nodes"):
            ours.add(group["GroupId"])
            yield SECURITY_GROUP_TYPE, group["GroupId"]
    for rule in ec2.describe_security_group_rules()["SecurityGroupRules"]:
        # AWS creates each group with a rule that allows all egress; the program's group has none.
        built_in = rule["IsEgress"] and rule["IpProtocol"] == "-1" and rule["GroupId"] not in ours
        if not built_in:
            yield EGRESS_RULE_TYPE if rule["IsEgress"] else INGRESS_RULE_TYPE, rule["SecurityGroupRuleId"]


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
            for item in api.list(f"{root}/{kind['name']}"):
                metadata = item["metadata"]
                place = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
                if not BUILT_IN_OBJECTS.fullmatch(f"{place}{metadata['name']}"):
                    module = "core/v1" if version == "v1" else version
                    yield f"{KUBERNETES_PREFIX}{module}:{kind['kind']}", f"{place}{metadata['name']}"


def portrait(resources: list[Resource]) -> dict[str, Any]:
    """Return a state's resources by URN, with names in place of ids and other random values.

    Two runs with the same result have equal portraits. A portrait holds the inputs of each resource and the engine's
    own flags. `resources` have their secrets in plain text.
    """
    random_values = sorted(_random_values(resources).items(), key=lambda pair: -len(pair[0]))

    def plain(text: str) -> str:
        for value, name in random_values:
            text = text.replace(value, name)
        return re.sub(rf'("{CONFIG_ANNOTATION}": )"[0-9a-f]+"', r'\1"digest of a text with random names"', text)

    kept = ("type", "inputs", "parent", "protect", "retainOnDelete", "delete", "external", "pendingReplacement")
    result: dict[str, Any] = {}
    for entry in resources:
        facts = {name: entry[name] for name in kept if entry.get(name)}
        facts["dependencies"] = sorted(entry.get("dependencies", []))
        assert entry["urn"] not in result, f"{entry['urn']} is in the state twice"
        result[entry["urn"]] = json.loads(plain(json.dumps(facts, sort_keys=True)))
    return result


def _random_values(resources: list[Resource]) -> dict[str, str]:
    """Return the ids and random values in a state's outputs, each with the name of its resource and its path."""
    names: dict[str, str] = {}
    for entry in sorted(resources, key=lambda entry: entry["urn"]):
        if not entry["type"].startswith((AWS_PREFIX, RANDOM_ID_TYPE, PROVIDER_PREFIX)):
            continue
        name = logical_name(entry["urn"])
        inputs = json.dumps(entry.get("inputs", {}))
        for path, value in _leaves({"id": entry.get("id", ""), **entry.get("outputs", {})}):
            if len(value) >= 8 and value not in inputs:
                names.setdefault(value, f"<{name}:{path}>")
    return names


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, part in sorted(value.items()):
            yield from _leaves(part, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _leaves(part, f"{path}[{index}]")
    elif isinstance(value, str):
        yield path, value.rstrip(".")
