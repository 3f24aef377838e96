"""Resource types of Elastic Load Balancing: load balancers, listeners, their certificates, target groups."""

from typing import Any

from components.core.resource_names import (
    LISTENER_CERTIFICATE_TYPE,
    LISTENER_TYPE,
    LOAD_BALANCER_TYPE,
    TARGET_GROUP_TYPE,
)
from localcloud.plugins.aws.api import AwsApi, ResourceType, keeping_id, none_if, tag_dict, tag_list, wait_until
from localcloud.plugins.provider import Properties, ProviderError

no_balancer = none_if("LoadBalancerNotFound")
DELETE_SECONDS = 600.0
SWITCHES = {  # attributes of a load balancer
    "enableCrossZoneLoadBalancing": "load_balancing.cross_zone.enabled",
    "enableDeletionProtection": "deletion_protection.enabled",
}
no_group = none_if("TargetGroupNotFound")
no_listener = none_if("ListenerNotFound")


def _tags_of(api: AwsApi, arn: str) -> dict[str, str]:
    return tag_dict(api.elbv2.describe_tags(ResourceArns=[arn])["TagDescriptions"][0]["Tags"])


def _retag(api: AwsApi, arn: str, old: Properties, new: Properties) -> None:
    removed = sorted({*old.get("tags", {})} - {*new.get("tags", {})})
    if removed:
        api.elbv2.remove_tags(ResourceArns=[arn], TagKeys=removed)
    if new.get("tags"):
        api.elbv2.add_tags(ResourceArns=[arn], Tags=tag_list(new["tags"]))


def _create_balancer(api: AwsApi, inputs: Properties, timeout: float) -> str:
    name = inputs["name"]
    if no_balancer(lambda: api.elbv2.describe_load_balancers(Names=[name])):
        raise ProviderError(f"a load balancer {name} already exists; import it, or remove it")
    arn = api.elbv2.create_load_balancer(
        Name=name,
        Type=inputs.get("loadBalancerType", "application"),
        Scheme="internal" if inputs.get("internal") else "internet-facing",
        Subnets=inputs["subnets"],
        SecurityGroups=inputs.get("securityGroups", []),
        Tags=tag_list(inputs.get("tags", {})),
    )["LoadBalancers"][0]["LoadBalancerArn"]

    def active() -> bool:
        state = api.elbv2.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"][0]["State"]["Code"]
        return bool(state == "active")

    # In moto the state of a load balancer is `provisioning` until it is described for the second time.
    with keeping_id(arn, inputs):
        _set_switches(api, arn, inputs)
        wait_until(f"{name} is not active", active, timeout)
    return str(arn)


def _set_switches(api: AwsApi, arn: str, inputs: Properties) -> None:
    attributes = [{"Key": key, "Value": str(bool(inputs.get(name))).lower()} for name, key in SWITCHES.items()]
    api.elbv2.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=attributes)


def _read_balancer(api: AwsApi, identity: str, properties: Properties) -> Properties | None:
    described = no_balancer(lambda: api.elbv2.describe_load_balancers(LoadBalancerArns=[identity]))
    if not described or not described["LoadBalancers"]:
        return None
    balancer = described["LoadBalancers"][0]
    answer = api.elbv2.describe_load_balancer_attributes(LoadBalancerArn=identity)["Attributes"]
    attributes = {entry["Key"]: entry["Value"] for entry in answer}
    tags = _tags_of(api, identity)
    return {
        "name": balancer["LoadBalancerName"],
        "arn": identity,
        "arnSuffix": identity.rsplit(":loadbalancer/", 1)[-1],
        "dnsName": balancer["DNSName"],
        "zoneId": balancer.get("CanonicalHostedZoneId", ""),
        "vpcId": balancer["VpcId"],
        "loadBalancerType": balancer["Type"],
        "internal": balancer["Scheme"] == "internal",
        "subnets": sorted(zone["SubnetId"] for zone in balancer["AvailabilityZones"]),
        "securityGroups": balancer.get("SecurityGroups", []),
        **{name: attributes.get(key) == "true" for name, key in SWITCHES.items()},
        "region": api.region,
        "tags": tags,
        "tagsAll": tags,
    }


def _update_balancer(api: AwsApi, identity: str, old: Properties, new: Properties) -> None:
    if old.get("securityGroups") != new.get("securityGroups"):
        api.elbv2.set_security_groups(LoadBalancerArn=identity, SecurityGroups=new.get("securityGroups", []))
    _set_switches(api, identity, new)
    _retag(api, identity, old, new)


def _delete_balancer(api: AwsApi, identity: str, state: Properties) -> None:
    no_balancer(lambda: api.elbv2.delete_load_balancer(LoadBalancerArn=identity))
    wait_until(f"{identity} still exists", lambda: _read_balancer(api, identity, state) is None, DELETE_SECONDS)


def _health_check(inputs: Properties) -> dict[str, Any]:
    check = inputs.get("healthCheck", {})
    names = {
        "protocol": "HealthCheckProtocol",
        "port": "HealthCheckPort",
        "path": "HealthCheckPath",
        "interval": "HealthCheckIntervalSeconds",
        "healthyThreshold": "HealthyThresholdCount",
        "unhealthyThreshold": "UnhealthyThresholdCount",
    }
    return {aws: check[name] for name, aws in names.items() if name in check}


def _create_group(api: AwsApi, inputs: Properties, timeout: float) -> str:
    name = inputs["name"]
    if no_group(lambda: api.elbv2.describe_target_groups(Names=[name])):
        raise ProviderError(f"a target group {name} already exists; import it, or remove it")
    arn = api.elbv2.create_target_group(
        Name=name,
        Protocol=inputs["protocol"],
        Port=inputs["port"],
        VpcId=inputs["vpcId"],
        TargetType=inputs.get("targetType", "instance"),
        Tags=tag_list(inputs.get("tags", {})),
        **_health_check(inputs),
    )["TargetGroups"][0]["TargetGroupArn"]
    with keeping_id(arn, inputs):
        _set_group_attributes(api, arn, inputs)
    return str(arn)


def _set_group_attributes(api: AwsApi, arn: str, inputs: Properties) -> None:
    values = {
        "proxy_protocol_v2.enabled": str(bool(inputs.get("proxyProtocolV2"))).lower(),
        "deregistration_delay.timeout_seconds": str(inputs.get("deregistrationDelay", 300)),
        **({"preserve_client_ip.enabled": inputs["preserveClientIp"]} if "preserveClientIp" in inputs else {}),
    }
    attributes = [{"Key": key, "Value": value} for key, value in values.items()]
    api.elbv2.modify_target_group_attributes(TargetGroupArn=arn, Attributes=attributes)


def _read_group(api: AwsApi, identity: str, properties: Properties) -> Properties | None:
    described = no_group(lambda: api.elbv2.describe_target_groups(TargetGroupArns=[identity]))
    if not described or not described["TargetGroups"]:
        return None
    group = described["TargetGroups"][0]
    answer = api.elbv2.describe_target_group_attributes(TargetGroupArn=identity)["Attributes"]
    attributes = {entry["Key"]: entry["Value"] for entry in answer}
    tags = _tags_of(api, identity)
    live_check = {
        "protocol": group.get("HealthCheckProtocol"),
        "port": group.get("HealthCheckPort"),
        "path": group.get("HealthCheckPath"),
        "interval": group.get("HealthCheckIntervalSeconds"),
        "healthyThreshold": group.get("HealthyThresholdCount"),
        "unhealthyThreshold": group.get("UnhealthyThresholdCount"),
    }
    declared = properties.get("healthCheck")
    check = {key: live_check[key] for key in declared if key in live_check} if declared else live_check
    return {
        "name": group["TargetGroupName"],
        "arn": identity,
        "arnSuffix": identity.rsplit(":", 1)[-1],
        "port": group["Port"],
        "protocol": group["Protocol"],
        "vpcId": group["VpcId"],
        "targetType": group["TargetType"],
        "proxyProtocolV2": attributes.get("proxy_protocol_v2.enabled") == "true",
        "deregistrationDelay": int(attributes.get("deregistration_delay.timeout_seconds", 300)),
        "preserveClientIp": attributes.get("preserve_client_ip.enabled", "true"),
        "healthCheck": {key: value for key, value in check.items() if value is not None},
        "region": api.region,
        "tags": tags,
        "tagsAll": tags,
    }


def _update_group(api: AwsApi, identity: str, old: Properties, new: Properties) -> None:
    if old.get("healthCheck") != new.get("healthCheck"):
        api.elbv2.modify_target_group(TargetGroupArn=identity, **_health_check(new))
    _set_group_attributes(api, identity, new)
    _retag(api, identity, old, new)


def _listener_call(inputs: Properties) -> dict[str, Any]:
    actions = [
        {"Type": action["type"], "TargetGroupArn": action["targetGroupArn"]} for action in inputs["defaultActions"]
    ]
    call: dict[str, Any] = {"Protocol": inputs["protocol"], "Port": inputs["port"], "DefaultActions": actions}
    if inputs.get("certificateArn"):
        call["Certificates"] = [{"CertificateArn": inputs["certificateArn"]}]
    if inputs.get("sslPolicy"):
        call["SslPolicy"] = inputs["sslPolicy"]
    return call


def _create_listener(api: AwsApi, inputs: Properties, timeout: float) -> str:
    answer = api.elbv2.create_listener(
        LoadBalancerArn=inputs["loadBalancerArn"], Tags=tag_list(inputs.get("tags", {})), **_listener_call(inputs)
    )
    return str(answer["Listeners"][0]["ListenerArn"])


def _read_listener(api: AwsApi, identity: str, properties: Properties) -> Properties | None:
    described = none_if("ListenerNotFound", "LoadBalancerNotFound")(
        lambda: api.elbv2.describe_listeners(ListenerArns=[identity])
    )
    if not described or not described["Listeners"]:
        return None
    listener = described["Listeners"][0]
    tags = _tags_of(api, identity)
    certificates = listener.get("Certificates", [])
    return {
        "arn": identity,
        "loadBalancerArn": listener["LoadBalancerArn"],
        "port": listener["Port"],
        "protocol": listener["Protocol"],
        "sslPolicy": listener.get("SslPolicy") or properties.get("sslPolicy"),
        "certificateArn": certificates[0]["CertificateArn"] if certificates else None,
        "defaultActions": [
            {"type": action["Type"], "targetGroupArn": action["TargetGroupArn"]}
            for action in listener["DefaultActions"]
        ],
        "region": api.region,
        "tags": tags,
        "tagsAll": tags,
    }


def _update_listener(api: AwsApi, identity: str, old: Properties, new: Properties) -> None:
    api.elbv2.modify_listener(ListenerArn=identity, **_listener_call(new))
    _retag(api, identity, old, new)


def _create_listener_certificate(api: AwsApi, inputs: Properties, timeout: float) -> str:
    listener, certificate = inputs["listenerArn"], inputs["certificateArn"]
    api.elbv2.add_listener_certificates(ListenerArn=listener, Certificates=[{"CertificateArn": certificate}])
    return f"{listener}_{certificate}"


def _read_listener_certificate(api: AwsApi, identity: str, properties: Properties) -> Properties | None:
    listener, _, certificate = identity.partition("_")
    described = no_listener(lambda: api.elbv2.describe_listener_certificates(ListenerArn=listener))
    arns = [entry["CertificateArn"] for entry in (described or {"Certificates": []})["Certificates"]]
    if certificate not in arns:
        return None
    return {"listenerArn": listener, "certificateArn": certificate, "region": api.region}


def _delete_listener_certificate(api: AwsApi, identity: str, state: Properties) -> None:
    certificates = [{"CertificateArn": state["certificateArn"]}]
    no_listener(
        lambda: api.elbv2.remove_listener_certificates(ListenerArn=state["listenerArn"], Certificates=certificates)
    )


TYPES = {
    LOAD_BALANCER_TYPE: ResourceType(
        required=("name", "subnets"),
        optional=("loadBalancerType", "internal", "securityGroups", *SWITCHES, "tags"),
        fixed=("name", "subnets", "loadBalancerType", "internal"),
        computed=("arn", "arnSuffix", "dnsName", "zoneId", "vpcId"),
        auto_name="name",
        auto_name_length=32,
        create=_create_balancer,
        read=_read_balancer,
        update=_update_balancer,
        delete=_delete_balancer,
    ),
    TARGET_GROUP_TYPE: ResourceType(
        required=("name", "port", "protocol", "vpcId"),
        optional=("targetType", "proxyProtocolV2", "preserveClientIp", "deregistrationDelay", "healthCheck", "tags"),
        fixed=("name", "port", "protocol", "vpcId", "targetType"),
        computed=("arn", "arnSuffix"),
        auto_name="name",
        auto_name_length=32,
        create=_create_group,
        read=_read_group,
        update=_update_group,
        delete=lambda api, identity, state: no_group(lambda: api.elbv2.delete_target_group(TargetGroupArn=identity)),
    ),
    LISTENER_TYPE: ResourceType(
        required=("loadBalancerArn", "port", "protocol", "defaultActions"),
        optional=("certificateArn", "sslPolicy", "tags"),
        fixed=("loadBalancerArn",),
        computed=("arn",),
        create=_create_listener,
        read=_read_listener,
        update=_update_listener,
        delete=lambda api, identity, state: no_listener(lambda: api.elbv2.delete_listener(ListenerArn=identity)),
    ),
    LISTENER_CERTIFICATE_TYPE: ResourceType(
        required=("listenerArn", "certificateArn"),
        fixed=("listenerArn", "certificateArn"),
        create=_create_listener_certificate,
        read=_read_listener_certificate,
        delete=_delete_listener_certificate,
    ),
}
