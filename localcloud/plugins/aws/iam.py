"""Resource types of IAM: roles and their policies."""

import json

from components.core.resource_names import ROLE_POLICY_TYPE, ROLE_TYPE
from localcloud.plugins.aws.api import AwsApi, ResourceType, none_if, tag_dict, tag_list
from localcloud.plugins.provider import Properties

no_entity = none_if("NoSuchEntity")


def _create_role(api: AwsApi, inputs: Properties, timeout: float) -> str:
    api.iam.create_role(
        RoleName=inputs["name"],
        AssumeRolePolicyDocument=inputs["assumeRolePolicy"],
        Description=inputs.get("description", ""),
        Path=inputs.get("path", "/"),
        Tags=tag_list(inputs.get("tags", {})),
        **({"PermissionsBoundary": inputs["permissionsBoundary"]} if inputs.get("permissionsBoundary") else {}),
    )
    return str(inputs["name"])


def _read_role(api: AwsApi, identity: str, properties: Properties) -> Properties | None:
    described = no_entity(lambda: api.iam.get_role(RoleName=identity))
    if described is None:
        return None
    role = described["Role"]
    tags, boundary = tag_dict(role.get("Tags", [])), role.get("PermissionsBoundary")
    return {
        "name": role["RoleName"],
        "arn": role["Arn"],
        "uniqueId": role["RoleId"],
        "assumeRolePolicy": json.dumps(role["AssumeRolePolicyDocument"]),
        "description": role.get("Description", ""),
        "path": role["Path"],
        **({"permissionsBoundary": boundary["PermissionsBoundaryArn"]} if boundary else {}),
        "tags": tags,
        "tagsAll": tags,
    }


def _update_role(api: AwsApi, identity: str, old: Properties, new: Properties) -> None:
    api.iam.update_assume_role_policy(RoleName=identity, PolicyDocument=new["assumeRolePolicy"])
    api.iam.update_role(RoleName=identity, Description=new.get("description", ""))
    if new.get("permissionsBoundary"):
        api.iam.put_role_permissions_boundary(RoleName=identity, PermissionsBoundary=new["permissionsBoundary"])
    elif old.get("permissionsBoundary"):
        api.iam.delete_role_permissions_boundary(RoleName=identity)
    removed = sorted({*old.get("tags", {})} - {*new.get("tags", {})})
    if removed:
        api.iam.untag_role(RoleName=identity, TagKeys=removed)
    if new.get("tags"):
        api.iam.tag_role(RoleName=identity, Tags=tag_list(new["tags"]))


def _put_role_policy(api: AwsApi, inputs: Properties, timeout: float = 0) -> str:
    api.iam.put_role_policy(RoleName=inputs["role"], PolicyName=inputs["name"], PolicyDocument=inputs["policy"])
    return f"{inputs['role']}:{inputs['name']}"


def _update_role_policy(api: AwsApi, new: Properties) -> None:
    _put_role_policy(api, new)


def _read_role_policy(api: AwsApi, identity: str, properties: Properties) -> Properties | None:
    role, _, name = identity.partition(":")
    described = no_entity(lambda: api.iam.get_role_policy(RoleName=role, PolicyName=name))
    if described is None:
        return None
    return {"role": role, "name": name, "policy": json.dumps(described["PolicyDocument"])}


def _delete_role_policy(api: AwsApi, identity: str, state: Properties) -> None:
    role, _, name = identity.partition(":")
    no_entity(lambda: api.iam.delete_role_policy(RoleName=role, PolicyName=name))


TYPES = {
    ROLE_TYPE: ResourceType(
        required=("name", "assumeRolePolicy"),
        optional=("description", "path", "permissionsBoundary", "tags"),
        fixed=("name", "path"),
        computed=("arn", "uniqueId"),
        documents=("assumeRolePolicy",),
        auto_name="name",
        auto_name_length=64,
        create=_create_role,
        read=_read_role,
        update=_update_role,
        delete=lambda api, identity, state: no_entity(lambda: api.iam.delete_role(RoleName=identity)),
    ),
    ROLE_POLICY_TYPE: ResourceType(
        required=("role", "name", "policy"),
        fixed=("role", "name"),
        documents=("policy",),
        auto_name="name",
        create=_put_role_policy,
        read=_read_role_policy,
        update=lambda api, identity, old, new: _update_role_policy(api, new),
        delete=_delete_role_policy,
    ),
}
