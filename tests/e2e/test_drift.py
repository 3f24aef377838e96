"""Drift: what somebody changed by hand shows in `pulumi preview --refresh` and is healed by `up --refresh`.

One batch over every kind of resource that is in the state: a kind that the tables below do not know fails it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.conftest import run
from tests.e2e.walk import INSTANCE, LABELS, Walk, url
from tests.waiting import eventually

Resource = dict[str, Any]
TENANT = "default"
ANYBODY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
}

NOTHING_TO_CHANGE = {
    "pulumi:pulumi:Stack": "the stack itself, in the state alone",
    "pulumi:providers:aws": "the engine's way to AWS, in the state alone",
    "pulumi:providers:kubernetes": "the engine's way to the cluster, in the state alone",
    "pulumi:providers:random": "in the state alone",
    "random:index/randomId:RandomId": "the drawn bytes are in the state alone",
    "aws:acm/certificateValidation:CertificateValidation": "the wait for a certificate, which is a resource of its own",
}
COMPONENT = "opstrace:"  # what the program groups its resources by


@dataclass(frozen=True)
class Kind:
    """How a resource of one type is changed by hand, and what is looked at to tell whether it is as before."""

    change: Callable[[Walk, Resource], Any]
    look: Callable[[Walk, Resource], Any]


def _tags(found: list[dict[str, str]]) -> dict[str, str]:
    return {entry["Key"]: entry["Value"] for entry in found}


def _aws(service: str, change: str, look: str, arguments: Callable[[Resource], Any], **values: Any) -> Kind:
    """Return a kind that takes one call to change, with `values`, and one to look at: the whole answer counts."""

    def changed(walk: Walk, resource: Resource) -> None:
        getattr(walk.aws(service), change)(**arguments(resource), **values)

    def looked(walk: Walk, resource: Resource) -> Any:
        try:
            answer = getattr(walk.aws(service), look)(**arguments(resource))
        except walk.aws(service).exceptions.ClientError as error:
            return error.response["Error"]["Code"]
        return {key: value for key, value in answer.items() if key != "ResponseMetadata"}

    return Kind(changed, looked)


def _bucket(change: str, look: str, **values: Any) -> Kind:
    return _aws("s3", change, look, lambda resource: {"Bucket": resource["id"]}, **values)


def _object(patch: Mapping[str, Any] | None) -> Kind:
    """Return a kind of Kubernetes that is patched, or deleted where there is no patch."""

    def of(resource: Resource) -> list[str]:
        namespace, _, name = str(resource["id"]).rpartition("/")
        kind = resource["type"].split(":")[-1].lower()
        return [kind, name, *(["-n", namespace] if namespace else [])]

    def changed(walk: Walk, resource: Resource) -> None:
        if patch is None:
            walk.kubectl("delete", *of(resource))
        else:
            # As a person's editor does: what is patched is a field of another manager from now on.
            walk.kubectl("patch", *of(resource), "--type=merge", "-p", json.dumps(patch))

    def looked(walk: Walk, resource: Resource) -> Any:
        found = walk.kubectl("get", *of(resource), "-o", "json", "--ignore-not-found")
        if not found:
            return None
        whole = json.loads(found)
        kept = {name: whole["metadata"].get(name) for name in ("labels", "annotations")}
        shown = {name: part for name, part in whole.items() if name not in ("status", "metadata")}
        # Which revision of a Deployment its newest pods are is counted on by its controller.
        (kept["annotations"] or {}).pop("deployment.kubernetes.io/revision", None)
        return {**shown, "metadata": kept}

    return Kind(changed, looked)


def _certificate_of(resource: Resource) -> dict[str, Any]:
    return {"CertificateArn": resource["id"]}


def _listener(resource: Resource) -> dict[str, Any]:
    return {"ListenerArn": resource["inputs"]["listenerArn"]}


def _listener_seen(walk: Walk, resource: Resource) -> tuple[str, str]:
    found = walk.aws("elbv2").describe_listeners(ListenerArns=[resource["id"]])["Listeners"][0]
    return found["SslPolicy"], found["Certificates"][0]["CertificateArn"]


def _unlisted(walk: Walk, resource: Resource) -> None:
    certificates = [{"CertificateArn": resource["inputs"]["certificateArn"]}]
    walk.aws("elbv2").remove_listener_certificates(**_listener(resource), Certificates=certificates)


def _listed(walk: Walk, resource: Resource) -> bool:
    found = walk.aws("elbv2").describe_listener_certificates(**_listener(resource))["Certificates"]
    return resource["inputs"]["certificateArn"] in [entry["CertificateArn"] for entry in found]


def _group_and_target(resource: Resource) -> tuple[str, str]:
    return resource["inputs"]["autoscalingGroupName"], resource["inputs"]["lbTargetGroupArn"]


def _detached(walk: Walk, resource: Resource) -> None:
    group, target = _group_and_target(resource)
    walk.aws("autoscaling").detach_load_balancer_target_groups(AutoScalingGroupName=group, TargetGroupARNs=[target])


def _attached(walk: Walk, resource: Resource) -> bool:
    group, target = _group_and_target(resource)
    found = walk.aws("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"]
    return target in found[0].get("TargetGroupARNs", [])


def _rule(direction: str) -> Kind:
    """Return a rule of a security group: it is what it allows, so it is taken away, and healed by another id."""

    def revoked(walk: Walk, resource: Resource) -> None:
        revoke = getattr(walk.aws("ec2"), f"revoke_security_group_{direction}")
        revoke(GroupId=resource["inputs"]["securityGroupId"], SecurityGroupRuleIds=[resource["id"]])

    def allowed(walk: Walk, resource: Resource) -> list[str]:
        filters = [{"Name": "group-id", "Values": [resource["inputs"]["securityGroupId"]]}]
        rules = walk.aws("ec2").describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
        for rule in rules:
            del rule["SecurityGroupRuleId"]
        return sorted(json.dumps(rule, sort_keys=True) for rule in rules)

    return Kind(revoked, allowed)


def _record(walk: Walk, resource: Resource) -> dict[str, Any] | None:
    inputs = resource["inputs"]
    pages = walk.aws("route53").get_paginator("list_resource_record_sets").paginate(HostedZoneId=inputs["zoneId"])
    found = [entry for page in pages for entry in page["ResourceRecordSets"]]
    return next((r for r in found if r["Name"].rstrip(".") == inputs["name"] and r["Type"] == inputs["type"]), None)


def _record_deleted(walk: Walk, resource: Resource) -> None:
    change = {"Action": "DELETE", "ResourceRecordSet": _record(walk, resource)}
    walk.aws("route53").change_resource_record_sets(
        HostedZoneId=resource["inputs"]["zoneId"], ChangeBatch={"Changes": [change]}
    )


def _zone_comment(walk: Walk, resource: Resource) -> str:
    return str(walk.aws("route53").get_hosted_zone(Id=resource["id"])["HostedZone"]["Config"]["Comment"])


def _current_secret(walk: Walk, resource: Resource) -> str:
    """Return what a reader of the secret gets."""
    found = walk.aws("secretsmanager").get_secret_value(SecretId=resource["inputs"]["secretId"])
    return str(found["SecretString"])


def _secret_edited(walk: Walk, resource: Resource) -> None:
    edited = json.dumps({"edited": "by hand"})  # unlike what either secret may hold
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


def _role_trust(walk: Walk, resource: Resource) -> Any:
    return walk.aws("iam").get_role(RoleName=resource["id"])["Role"]["AssumeRolePolicyDocument"]


def _bucket_policy(walk: Walk, resource: Resource) -> Any:
    return json.loads(walk.aws("s3").get_bucket_policy(Bucket=resource["id"])["Policy"])


def _policy_opened(walk: Walk, resource: Resource) -> None:
    policy = _bucket_policy(walk, resource)
    policy["Statement"][0]["Effect"] = "Allow"
    walk.aws("s3").put_bucket_policy(Bucket=resource["id"], Policy=json.dumps(policy))


def _image_edited(walk: Walk, resource: Resource) -> None:
    namespace, name = str(resource["id"]).split("/")
    walk.kubectl("-n", namespace, "set", "image", f"deployment/{name}", "envoy=registry.invalid/envoy:none")


KINDS: dict[str, Kind] = {
    "aws:s3/bucket:Bucket": _bucket("delete_bucket_tagging", "get_bucket_tagging"),
    "aws:s3/bucketPolicy:BucketPolicy": Kind(_policy_opened, _bucket_policy),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _bucket(
        "put_public_access_block",
        "get_public_access_block",
        PublicAccessBlockConfiguration={"BlockPublicAcls": True, "BlockPublicPolicy": False},
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _bucket(
        "delete_bucket_lifecycle", "get_bucket_lifecycle_configuration"
    ),
    "aws:iam/role:Role": Kind(
        lambda walk, role: walk.aws("iam").update_assume_role_policy(
            RoleName=role["id"], PolicyDocument=json.dumps(ANYBODY)
        ),
        _role_trust,
    ),
    "aws:iam/rolePolicy:RolePolicy": _aws(
        "iam",
        "delete_role_policy",
        "get_role_policy",
        lambda policy: {"RoleName": policy["inputs"]["role"], "PolicyName": policy["inputs"]["name"]},
    ),
    "aws:secretsmanager/secret:Secret": Kind(
        lambda walk, secret: walk.aws("secretsmanager").update_secret(SecretId=secret["id"], Description="mine"),
        lambda walk, secret: walk.aws("secretsmanager").describe_secret(SecretId=secret["id"])["Description"],
    ),
    "aws:secretsmanager/secretVersion:SecretVersion": Kind(_secret_edited, _current_secret),
    "aws:route53/zone:Zone": Kind(
        lambda walk, zone: walk.aws("route53").update_hosted_zone_comment(Id=zone["id"], Comment="mine"), _zone_comment
    ),
    "aws:route53/record:Record": Kind(_record_deleted, _record),
    "aws:acm/certificate:Certificate": Kind(
        lambda walk, certificate: walk.aws("acm").remove_tags_from_certificate(
            **_certificate_of(certificate), Tags=[{"Key": "opstrace:instance"}]
        ),
        lambda walk, certificate: _tags(
            walk.aws("acm").list_tags_for_certificate(**_certificate_of(certificate))["Tags"]
        ),
    ),
    "aws:lb/loadBalancer:LoadBalancer": _attributes(
        "load_balancer", "LoadBalancerArn", "load_balancing.cross_zone.enabled", "false"
    ),
    "aws:lb/targetGroup:TargetGroup": _attributes(
        "target_group", "TargetGroupArn", "deregistration_delay.timeout_seconds", "301"
    ),
    "aws:lb/listener:Listener": Kind(
        lambda walk, listener: walk.aws("elbv2").modify_listener(
            ListenerArn=listener["id"], SslPolicy="ELBSecurityPolicy-2016-08"
        ),
        _listener_seen,
    ),
    "aws:lb/listenerCertificate:ListenerCertificate": Kind(_unlisted, _listed),
    "aws:autoscaling/attachment:Attachment": Kind(_detached, _attached),
    "aws:ec2/securityGroup:SecurityGroup": Kind(
        lambda walk, group: walk.aws("ec2").delete_tags(Resources=[group["id"]], Tags=[{"Key": "opstrace:instance"}]),
        lambda walk, group: _tags(
            walk.aws("ec2").describe_security_groups(GroupIds=[group["id"]])["SecurityGroups"][0].get("Tags", [])
        ),
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _rule("ingress"),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _rule("egress"),
    "kubernetes:core/v1:Namespace": _object(
        {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "baseline"}}}
    ),
    "kubernetes:core/v1:ServiceAccount": _object({"automountServiceAccountToken": True}),
    "kubernetes:core/v1:ConfigMap": _object({"data": {"runtime.yaml": "{}"}}),
    "kubernetes:core/v1:Service": _object({"spec": {"selector": {"app.kubernetes.io/name": "other"}}}),
    "kubernetes:networking.k8s.io/v1:NetworkPolicy": _object(None),
    "kubernetes:policy/v1:PodDisruptionBudget": _object({"spec": {"maxUnavailable": 2}}),
    # Stopped, as somebody does by hand to save: another image of a StatefulSet would hold its pod for good.
    "kubernetes:apps/v1:StatefulSet": _object({"spec": {"replicas": 0}}),
    # Of a Deployment another image stops nobody: no old pod goes before a new one is ready.
    "kubernetes:apps/v1:Deployment": Kind(_image_edited, _object({}).look),
}


def _one_of_each(resources: list[Resource]) -> dict[str, Resource]:
    """Return a resource of every type that has something in the cloud: of the tenant where it has one."""
    found: dict[str, Resource] = {}
    for resource in sorted(resources, key=lambda entry: entry["urn"]):  # the state's order is that of the update
        kind = resource["type"]
        if kind in NOTHING_TO_CHANGE or kind.startswith(COMPONENT):
            continue
        of_tenant = f"::tenant-{TENANT}-" in resource["urn"]
        if kind not in found or of_tenant:
            found[kind] = resource
    return found


def _steps(walk: Walk, *arguments: str) -> dict[str, set[str]]:
    """Return what a preview says is to be done, URN to steps, without what stays the same."""
    done = run("pulumi", "--non-interactive", "preview", "--json", *arguments, "--stack", INSTANCE, env=walk.shell)
    found: dict[str, set[str]] = {}
    for step in json.loads(done.stdout[done.stdout.index("{") :])["steps"]:
        if step["op"] not in ("same", "read", "refresh"):
            found.setdefault(step["urn"], set()).add(step["op"])
    return found


def test_what_was_changed_by_hand_shows_and_is_healed_whatever_kind_it_is(walk: Walk) -> None:
    chosen = _one_of_each(walk.resources())
    assert {*chosen} == {*KINDS}, "each kind of resource says how it is changed by hand"
    before = {kind: KINDS[kind].look(walk, resource) for kind, resource in chosen.items()}
    for kind, resource in chosen.items():
        KINDS[kind].change(walk, resource)
    unchanged = [kind for kind, resource in chosen.items() if KINDS[kind].look(walk, resource) == before[kind]]
    assert unchanged == []

    shown = _steps(walk, "--refresh")
    assert [kind for kind, resource in chosen.items() if resource["urn"] not in shown] == []

    walk.pulumi("up", "--yes", "--skip-preview", "--refresh")
    after = {resource["urn"]: resource for resource in walk.resources()}
    seen = {kind: KINDS[kind].look(walk, after[resource["urn"]]) for kind, resource in chosen.items()}
    assert {kind: (before[kind], seen[kind]) for kind in chosen if seen[kind] != before[kind]} == {}
    assert _steps(walk, "--refresh") == {}
    for api, path in (("cortex", LABELS), ("loki", "/loki/api/v1/labels")):
        asked = url(api, TENANT, path)
        eventually(lambda asked=asked: walk.curl(asked, token=walk.token(TENANT))[0] == 200)
