"""The AWS stand-in's table, part one: S3, Secrets Manager and IAM."""

import json
from typing import Any

from localcloud.plugins.aws_api import AwsApi, ResourceType, absent, made, tag_dict, tag_list
from localcloud.plugins.provider import Properties, ProviderError

no_bucket = absent("NoSuchBucket", "404")


# S3 ------------------------------------------------------------------------------------------------------------------


def _create_bucket(api: AwsApi, inputs: Properties, timeout: float) -> str:
    name = inputs["bucket"]
    # us-east-1 answers 200 to the owner who asks again: the bucket would be taken over silently.
    if absent("404", "NoSuchBucket")(lambda: api.s3.head_bucket(Bucket=name)):
        raise ProviderError(f"the bucket {name} is there already; `pulumi import` takes it over, or remove it")
    location = {} if api.region == "us-east-1" else {"LocationConstraint": api.region}
    api.s3.create_bucket(Bucket=name, **({"CreateBucketConfiguration": location} if location else {}))
    if inputs.get("tags"):
        with made(name, inputs):
            api.s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tag_list(inputs["tags"])})
    return str(name)


def _read_bucket(api: AwsApi, identity: str, known: Properties) -> Properties | None:
    if no_bucket(lambda: api.s3.head_bucket(Bucket=identity)) is None:
        return None
    tagging = absent("NoSuchTagSet")(lambda: api.s3.get_bucket_tagging(Bucket=identity)) or {"TagSet": []}
    tags = tag_dict(tagging["TagSet"])
    return {
        "bucket": identity,
        "arn": f"arn:aws:s3:::{identity}",
        "bucketDomainName": f"{identity}.s3.amazonaws.com",
        "bucketRegionalDomainName": f"{identity}.s3.{api.region}.amazonaws.com",
        "region": api.region,
        "tags": tags,
        "tagsAll": tags,
    }


def _update_bucket(api: AwsApi, identity: str, old: Properties, new: Properties) -> None:
    if new.get("tags"):
        api.s3.put_bucket_tagging(Bucket=identity, Tagging={"TagSet": tag_list(new["tags"])})
    else:
        api.s3.delete_bucket_tagging(Bucket=identity)


def _delete_bucket(api: AwsApi, identity: str, state: Properties) -> None:
    if state.get("forceDestroy"):
        _empty_bucket(api, identity)
    no_bucket(lambda: api.s3.delete_bucket(Bucket=identity))


def _empty_bucket(api: AwsApi, name: str) -> None:
    pages = no_bucket(lambda: list(api.s3.get_paginator("list_object_versions").paginate(Bucket=name))) or []
    for page in pages:
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        keys = [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in found]
        if keys:
            api.s3.delete_objects(Bucket=name, Delete={"Objects": keys, "Quiet": True})


def _part_of_bucket(put: str, get: str, remove: str, name: str, missing: str, **types: Any) -> ResourceType:
    """Return the type of a bucket's setting, for which S3 has a put, a get and a delete call.

    `name` is the setting's property; `to_aws` and `from_aws` translate its value.
    """
    to_aws, from_aws = types.pop("to_aws"), types.pop("from_aws")

    def write(api: AwsApi, inputs: Properties) -> None:
        getattr(api.s3, put)(Bucket=inputs["bucket"], **to_aws(inputs))

    def create(api: AwsApi, inputs: Properties, timeout: float) -> str:
        write(api, inputs)
        return str(inputs["bucket"])

    def read(api: AwsApi, identity: str, known: Properties) -> Properties | None:
        answer = absent("NoSuchBucket", missing)(lambda: getattr(api.s3, get)(Bucket=identity))
        return {"bucket": identity, "region": api.region} | from_aws(answer) if answer is not None else None

    def delete(api: AwsApi, identity: str, state: Properties) -> None:
        absent("NoSuchBucket", missing)(lambda: getattr(api.s3, remove)(Bucket=identity))

    return ResourceType(
        required=("bucket", name) if name else ("bucket",),
        fixed=("bucket",),
        create=create,
        read=read,
        update=lambda api, identity, old, new: write(api, new),
        delete=delete,
        **types,
    )


PUBLIC_ACCESS = {
    "blockPublicAcls": "BlockPublicAcls",
    "blockPublicPolicy": "BlockPublicPolicy",
    "ignorePublicAcls": "IgnorePublicAcls",
    "restrictPublicBuckets": "RestrictPublicBuckets",
}


def _lifecycle_to_aws(inputs: Properties) -> dict[str, Any]:
    rules = []
    for rule in inputs["rules"]:
        entry: dict[str, Any] = {"ID": rule["id"], "Status": rule["status"]}
        entry["Filter"] = {"Prefix": (rule.get("filter") or {}).get("prefix", "")}
        if rule.get("expiration"):
            entry["Expiration"] = {"Days": int(rule["expiration"]["days"])}
        if rule.get("abortIncompleteMultipartUpload"):
            days = int(rule["abortIncompleteMultipartUpload"]["daysAfterInitiation"])
            entry["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": days}
        rules.append(entry)
    return {"LifecycleConfiguration": {"Rules": rules}}


def _lifecycle_from_aws(answer: dict[str, Any]) -> Properties:
    rules = []
    for rule in answer["Rules"]:
        prefix = rule.get("Prefix") or (rule.get("Filter") or {}).get("Prefix") or ""
        entry: Properties = {"id": rule["ID"], "status": rule["Status"], "filter": {"prefix": prefix}}
        if "Days" in rule.get("Expiration", {}):
            entry["expiration"] = {"days": rule["Expiration"]["Days"]}
        if "AbortIncompleteMultipartUpload" in rule:
            days = rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
            entry["abortIncompleteMultipartUpload"] = {"daysAfterInitiation": days}
        rules.append(entry)
    return {"rules": rules}


# Secrets Manager -----------------------------------------------------------------------------------------------------

no_secret = absent("ResourceNotFoundException")


def _create_secret(api: AwsApi, inputs: Properties, timeout: float) -> str:
    answer = api.secretsmanager.create_secret(
        Name=inputs["name"], Description=inputs.get("description", ""), Tags=tag_list(inputs.get("tags", {}))
    )
    return str(answer["ARN"])


def _read_secret(api: AwsApi, identity: str, known: Properties) -> Properties | None:
    found = no_secret(lambda: api.secretsmanager.describe_secret(SecretId=identity))
    if found is None or found.get("DeletedDate"):
        return None
    tags = tag_dict(found.get("Tags", []))
    return {
        "name": found["Name"],
        "arn": found["ARN"],
        "description": found.get("Description", ""),
        "region": api.region,
        "tags": tags,
        "tagsAll": tags,
    }


def _update_secret(api: AwsApi, identity: str, old: Properties, new: Properties) -> None:
    api.secretsmanager.update_secret(SecretId=identity, Description=new.get("description", ""))
    gone = sorted({*old.get("tags", {})} - {*new.get("tags", {})})
    if gone:
        api.secretsmanager.untag_resource(SecretId=identity, TagKeys=gone)
    if new.get("tags"):
        api.secretsmanager.tag_resource(SecretId=identity, Tags=tag_list(new["tags"]))


def _delete_secret(api: AwsApi, identity: str, state: Properties) -> None:
    days = state.get("recoveryWindowInDays", 30)
    how = {"RecoveryWindowInDays": days} if days else {"ForceDeleteWithoutRecovery": True}
    no_secret(lambda: api.secretsmanager.delete_secret(SecretId=identity, **how))


gone_secret = absent("ResourceNotFoundException", "InvalidRequestException")  # the second: it waits for its deletion


def _create_secret_version(api: AwsApi, inputs: Properties, timeout: float) -> str:
    stages = {"VersionStages": inputs["versionStages"]} if inputs.get("versionStages") else {}
    answer = api.secretsmanager.put_secret_value(
        SecretId=inputs["secretId"], SecretString=inputs["secretString"], **stages
    )
    return f"{inputs['secretId']}|{answer['VersionId']}"


def _read_secret_version(api: AwsApi, identity: str, known: Properties) -> Properties | None:
    # The very version is read, as the official plugin does: what somebody put in its place shows by its stages.
    secret, _, version = identity.partition("|")
    found = gone_secret(lambda: api.secretsmanager.get_secret_value(SecretId=secret, VersionId=version))
    if found is None:
        return None
    return {
        "secretId": secret,
        "arn": secret,
        "secretString": found["SecretString"],
        "versionId": version,
        "versionStages": sorted(found.get("VersionStages", [])),
        "region": api.region,
    }


def _update_secret_version(api: AwsApi, identity: str, old: Properties, new: Properties) -> None:
    """Give the version its stages, which are taken from the versions that have them."""
    secret, _, version = identity.partition("|")
    # Those with a stage alone: a secret has 20 stages at most.
    versions = api.secretsmanager.list_secret_version_ids(SecretId=secret, MaxResults=100)["Versions"]
    for stage in new.get("versionStages", []):
        holders = [entry["VersionId"] for entry in versions if stage in entry.get("VersionStages", [])]
        if version not in holders:
            taken = {"RemoveFromVersionId": holders[0]} if holders else {}
            api.secretsmanager.update_secret_version_stage(
                SecretId=secret, VersionStage=stage, MoveToVersionId=version, **taken
            )


# IAM -----------------------------------------------------------------------------------------------------------------

no_entity = absent("NoSuchEntity")


def _create_role(api: AwsApi, inputs: Properties, timeout: float) -> str:
    api.iam.create_role(
        RoleName=inputs["name"],
        AssumeRolePolicyDocument=inputs["assumeRolePolicy"],
        Description=inputs.get("description", ""),
        Tags=tag_list(inputs.get("tags", {})),
    )
    return str(inputs["name"])


def _read_role(api: AwsApi, identity: str, known: Properties) -> Properties | None:
    found = no_entity(lambda: api.iam.get_role(RoleName=identity))
    if found is None:
        return None
    role = found["Role"]
    tags = tag_dict(role.get("Tags", []))
    return {
        "name": role["RoleName"],
        "arn": role["Arn"],
        "uniqueId": role["RoleId"],
        "assumeRolePolicy": json.dumps(role["AssumeRolePolicyDocument"]),
        "description": role.get("Description", ""),
        "tags": tags,
        "tagsAll": tags,
    }


def _update_role(api: AwsApi, identity: str, old: Properties, new: Properties) -> None:
    api.iam.update_assume_role_policy(RoleName=identity, PolicyDocument=new["assumeRolePolicy"])
    api.iam.update_role(RoleName=identity, Description=new.get("description", ""))
    gone = sorted({*old.get("tags", {})} - {*new.get("tags", {})})
    if gone:
        api.iam.untag_role(RoleName=identity, TagKeys=gone)
    if new.get("tags"):
        api.iam.tag_role(RoleName=identity, Tags=tag_list(new["tags"]))


def _put_role_policy(api: AwsApi, inputs: Properties, timeout: float = 0) -> str:
    api.iam.put_role_policy(RoleName=inputs["role"], PolicyName=inputs["name"], PolicyDocument=inputs["policy"])
    return f"{inputs['role']}:{inputs['name']}"


def _update_role_policy(api: AwsApi, new: Properties) -> None:
    _put_role_policy(api, new)


def _read_role_policy(api: AwsApi, identity: str, known: Properties) -> Properties | None:
    role, _, name = identity.partition(":")
    found = no_entity(lambda: api.iam.get_role_policy(RoleName=role, PolicyName=name))
    if found is None:
        return None
    return {"role": role, "name": name, "policy": json.dumps(found["PolicyDocument"])}


def _delete_role_policy(api: AwsApi, identity: str, state: Properties) -> None:
    role, _, name = identity.partition(":")
    no_entity(lambda: api.iam.delete_role_policy(RoleName=role, PolicyName=name))


TYPES = {
    "aws:s3/bucket:Bucket": ResourceType(
        required=("bucket",),
        optional=("tags", "forceDestroy"),
        fixed=("bucket",),
        computed=("arn", "bucketDomainName", "bucketRegionalDomainName"),
        write_only=("forceDestroy",),
        auto_name="bucket",
        auto_name_length=63,
        create=_create_bucket,
        read=_read_bucket,
        update=_update_bucket,
        delete=_delete_bucket,
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _part_of_bucket(
        "put_public_access_block",
        "get_public_access_block",
        "delete_public_access_block",
        "",
        "NoSuchPublicAccessBlockConfiguration",
        optional=tuple(PUBLIC_ACCESS),
        to_aws=lambda inputs: {
            "PublicAccessBlockConfiguration": {aws: inputs.get(name, False) for name, aws in PUBLIC_ACCESS.items()}
        },
        from_aws=lambda answer: {
            name: answer["PublicAccessBlockConfiguration"][aws] for name, aws in PUBLIC_ACCESS.items()
        },
    ),
    "aws:s3/bucketPolicy:BucketPolicy": _part_of_bucket(
        "put_bucket_policy",
        "get_bucket_policy",
        "delete_bucket_policy",
        "policy",
        "NoSuchBucketPolicy",
        documents=("policy",),
        to_aws=lambda inputs: {"Policy": inputs["policy"]},
        from_aws=lambda answer: {"policy": answer["Policy"]},
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _part_of_bucket(
        "put_bucket_lifecycle_configuration",
        "get_bucket_lifecycle_configuration",
        "delete_bucket_lifecycle",
        "rules",
        "NoSuchLifecycleConfiguration",
        to_aws=_lifecycle_to_aws,
        from_aws=_lifecycle_from_aws,
    ),
    "aws:secretsmanager/secret:Secret": ResourceType(
        required=("name",),
        optional=("description", "tags", "recoveryWindowInDays"),
        fixed=("name",),
        computed=("arn",),
        write_only=("recoveryWindowInDays",),
        auto_name="name",
        create=_create_secret,
        read=_read_secret,
        update=_update_secret,
        delete=_delete_secret,
    ),
    "aws:secretsmanager/secretVersion:SecretVersion": ResourceType(
        required=("secretId", "secretString"),
        optional=("versionStages",),
        fixed=("secretId", "secretString"),
        computed=("arn", "versionId", "versionStages"),
        create=_create_secret_version,
        read=_read_secret_version,
        update=_update_secret_version,
        delete=lambda api, identity, state: None,  # a version goes with its secret, or when none is left to point to it
    ),
    "aws:iam/role:Role": ResourceType(
        required=("name", "assumeRolePolicy"),
        optional=("description", "tags"),
        fixed=("name",),
        computed=("arn", "uniqueId"),
        documents=("assumeRolePolicy",),
        auto_name="name",
        auto_name_length=64,
        create=_create_role,
        read=_read_role,
        update=_update_role,
        delete=lambda api, identity, state: no_entity(lambda: api.iam.delete_role(RoleName=identity)),
    ),
    "aws:iam/rolePolicy:RolePolicy": ResourceType(
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
