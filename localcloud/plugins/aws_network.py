"""The AWS stand-in's table, part two: Route53, ACM, load balancers, security groups and autoscaling."""

import uuid
from typing import Any

from localcloud.plugins.aws_api import AwsApi, ResourceType, absent, made, tag_dict, tag_list, wait_until
from localcloud.plugins.provider import Properties, ProviderError

# Route53 -------------------------------------------------------------------------------------------------------------

no_zone = absent("NoSuchHostedZone")


def _create_zone(api: AwsApi, inputs: Properties, timeout: float) -> str:
    answer = api.route53.create_hosted_zone(
        Name=inputs["name"],
        CallerReference=str(uuid.uuid4()),
        HostedZoneConfig={"Comment": inputs.get("comment", "")},
    )
    identity = str(answer["HostedZone"]["Id"].rsplit("/", 1)[-1])
    with made(identity, inputs):
        _tag_zone(api, identity, {}, inputs)
    return identity


def _tag_zone(api: AwsApi, identity: str, old: Properties, new: Properties) -> None:
    gone = sorted({*old.get("tags", {})} - {*new.get("tags", {})})
    changes: dict[str, Any] = {"AddTags": tag_list(new["tags"])} if new.get("tags") else {}
    if gone:
        changes["RemoveTagKeys"] = gone
    if changes:
        api.route53.change_tags_for_resource(ResourceType="hostedzone", ResourceId=identity, **changes)


def _update_zone(api: AwsApi, identity: str, old: Properties, new: Properties) -> None:
    api.route53.update_hosted_zone_comment(Id=identity, Comment=new.get("comment", ""))
    _tag_zone(api, identity, old, new)


def _read_zone(api: AwsApi, identity: str, known: Properties) -> Properties | None:
    found = no_zone(lambda: api.route53.get_hosted_zone(Id=identity))
    if found is None:
        return None
    answer = api.route53.list_tags_for_resource(ResourceType="hostedzone", ResourceId=identity)
    tags = tag_dict(answer["ResourceTagSet"]["Tags"])
    servers = found.get("DelegationSet", {}).get("NameServers", [])
    return {
        "name": found["HostedZone"]["Name"].rstrip("."),
        "comment": found["HostedZone"].get("Config", {}).get("Comment", ""),
        "zoneId": identity,
        "arn": f"arn:aws:route53:::hostedzone/{identity}",
        "nameServers": sorted(servers),
        "primaryNameServer": servers[0] if servers else "",
        "tags": tags,
        "tagsAll": tags,
    }


def _delete_zone(api: AwsApi, identity: str, state: Properties) -> None:
    if state.get("forceDestroy"):
        pages = no_zone(
            lambda: list(api.route53.get_paginator("list_resource_record_sets").paginate(HostedZoneId=identity))
        )
        own = [
            entry for page in pages or [] for entry in page["ResourceRecordSets"] if entry["Type"] not in ("SOA", "NS")
        ]
        if own:
            changes = [{"Action": "DELETE", "ResourceRecordSet": entry} for entry in own]
            api.route53.change_resource_record_sets(HostedZoneId=identity, ChangeBatch={"Changes": changes})
    no_zone(lambda: api.route53.delete_hosted_zone(Id=identity))


def _record_set(inputs: Properties) -> dict[str, Any]:
    if inputs.get("aliases"):
        alias = inputs["aliases"][0]
        target = {
            "DNSName": alias["name"],
            "HostedZoneId": alias["zoneId"],
            "EvaluateTargetHealth": alias["evaluateTargetHealth"],
        }
        return {"Name": inputs["name"], "Type": inputs["type"], "AliasTarget": target}
    if "ttl" not in inputs or "records" not in inputs:
        raise ProviderError(f"the record {inputs['name']} {inputs['type']} needs `ttl` and `records`, or `aliases`")
    # Route53 wants the text of a TXT record in quotes; the program gives it without, as the official plugin takes it.
    quoted = [f'"{text}"' if inputs["type"] == "TXT" else text for text in inputs["records"]]
    return {
        "Name": inputs["name"],
        "Type": inputs["type"],
        "TTL": inputs["ttl"],
        "ResourceRecords": [{"Value": text} for text in quoted],
    }


def _find_record(api: AwsApi, zone: str, name: str, kind: str) -> dict[str, Any] | None:
    wanted = name.rstrip(".") + "."
    answer = no_zone(
        lambda: api.route53.list_resource_record_sets(
            HostedZoneId=zone, StartRecordName=wanted, StartRecordType=kind, MaxItems="10"
        )
    )
    for entry in (answer or {"ResourceRecordSets": []})["ResourceRecordSets"]:
        if entry["Name"].replace("\\052", "*") == wanted and entry["Type"] == kind:
            return dict(entry)
    return None


def _change_record(api: AwsApi, zone: str, action: str, record: dict[str, Any]) -> None:
    api.route53.change_resource_record_sets(
        HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": action, "ResourceRecordSet": record}]}
    )


def _create_record(api: AwsApi, inputs: Properties, timeout: float) -> str:
    zone, name, kind = inputs["zoneId"], inputs["name"], inputs["type"]
    if not inputs.get("allowOverwrite") and _find_record(api, zone, name, kind):
        raise ProviderError(f"the record {name} {kind} is there already; import it, or remove it")
    _change_record(api, zone, "UPSERT", _record_set(inputs))
    return f"{zone}_{name}_{kind}"


def _read_record(api: AwsApi, identity: str, known: Properties) -> Properties | None:
    zone, name, kind = (
        identity.split("_", 1)[0],
        identity.split("_", 1)[1].rsplit("_", 1)[0],
        identity.rsplit("_", 1)[-1],
    )
    found = _find_record(api, zone, name, kind)
    if found is None:
        return None
    return {
        "zoneId": zone,
        "name": name,
        "fqdn": name.rstrip("."),
        "type": kind,
        "allowOverwrite": known.get("allowOverwrite", False),
        **_record_content(found),
    }


def _record_content(found: dict[str, Any]) -> Properties:
    if alias := found.get("AliasTarget"):
        name = alias["DNSName"].rstrip(".").lower()
        health = alias.get("EvaluateTargetHealth", False)
        return {"aliases": [{"name": name, "zoneId": alias["HostedZoneId"], "evaluateTargetHealth": health}]}
    values = [entry["Value"].strip('"') for entry in found.get("ResourceRecords", [])]
    return {"ttl": found.get("TTL", 0), "records": values}


def _delete_record(api: AwsApi, identity: str, state: Properties) -> None:
    found = _find_record(api, state["zoneId"], state["name"], state["type"])
    if found:
        _change_record(api, state["zoneId"], "DELETE", found)


# ACM -----------------------------------------------------------------------------------------------------------------

no_certificate = absent("ResourceNotFoundException")


def _create_certificate(api: AwsApi, inputs: Properties, timeout: float) -> str:
    names = inputs.get("subjectAlternativeNames")
    arn = api.acm.request_certificate(
        DomainName=inputs["domainName"],
        ValidationMethod=inputs["validationMethod"],
        Tags=tag_list(inputs.get("tags", {})),
        **({"SubjectAlternativeNames": names} if names else {}),
    )["CertificateArn"]

    def has_records() -> bool:
        options = api.acm.describe_certificate(CertificateArn=arn)["Certificate"].get("DomainValidationOptions", [])
        return bool(options) and all("ResourceRecord" in option for option in options)

    with made(arn, inputs):
        wait_until(f"{arn} has no validation records", has_records, min(timeout, 60))
    return str(arn)


def _read_certificate(api: AwsApi, identity: str, known: Properties) -> Properties | None:
    found = no_certificate(lambda: api.acm.describe_certificate(CertificateArn=identity))
    if found is None:
        return None
    certificate = found["Certificate"]
    tags = tag_dict(api.acm.list_tags_for_certificate(CertificateArn=identity)["Tags"])
    names = sorted({*certificate.get("SubjectAlternativeNames", [])} - {certificate["DomainName"]})
    given = known.get("subjectAlternativeNames", [])
    options = [option for option in certificate.get("DomainValidationOptions", []) if "ResourceRecord" in option]
    return {
        "arn": identity,
        "domainName": certificate["DomainName"],
        "subjectAlternativeNames": given if sorted(given) == names else names,
        "validationMethod": "DNS",
        "domainValidationOptions": [
            {
                "domainName": option["DomainName"],
                "resourceRecordName": option["ResourceRecord"]["Name"],
                "resourceRecordType": option["ResourceRecord"]["Type"],
                "resourceRecordValue": option["ResourceRecord"]["Value"],
            }
            for option in options
        ],
        "region": api.region,
        "tags": tags,
        "tagsAll": tags,
    }


def _update_certificate(api: AwsApi, identity: str, old: Properties, new: Properties) -> None:
    gone = [{"Key": key} for key in sorted({*old.get("tags", {})} - {*new.get("tags", {})})]
    if gone:
        api.acm.remove_tags_from_certificate(CertificateArn=identity, Tags=gone)
    if new.get("tags"):
        api.acm.add_tags_to_certificate(CertificateArn=identity, Tags=tag_list(new["tags"]))


def _create_validation(api: AwsApi, inputs: Properties, timeout: float) -> str:
    arn = inputs["certificateArn"]

    def issued() -> bool:
        return bool(api.acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"] == "ISSUED")

    wait_until(f"{arn} was not issued; are the zone's name servers delegated to?", issued, timeout)
    return str(arn)


def _read_validation(api: AwsApi, identity: str, known: Properties) -> Properties | None:
    found = no_certificate(lambda: api.acm.describe_certificate(CertificateArn=identity))
    if found is None or found["Certificate"]["Status"] != "ISSUED":
        return None
    return known | {"certificateArn": identity, "region": api.region}


# Load balancers ------------------------------------------------------------------------------------------------------

no_balancer = absent("LoadBalancerNotFound")
DELETE_SECONDS = 600.0
no_group = absent("TargetGroupNotFound")
no_listener = absent("ListenerNotFound")


def _tags_of(api: AwsApi, arn: str) -> dict[str, str]:
    return tag_dict(api.elbv2.describe_tags(ResourceArns=[arn])["TagDescriptions"][0]["Tags"])


def _retag(api: AwsApi, arn: str, old: Properties, new: Properties) -> None:
    gone = sorted({*old.get("tags", {})} - {*new.get("tags", {})})
    if gone:
        api.elbv2.remove_tags(ResourceArns=[arn], TagKeys=gone)
    if new.get("tags"):
        api.elbv2.add_tags(ResourceArns=[arn], Tags=tag_list(new["tags"]))


def _create_balancer(api: AwsApi, inputs: Properties, timeout: float) -> str:
    name = inputs["name"]
    if no_balancer(lambda: api.elbv2.describe_load_balancers(Names=[name])):
        raise ProviderError(f"a load balancer {name} is there already; import it, or remove it")
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

    # moto gives a new load balancer the state `provisioning` until it is described for the second time.
    with made(arn, inputs):
        _set_cross_zone(api, arn, inputs)
        wait_until(f"{name} is not active", active, timeout)
    return str(arn)


def _set_cross_zone(api: AwsApi, arn: str, inputs: Properties) -> None:
    enabled = str(bool(inputs.get("enableCrossZoneLoadBalancing"))).lower()
    attribute = {"Key": "load_balancing.cross_zone.enabled", "Value": enabled}
    api.elbv2.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[attribute])


def _read_balancer(api: AwsApi, identity: str, known: Properties) -> Properties | None:
    found = no_balancer(lambda: api.elbv2.describe_load_balancers(LoadBalancerArns=[identity]))
    if not found or not found["LoadBalancers"]:
        return None
    balancer = found["LoadBalancers"][0]
    answer = api.elbv2.describe_load_balancer_attributes(LoadBalancerArn=identity)["Attributes"]
    attributes = {entry["Key"]: entry["Value"] for entry in answer}
    tags = _tags_of(api, identity)
    return {
        "name": balancer["LoadBalancerName"],
        "arn": identity,
        "arnSuffix": identity.split(":loadbalancer/")[-1],
        "dnsName": balancer["DNSName"],
        "zoneId": balancer.get("CanonicalHostedZoneId", ""),
        "vpcId": balancer["VpcId"],
        "loadBalancerType": balancer["Type"],
        "internal": balancer["Scheme"] == "internal",
        "subnets": sorted(zone["SubnetId"] for zone in balancer["AvailabilityZones"]),
        "securityGroups": balancer.get("SecurityGroups", []),
        "enableCrossZoneLoadBalancing": attributes.get("load_balancing.cross_zone.enabled") == "true",
        "region": api.region,
        "tags": tags,
        "tagsAll": tags,
    }


def _update_balancer(api: AwsApi, identity: str, old: Properties, new: Properties) -> None:
    if old.get("securityGroups") != new.get("securityGroups"):
        api.elbv2.set_security_groups(LoadBalancerArn=identity, SecurityGroups=new.get("securityGroups", []))
    _set_cross_zone(api, identity, new)
    _retag(api, identity, old, new)


def _delete_balancer(api: AwsApi, identity: str, state: Properties) -> None:
    no_balancer(lambda: api.elbv2.delete_load_balancer(LoadBalancerArn=identity))
    gone = f"{identity} is still there"
    wait_until(gone, lambda: _read_balancer(api, identity, state) is None, DELETE_SECONDS)


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
        raise ProviderError(f"a target group {name} is there already; import it, or remove it")
    arn = api.elbv2.create_target_group(
        Name=name,
        Protocol=inputs["protocol"],
        Port=inputs["port"],
        VpcId=inputs["vpcId"],
        TargetType=inputs.get("targetType", "instance"),
        Tags=tag_list(inputs.get("tags", {})),
        **_health_check(inputs),
    )["TargetGroups"][0]["TargetGroupArn"]
    with made(arn, inputs):
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


def _read_group(api: AwsApi, identity: str, known: Properties) -> Properties | None:
    found = no_group(lambda: api.elbv2.describe_target_groups(TargetGroupArns=[identity]))
    if not found or not found["TargetGroups"]:
        return None
    group = found["TargetGroups"][0]
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
    given = known.get("healthCheck")
    check = {key: live_check[key] for key in given if key in live_check} if given else live_check
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


def _read_listener(api: AwsApi, identity: str, known: Properties) -> Properties | None:
    found = absent("ListenerNotFound", "LoadBalancerNotFound")(
        lambda: api.elbv2.describe_listeners(ListenerArns=[identity])
    )
    if not found or not found["Listeners"]:
        return None
    listener = found["Listeners"][0]
    tags = _tags_of(api, identity)
    certificates = listener.get("Certificates", [])
    return {
        "arn": identity,
        "loadBalancerArn": listener["LoadBalancerArn"],
        "port": listener["Port"],
        "protocol": listener["Protocol"],
        "sslPolicy": listener.get("SslPolicy") or known.get("sslPolicy"),
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


def _read_listener_certificate(api: AwsApi, identity: str, known: Properties) -> Properties | None:
    listener, _, certificate = identity.partition("_")
    found = no_listener(lambda: api.elbv2.describe_listener_certificates(ListenerArn=listener))
    arns = [entry["CertificateArn"] for entry in (found or {"Certificates": []})["Certificates"]]
    if certificate not in arns:
        return None
    return {"listenerArn": listener, "certificateArn": certificate, "region": api.region}


def _delete_listener_certificate(api: AwsApi, identity: str, state: Properties) -> None:
    certificates = [{"CertificateArn": state["certificateArn"]}]
    no_listener(
        lambda: api.elbv2.remove_listener_certificates(ListenerArn=state["listenerArn"], Certificates=certificates)
    )


# Autoscaling ---------------------------------------------------------------------------------------------------------


def _attach(api: AwsApi, inputs: Properties, timeout: float) -> str:
    group, target = inputs["autoscalingGroupName"], inputs["lbTargetGroupArn"]
    api.autoscaling.attach_load_balancer_target_groups(AutoScalingGroupName=group, TargetGroupARNs=[target])
    return f"{group}_{target}"


def _read_attachment(api: AwsApi, identity: str, known: Properties) -> Properties | None:
    if not known:  # as the official plugin
        raise ProviderError(
            f"the attachment {identity} cannot be imported; let `pulumi up` make it, which changes nothing then"
        )
    group, target = known["autoscalingGroupName"], known["lbTargetGroupArn"]
    found = api.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"]
    if not found or target not in found[0].get("TargetGroupARNs", []):
        return None
    return {"autoscalingGroupName": group, "lbTargetGroupArn": target, "region": api.region}


def _detach(api: AwsApi, identity: str, state: Properties) -> None:
    # What AWS says of one that is detached already depends on the group's instances.
    if _read_attachment(api, identity, state) is None:
        return
    absent("ValidationError")(
        lambda: api.autoscaling.detach_load_balancer_target_groups(
            AutoScalingGroupName=state["autoscalingGroupName"], TargetGroupARNs=[state["lbTargetGroupArn"]]
        )
    )


# Security groups -----------------------------------------------------------------------------------------------------

no_security_group = absent("InvalidGroup.NotFound")
no_rule = absent("InvalidSecurityGroupRuleId.NotFound", "InvalidGroup.NotFound", "InvalidPermission.NotFound")


def _create_security_group(api: AwsApi, inputs: Properties, timeout: float) -> str:
    tags = tag_list(inputs.get("tags", {}))
    identity = api.ec2.create_security_group(
        GroupName=inputs["name"],
        Description=inputs["description"],
        VpcId=inputs["vpcId"],
        **({"TagSpecifications": [{"ResourceType": "security-group", "Tags": tags}]} if tags else {}),
    )["GroupId"]
    # As the official plugin does: the rule that lets everything out is there only if it is declared.
    found = api.ec2.describe_security_groups(GroupIds=[identity])["SecurityGroups"][0]
    if found["IpPermissionsEgress"]:
        api.ec2.revoke_security_group_egress(GroupId=identity, IpPermissions=found["IpPermissionsEgress"])
    return str(identity)


def _read_security_group(api: AwsApi, identity: str, known: Properties) -> Properties | None:
    found = no_security_group(lambda: api.ec2.describe_security_groups(GroupIds=[identity]))
    if not found or not found["SecurityGroups"]:
        return None
    group = found["SecurityGroups"][0]
    tags = tag_dict(group.get("Tags", []))
    return {
        "name": group["GroupName"],
        "description": group["Description"],
        "vpcId": group["VpcId"],
        "arn": f"arn:aws:ec2:{api.region}:{group['OwnerId']}:security-group/{identity}",
        "ownerId": group["OwnerId"],
        "region": api.region,
        "tags": tags,
        "tagsAll": tags,
    }


def _retag_ec2(api: AwsApi, identity: str, old: Properties, new: Properties) -> None:
    gone = [{"Key": key} for key in sorted({*old.get("tags", {})} - {*new.get("tags", {})})]
    if gone:
        api.ec2.delete_tags(Resources=[identity], Tags=gone)
    if new.get("tags"):
        api.ec2.create_tags(Resources=[identity], Tags=tag_list(new["tags"]))


def _permission(inputs: Properties) -> dict[str, Any]:
    permission: dict[str, Any] = {"IpProtocol": inputs["ipProtocol"]}
    if "fromPort" in inputs:
        permission |= {"FromPort": inputs["fromPort"], "ToPort": inputs["toPort"]}
    if inputs.get("cidrIpv4"):
        permission["IpRanges"] = [{"CidrIp": inputs["cidrIpv4"], "Description": inputs.get("description", "")}]
    if inputs.get("referencedSecurityGroupId"):
        permission["UserIdGroupPairs"] = [{"GroupId": inputs["referencedSecurityGroupId"]}]
    return permission


def _rule(direction: str) -> ResourceType:
    """Return the type of a security group's rule; `direction` is `ingress` or `egress`."""

    def create(api: AwsApi, inputs: Properties, timeout: float) -> str:
        authorize = getattr(api.ec2, f"authorize_security_group_{direction}")
        answer = authorize(GroupId=inputs["securityGroupId"], IpPermissions=[_permission(inputs)])
        return str(answer["SecurityGroupRules"][0]["SecurityGroupRuleId"])

    def find(api: AwsApi, identity: str) -> dict[str, Any] | None:
        answer = no_rule(lambda: api.ec2.describe_security_group_rules(SecurityGroupRuleIds=[identity]))
        return answer["SecurityGroupRules"][0] if answer and answer["SecurityGroupRules"] else None

    def read(api: AwsApi, identity: str, known: Properties) -> Properties | None:
        rule = find(api, identity)
        if rule is None:
            return None
        state = {
            "securityGroupId": rule["GroupId"],
            "securityGroupRuleId": identity,
            "ipProtocol": rule["IpProtocol"],
            "fromPort": rule.get("FromPort"),
            "toPort": rule.get("ToPort"),
            "cidrIpv4": rule.get("CidrIpv4"),
            "referencedSecurityGroupId": rule.get("ReferencedGroupInfo", {}).get("GroupId"),
            "description": rule.get("Description"),
            "tags": known.get("tags", {}),
            "region": api.region,
        }
        return {key: value for key, value in state.items() if value is not None}

    def delete(api: AwsApi, identity: str, state: Properties) -> None:
        revoke = getattr(api.ec2, f"revoke_security_group_{direction}")
        no_rule(lambda: revoke(GroupId=state["securityGroupId"], SecurityGroupRuleIds=[identity]))

    # A rule is what it allows: another one is made before this one goes.
    inputs = ("ipProtocol", "securityGroupId")
    optional = ("cidrIpv4", "fromPort", "toPort", "referencedSecurityGroupId", "description", "tags")
    return ResourceType(
        required=inputs,
        optional=optional,
        fixed=(*inputs, *optional),
        computed=("securityGroupRuleId", "arn"),
        create=create,
        read=read,
        delete=delete,
    )


TYPES = {
    "aws:route53/zone:Zone": ResourceType(
        required=("name",),
        optional=("comment", "forceDestroy", "tags"),
        fixed=("name",),
        computed=("arn", "zoneId", "nameServers", "primaryNameServer"),
        write_only=("forceDestroy",),
        create=_create_zone,
        read=_read_zone,
        update=_update_zone,
        delete=_delete_zone,
    ),
    "aws:route53/record:Record": ResourceType(
        required=("zoneId", "name", "type"),
        optional=("ttl", "records", "aliases", "allowOverwrite"),
        fixed=("zoneId", "name", "type"),
        computed=("fqdn",),
        create=_create_record,
        read=_read_record,
        update=lambda api, identity, old, new: _change_record(api, new["zoneId"], "UPSERT", _record_set(new)),
        delete=_delete_record,
    ),
    "aws:acm/certificate:Certificate": ResourceType(
        required=("domainName", "validationMethod"),
        optional=("subjectAlternativeNames", "tags"),
        fixed=("domainName", "validationMethod", "subjectAlternativeNames"),
        computed=("arn", "domainValidationOptions"),
        create=_create_certificate,
        read=_read_certificate,
        update=_update_certificate,
        delete=lambda api, identity, state: no_certificate(lambda: api.acm.delete_certificate(CertificateArn=identity)),
    ),
    "aws:acm/certificateValidation:CertificateValidation": ResourceType(
        required=("certificateArn",),
        optional=("validationRecordFqdns",),
        fixed=("certificateArn", "validationRecordFqdns"),
        create=_create_validation,
        read=_read_validation,
        delete=lambda api, identity, state: None,  # it is only the wait; the certificate is a resource of its own
    ),
    "aws:lb/loadBalancer:LoadBalancer": ResourceType(
        required=("name", "subnets"),
        optional=("loadBalancerType", "internal", "securityGroups", "enableCrossZoneLoadBalancing", "tags"),
        fixed=("name", "subnets", "loadBalancerType", "internal"),
        computed=("arn", "arnSuffix", "dnsName", "zoneId", "vpcId"),
        auto_name="name",
        auto_name_length=32,
        create=_create_balancer,
        read=_read_balancer,
        update=_update_balancer,
        delete=_delete_balancer,
    ),
    "aws:lb/targetGroup:TargetGroup": ResourceType(
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
    "aws:lb/listener:Listener": ResourceType(
        required=("loadBalancerArn", "port", "protocol", "defaultActions"),
        optional=("certificateArn", "sslPolicy", "tags"),
        fixed=("loadBalancerArn",),
        computed=("arn",),
        create=_create_listener,
        read=_read_listener,
        update=_update_listener,
        delete=lambda api, identity, state: no_listener(lambda: api.elbv2.delete_listener(ListenerArn=identity)),
    ),
    "aws:lb/listenerCertificate:ListenerCertificate": ResourceType(
        required=("listenerArn", "certificateArn"),
        fixed=("listenerArn", "certificateArn"),
        create=_create_listener_certificate,
        read=_read_listener_certificate,
        delete=_delete_listener_certificate,
    ),
    "aws:autoscaling/attachment:Attachment": ResourceType(
        required=("autoscalingGroupName", "lbTargetGroupArn"),
        fixed=("autoscalingGroupName", "lbTargetGroupArn"),
        create=_attach,
        read=_read_attachment,
        delete=_detach,
    ),
    "aws:ec2/securityGroup:SecurityGroup": ResourceType(
        required=("name", "vpcId"),
        optional=("description", "tags"),
        fixed=("name", "vpcId", "description"),
        computed=("arn", "ownerId"),
        auto_name="name",
        defaults={"description": "Managed by Pulumi"},
        create=_create_security_group,
        read=_read_security_group,
        update=_retag_ec2,
        delete=lambda api, identity, state: no_security_group(lambda: api.ec2.delete_security_group(GroupId=identity)),
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _rule("ingress"),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _rule("egress"),
}
