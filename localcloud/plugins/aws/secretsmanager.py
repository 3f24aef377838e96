"""Resource types of Secrets Manager: secrets and their versions."""

from components.core.resource_names import SECRET_TYPE, SECRET_VERSION_TYPE
from localcloud.plugins.aws.api import AwsApi, ResourceType, none_if, tag_dict, tag_list
from localcloud.plugins.provider import Properties

no_secret = none_if("ResourceNotFoundException")


def _create_secret(api: AwsApi, inputs: Properties, timeout: float) -> str:
    answer = api.secretsmanager.create_secret(
        Name=inputs["name"],
        Description=inputs.get("description", ""),
        Tags=tag_list(inputs.get("tags", {})),
        **_key(inputs),
    )
    return str(answer["ARN"])


def _key(inputs: Properties) -> dict[str, str]:
    return {"KmsKeyId": inputs["kmsKeyId"]} if inputs.get("kmsKeyId") else {}


def _read_secret(api: AwsApi, identity: str, properties: Properties) -> Properties | None:
    described = no_secret(lambda: api.secretsmanager.describe_secret(SecretId=identity))
    if described is None or described.get("DeletedDate"):
        return None
    tags, key = tag_dict(described.get("Tags", [])), described.get("KmsKeyId", "")
    return {
        "name": described["Name"],
        "arn": described["ARN"],
        "description": described.get("Description", ""),
        **({"kmsKeyId": key} if key or properties.get("kmsKeyId") else {}),
        "region": api.region,
        "tags": tags,
        "tagsAll": tags,
    }


def _update_secret(api: AwsApi, identity: str, old: Properties, new: Properties) -> None:
    # Like the official plugin, leave the key as it is where the inputs have none (hashicorp/terraform-provider-aws#21623).
    api.secretsmanager.update_secret(SecretId=identity, Description=new.get("description", ""), **_key(new))
    removed = sorted({*old.get("tags", {})} - {*new.get("tags", {})})
    if removed:
        api.secretsmanager.untag_resource(SecretId=identity, TagKeys=removed)
    if new.get("tags"):
        api.secretsmanager.tag_resource(SecretId=identity, Tags=tag_list(new["tags"]))


def _delete_secret(api: AwsApi, identity: str, state: Properties) -> None:
    days = state.get("recoveryWindowInDays", 30)
    how = {"RecoveryWindowInDays": days} if days else {"ForceDeleteWithoutRecovery": True}
    no_secret(lambda: api.secretsmanager.delete_secret(SecretId=identity, **how))


gone_secret = none_if("ResourceNotFoundException", "InvalidRequestException")  # the second: its deletion is scheduled


def _create_secret_version(api: AwsApi, inputs: Properties, timeout: float) -> str:
    stages = {"VersionStages": inputs["versionStages"]} if inputs.get("versionStages") else {}
    answer = api.secretsmanager.put_secret_value(
        SecretId=inputs["secretId"], SecretString=inputs["secretString"], **stages
    )
    return f"{inputs['secretId']}|{answer['VersionId']}"


def _read_secret_version(api: AwsApi, identity: str, properties: Properties) -> Properties | None:
    # Like the official plugin, read this version only; its stages show whether another version replaced it.
    secret, _, version = identity.partition("|")
    described = gone_secret(lambda: api.secretsmanager.get_secret_value(SecretId=secret, VersionId=version))
    if described is None:
        return None
    return {
        "secretId": secret,
        "arn": secret,
        "secretString": described["SecretString"],
        "versionId": version,
        "versionStages": sorted(described.get("VersionStages", [])),
        "region": api.region,
    }


def _update_secret_version(api: AwsApi, identity: str, old: Properties, new: Properties) -> None:
    """Move the stages to this version from the versions that have them."""
    secret, _, version = identity.partition("|")
    # Only versions with a stage are listed, and a secret has at most 20 stages.
    versions = api.secretsmanager.list_secret_version_ids(SecretId=secret, MaxResults=100)["Versions"]
    for stage in new.get("versionStages", []):
        holders = [entry["VersionId"] for entry in versions if stage in entry.get("VersionStages", [])]
        if version not in holders:
            source = {"RemoveFromVersionId": holders[0]} if holders else {}
            api.secretsmanager.update_secret_version_stage(
                SecretId=secret, VersionStage=stage, MoveToVersionId=version, **source
            )


TYPES = {
    SECRET_TYPE: ResourceType(
        required=("name",),
        optional=("description", "kmsKeyId", "tags", "recoveryWindowInDays"),
        fixed=("name",),
        computed=("arn",),
        write_only=("recoveryWindowInDays",),
        auto_name="name",
        create=_create_secret,
        read=_read_secret,
        update=_update_secret,
        delete=_delete_secret,
    ),
    SECRET_VERSION_TYPE: ResourceType(
        required=("secretId", "secretString"),
        optional=("versionStages",),
        fixed=("secretId", "secretString"),
        computed=("arn", "versionId", "versionStages"),
        create=_create_secret_version,
        read=_read_secret_version,
        update=_update_secret_version,
        delete=lambda api, identity, state: None,  # a version is deleted with its secret, or once it has no stage
    ),
}
