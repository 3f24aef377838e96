"""Drift for each resource type: how to change a resource by hand, and the part to compare before and after."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from components.core.resource_names import (
    ADMISSION_BINDING_TYPE,
    ADMISSION_POLICY_TYPE,
    ATTACHMENT_TYPE,
    BUCKET_POLICY_TYPE,
    BUCKET_TYPE,
    CERTIFICATE_TYPE,
    CERTIFICATE_VALIDATION_TYPE,
    CLUSTER_ROLE_BINDING_TYPE,
    CLUSTER_ROLE_TYPE,
    CONFIG_MAP_TYPE,
    DAEMON_SET_TYPE,
    DEPLOYMENT_TYPE,
    DISRUPTION_BUDGET_TYPE,
    EGRESS_RULE_TYPE,
    ENCRYPTION_TYPE,
    INGRESS_RULE_TYPE,
    LIFECYCLE_TYPE,
    LISTENER_CERTIFICATE_TYPE,
    LISTENER_TYPE,
    LOAD_BALANCER_TYPE,
    NAMESPACE_TYPE,
    NETWORK_POLICY_TYPE,
    PRIORITY_CLASS_TYPE,
    PUBLIC_ACCESS_BLOCK_TYPE,
    RANDOM_ID_TYPE,
    RECORD_TYPE,
    ROLE_POLICY_TYPE,
    ROLE_TYPE,
    SECRET_TYPE,
    SECRET_VERSION_TYPE,
    SECURITY_GROUP_TYPE,
    SERVICE_ACCOUNT_TYPE,
    SERVICE_TYPE,
    STACK_TYPE,
    STATEFUL_SET_TYPE,
    TARGET_GROUP_TYPE,
    ZONE_TYPE,
    provider_type,
)
from components.core.tags import INSTANCE_TAG, NAME_LABEL
from tests.support.user_session import UserSession

Resource = dict[str, Any]
TENANT = "default"
OTHER_NAMESPACE = {"kubernetes.io/metadata.name": "other"}
ANYBODY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
}

NOTHING_TO_CHANGE = {
    STACK_TYPE: "the stack itself, in the state alone",
    provider_type("aws"): "the engine's way to AWS, in the state alone",
    provider_type("kubernetes"): "the engine's way to the cluster, in the state alone",
    provider_type("random"): "in the state alone",
    provider_type("pulumi"): "the engine's own functions, in the state alone",
    RANDOM_ID_TYPE: "the random bytes are in the state alone",
    CERTIFICATE_VALIDATION_TYPE: "the wait for a certificate, which is another resource",
}

# Types that an instance of the end-to-end tests does not have, and where their drift is tried.
ELSEWHERE = {ENCRYPTION_TYPE: "tests/integration/test_kms_keys.py, because it needs a key"}


@dataclass(frozen=True)
class Kind:
    """How to change a resource of one type by hand (`change`), and the part of it that must be as before (`look`)."""

    change: Callable[[UserSession, Resource], Any]
    look: Callable[[UserSession, Resource], Any]


def _tags(tags: list[dict[str, str]]) -> dict[str, str]:
    return {entry["Key"]: entry["Value"] for entry in tags}


def _aws(service: str, change: str, look: str, arguments: Callable[[Resource], Any], **values: Any) -> Kind:
    """Return a kind that one call changes, with `values`, and one call reads: the complete answer is compared."""

    def changed(walk: UserSession, resource: Resource) -> None:
        getattr(walk.aws(service), change)(**arguments(resource), **values)

    def looked(walk: UserSession, resource: Resource) -> Any:
        try:
            answer = getattr(walk.aws(service), look)(**arguments(resource))
        except walk.aws(service).exceptions.ClientError as error:
            return error.response["Error"]["Code"]
        return {key: value for key, value in answer.items() if key != "ResponseMetadata"}

    return Kind(changed, looked)


def _bucket(change: str, look: str, **values: Any) -> Kind:
    return _aws("s3", change, look, lambda resource: {"Bucket": resource["id"]}, **values)


def _object(patch: Mapping[str, Any] | None) -> Kind:
    """Return a kind of Kubernetes object that is patched, or deleted if `patch` is None."""

    def of(resource: Resource) -> list[str]:
        namespace, _, name = str(resource["id"]).rpartition("/")
        kind = resource["type"].split(":")[-1].lower()
        return [kind, name, *(["-n", namespace] if namespace else [])]

    def changed(walk: UserSession, resource: Resource) -> None:
        if patch is None:
            walk.kubectl("delete", *of(resource))
        else:
            # Like an editor of a person: another field manager owns the patched field from now on.
            walk.kubectl("patch", *of(resource), "--type=merge", "-p", json.dumps(patch))

    def looked(walk: UserSession, resource: Resource) -> Any:
        manifest_json = walk.kubectl("get", *of(resource), "-o", "json", "--ignore-not-found")
        if not manifest_json:
            return None
        manifest = json.loads(manifest_json)
        metadata = {name: manifest["metadata"].get(name) for name in ("labels", "annotations")}
        shown = {name: part for name, part in manifest.items() if name not in ("status", "metadata")}
        # A controller counts the revisions of a Deployment: the number differs after each heal.
        (metadata["annotations"] or {}).pop("deployment.kubernetes.io/revision", None)
        return {**shown, "metadata": metadata}

    return Kind(changed, looked)


def _certificate_of(resource: Resource) -> dict[str, Any]:
    return {"CertificateArn": resource["id"]}


def _listener(resource: Resource) -> dict[str, Any]:
    return {"ListenerArn": resource["inputs"]["listenerArn"]}


def _listener_seen(walk: UserSession, resource: Resource) -> tuple[str, str]:
    listener = walk.aws("elbv2").describe_listeners(ListenerArns=[resource["id"]])["Listeners"][0]
    return listener["SslPolicy"], listener["Certificates"][0]["CertificateArn"]


def _unlisted(walk: UserSession, resource: Resource) -> None:
    certificates = [{"CertificateArn": resource["inputs"]["certificateArn"]}]
    walk.aws("elbv2").remove_listener_certificates(**_listener(resource), Certificates=certificates)


def _listed(walk: UserSession, resource: Resource) -> bool:
    certificates = walk.aws("elbv2").describe_listener_certificates(**_listener(resource))["Certificates"]
    return resource["inputs"]["certificateArn"] in [entry["CertificateArn"] for entry in certificates]


def _group_and_target(resource: Resource) -> tuple[str, str]:
    return resource["inputs"]["autoscalingGroupName"], resource["inputs"]["lbTargetGroupArn"]


def _detached(walk: UserSession, resource: Resource) -> None:
    group, target = _group_and_target(resource)
    walk.aws("autoscaling").detach_load_balancer_target_groups(AutoScalingGroupName=group, TargetGroupARNs=[target])


def _attached(walk: UserSession, resource: Resource) -> bool:
    group, target = _group_and_target(resource)
    groups = walk.aws("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"]
    return target in groups[0].get("TargetGroupARNs", [])


def _rule(direction: str) -> Kind:
    """Return a kind of security group rule. A rule is immutable: it is revoked, and comes back with another id."""

    def revoked(walk: UserSession, resource: Resource) -> None:
        revoke = getattr(walk.aws("ec2"), f"revoke_security_group_{direction}")
        revoke(GroupId=resource["inputs"]["securityGroupId"], SecurityGroupRuleIds=[resource["id"]])

    def allowed(walk: UserSession, resource: Resource) -> list[str]:
        filters = [{"Name": "group-id", "Values": [resource["inputs"]["securityGroupId"]]}]
        rules = walk.aws("ec2").describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
        for rule in rules:
            del rule["SecurityGroupRuleId"]
        return sorted(json.dumps(rule, sort_keys=True) for rule in rules)

    return Kind(revoked, allowed)


def _record(walk: UserSession, resource: Resource) -> dict[str, Any] | None:
    inputs = resource["inputs"]
    pages = walk.aws("route53").get_paginator("list_resource_record_sets").paginate(HostedZoneId=inputs["zoneId"])
    records = [entry for page in pages for entry in page["ResourceRecordSets"]]
    return next((r for r in records if r["Name"].rstrip(".") == inputs["name"] and r["Type"] == inputs["type"]), None)


def _record_deleted(walk: UserSession, resource: Resource) -> None:
    change = {"Action": "DELETE", "ResourceRecordSet": _record(walk, resource)}
    walk.aws("route53").change_resource_record_sets(
        HostedZoneId=resource["inputs"]["zoneId"], ChangeBatch={"Changes": [change]}
    )


def _zone_comment(walk: UserSession, resource: Resource) -> str:
    return str(walk.aws("route53").get_hosted_zone(Id=resource["id"])["HostedZone"]["Config"]["Comment"])


def _current_secret(walk: UserSession, resource: Resource) -> str:
    """Return the value that readers of the secret get."""
    answer = walk.aws("secretsmanager").get_secret_value(SecretId=resource["inputs"]["secretId"])
    return str(answer["SecretString"])


def _secret_edited(walk: UserSession, resource: Resource) -> None:
    edited = json.dumps({"edited": "by hand"})  # differs from both secrets
    walk.aws("secretsmanager").put_secret_value(SecretId=resource["inputs"]["secretId"], SecretString=edited)


def _attributes(what: str, argument: str, key: str, value: str) -> Kind:
    attribute = {"Key": key, "Value": value}
    return _aws(
        "elbv2",
        f"modify_{what}_attributes",
        f"describe_{what}_attributes",
        lambda resource: {argument: resource["id"]},
        Attributes=[attribute],
    )


def _role_trust(walk: UserSession, resource: Resource) -> Any:
    return walk.aws("iam").get_role(RoleName=resource["id"])["Role"]["AssumeRolePolicyDocument"]


def _bucket_policy(walk: UserSession, resource: Resource) -> Any:
    return json.loads(walk.aws("s3").get_bucket_policy(Bucket=resource["id"])["Policy"])


def _policy_opened(walk: UserSession, resource: Resource) -> None:
    policy = _bucket_policy(walk, resource)
    policy["Statement"][0]["Effect"] = "Allow"
    walk.aws("s3").put_bucket_policy(Bucket=resource["id"], Policy=json.dumps(policy))


def _image_edited(walk: UserSession, resource: Resource) -> None:
    namespace, name = str(resource["id"]).split("/")
    walk.kubectl("-n", namespace, "set", "image", f"deployment/{name}", "envoy=registry.invalid/envoy:none")


KINDS: dict[str, Kind] = {
    BUCKET_TYPE: _bucket("delete_bucket_tagging", "get_bucket_tagging"),
    BUCKET_POLICY_TYPE: Kind(_policy_opened, _bucket_policy),
    PUBLIC_ACCESS_BLOCK_TYPE: _bucket(
        "put_public_access_block",
        "get_public_access_block",
        PublicAccessBlockConfiguration={"BlockPublicAcls": True, "BlockPublicPolicy": False},
    ),
    LIFECYCLE_TYPE: _bucket("delete_bucket_lifecycle", "get_bucket_lifecycle_configuration"),
    ROLE_TYPE: Kind(
        lambda walk, role: walk.aws("iam").update_assume_role_policy(
            RoleName=role["id"], PolicyDocument=json.dumps(ANYBODY)
        ),
        _role_trust,
    ),
    ROLE_POLICY_TYPE: _aws(
        "iam",
        "delete_role_policy",
        "get_role_policy",
        lambda policy: {"RoleName": policy["inputs"]["role"], "PolicyName": policy["inputs"]["name"]},
    ),
    SECRET_TYPE: Kind(
        lambda walk, secret: walk.aws("secretsmanager").update_secret(SecretId=secret["id"], Description="mine"),
        lambda walk, secret: walk.aws("secretsmanager").describe_secret(SecretId=secret["id"])["Description"],
    ),
    SECRET_VERSION_TYPE: Kind(_secret_edited, _current_secret),
    ZONE_TYPE: Kind(
        lambda walk, zone: walk.aws("route53").update_hosted_zone_comment(Id=zone["id"], Comment="mine"), _zone_comment
    ),
    RECORD_TYPE: Kind(_record_deleted, _record),
    CERTIFICATE_TYPE: Kind(
        lambda walk, certificate: walk.aws("acm").remove_tags_from_certificate(
            **_certificate_of(certificate), Tags=[{"Key": INSTANCE_TAG}]
        ),
        lambda walk, certificate: _tags(
            walk.aws("acm").list_tags_for_certificate(**_certificate_of(certificate))["Tags"]
        ),
    ),
    LOAD_BALANCER_TYPE: _attributes("load_balancer", "LoadBalancerArn", "load_balancing.cross_zone.enabled", "false"),
    TARGET_GROUP_TYPE: _attributes("target_group", "TargetGroupArn", "deregistration_delay.timeout_seconds", "301"),
    LISTENER_TYPE: Kind(
        lambda walk, listener: walk.aws("elbv2").modify_listener(
            ListenerArn=listener["id"], SslPolicy="ELBSecurityPolicy-2016-08"
        ),
        _listener_seen,
    ),
    LISTENER_CERTIFICATE_TYPE: Kind(_unlisted, _listed),
    ATTACHMENT_TYPE: Kind(_detached, _attached),
    SECURITY_GROUP_TYPE: Kind(
        lambda walk, group: walk.aws("ec2").delete_tags(Resources=[group["id"]], Tags=[{"Key": INSTANCE_TAG}]),
        lambda walk, group: _tags(
            walk.aws("ec2").describe_security_groups(GroupIds=[group["id"]])["SecurityGroups"][0].get("Tags", [])
        ),
    ),
    INGRESS_RULE_TYPE: _rule("ingress"),
    EGRESS_RULE_TYPE: _rule("egress"),
    NAMESPACE_TYPE: _object({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "baseline"}}}),
    SERVICE_ACCOUNT_TYPE: _object({"automountServiceAccountToken": True}),
    CONFIG_MAP_TYPE: _object({"data": {"runtime.yaml": "{}"}}),
    SERVICE_TYPE: _object({"spec": {"selector": {NAME_LABEL: "other"}}}),
    NETWORK_POLICY_TYPE: _object(None),
    # The value of a PriorityClass is immutable, so another field is edited.
    PRIORITY_CLASS_TYPE: _object({"description": "mine"}),
    DISRUPTION_BUDGET_TYPE: _object({"spec": {"maxUnavailable": 2}}),
    # Scaled to zero, as people do to save cost: with a broken image its pod would never become ready again.
    STATEFUL_SET_TYPE: _object({"spec": {"replicas": 0}}),
    CLUSTER_ROLE_TYPE: _object({"rules": []}),
    CLUSTER_ROLE_BINDING_TYPE: _object({"subjects": []}),
    ADMISSION_POLICY_TYPE: _object({"spec": {"failurePolicy": "Ignore"}}),
    # Its actions are a set: a heal would add to what was put there by hand.
    ADMISSION_BINDING_TYPE: _object(
        {"spec": {"matchResources": {"namespaceSelector": {"matchLabels": OTHER_NAMESPACE}}}}
    ),
    DAEMON_SET_TYPE: _object({"spec": {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 2}}}}),
    # A broken image does not stop a Deployment: the old pods stay until the new ones are ready.
    DEPLOYMENT_TYPE: Kind(_image_edited, _object({}).look),
}
