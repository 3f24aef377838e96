"""Resource types of EC2: security groups and their rules."""

from typing import Any

from components.core.resource_names import EGRESS_RULE_TYPE, INGRESS_RULE_TYPE, SECURITY_GROUP_TYPE
from localcloud.plugins.aws.api import AwsApi, ResourceType, none_if, tag_dict, tag_list
from localcloud.plugins.provider import Properties

no_security_group = none_if("InvalidGroup.NotFound")
no_rule = none_if("InvalidSecurityGroupRuleId.NotFound", "InvalidGroup.NotFound", "InvalidPermission.NotFound")


def _create_security_group(api: AwsApi, inputs: Properties, timeout: float) -> str:
    tags = tag_list(inputs.get("tags", {}))
    identity = api.ec2.create_security_group(
        GroupName=inputs["name"],
        Description=inputs["description"],
        VpcId=inputs["vpcId"],
        **({"TagSpecifications": [{"ResourceType": "security-group", "Tags": tags}]} if tags else {}),
    )["GroupId"]
    # Like the official plugin: remove the default egress rule, which exists only where it is declared.
    described = api.ec2.describe_security_groups(GroupIds=[identity])["SecurityGroups"][0]
    if described["IpPermissionsEgress"]:
        api.ec2.revoke_security_group_egress(GroupId=identity, IpPermissions=described["IpPermissionsEgress"])
    return str(identity)


def _read_security_group(api: AwsApi, identity: str, properties: Properties) -> Properties | None:
    described = no_security_group(lambda: api.ec2.describe_security_groups(GroupIds=[identity]))
    if not described or not described["SecurityGroups"]:
        return None
    group = described["SecurityGroups"][0]
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
    removed = [{"Key": key} for key in sorted({*old.get("tags", {})} - {*new.get("tags", {})})]
    if removed:
        api.ec2.delete_tags(Resources=[identity], Tags=removed)
    if new.get("tags"):
        api.ec2.create_tags(Resources=[identity], Tags=tag_list(new["tags"]))


def _permission(inputs: Properties) -> dict[str, Any]:
    permission: dict[str, Any] = {"IpProtocol": inputs["ipProtocol"]}
    if "fromPort" in inputs:
        permission |= {"FromPort": inputs["fromPort"], "ToPort": inputs["toPort"]}
    if inputs.get("cidrIpv4"):
        # An empty description differs from none: later previews of the official plugin would remove it.
        described = {"Description": inputs["description"]} if inputs.get("description") else {}
        permission["IpRanges"] = [{"CidrIp": inputs["cidrIpv4"]} | described]
    if inputs.get("referencedSecurityGroupId"):
        permission["UserIdGroupPairs"] = [{"GroupId": inputs["referencedSecurityGroupId"]}]
    return permission


def _rule(direction: str) -> ResourceType:
    """Return the resource type of a security group's rule; `direction` is `ingress` or `egress`."""

    def create(api: AwsApi, inputs: Properties, timeout: float) -> str:
        authorize = getattr(api.ec2, f"authorize_security_group_{direction}")
        answer = authorize(GroupId=inputs["securityGroupId"], IpPermissions=[_permission(inputs)])
        return str(answer["SecurityGroupRules"][0]["SecurityGroupRuleId"])

    def find(api: AwsApi, identity: str) -> dict[str, Any] | None:
        answer = no_rule(lambda: api.ec2.describe_security_group_rules(SecurityGroupRuleIds=[identity]))
        return answer["SecurityGroupRules"][0] if answer and answer["SecurityGroupRules"] else None

    def read(api: AwsApi, identity: str, properties: Properties) -> Properties | None:
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
            "tags": properties.get("tags", {}),
            "region": api.region,
        }
        return {key: value for key, value in state.items() if value is not None}

    def delete(api: AwsApi, identity: str, state: Properties) -> None:
        revoke = getattr(api.ec2, f"revoke_security_group_{direction}")
        no_rule(lambda: revoke(GroupId=state["securityGroupId"], SecurityGroupRuleIds=[identity]))

    # Every change replaces the rule: the new one is created before the old one is removed.
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
    SECURITY_GROUP_TYPE: ResourceType(
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
    INGRESS_RULE_TYPE: _rule("ingress"),
    EGRESS_RULE_TYPE: _rule("egress"),
}
