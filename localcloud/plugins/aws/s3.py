"""Resource types of S3: buckets and their settings."""

from typing import Any

from components.core.resource_names import (
    BUCKET_POLICY_TYPE,
    BUCKET_TYPE,
    ENCRYPTION_TYPE,
    LIFECYCLE_TYPE,
    PUBLIC_ACCESS_BLOCK_TYPE,
)
from localcloud.plugins.aws.api import AwsApi, ResourceType, keeping_id, none_if, tag_dict, tag_list
from localcloud.plugins.provider import Properties, ProviderError

no_bucket = none_if("NoSuchBucket", "404")


def _create_bucket(api: AwsApi, inputs: Properties, timeout: float) -> str:
    name = inputs["bucket"]
    # us-east-1 answers 200 when the owner creates a bucket again, so the check must come first.
    if none_if("404", "NoSuchBucket")(lambda: api.s3.head_bucket(Bucket=name)):
        raise ProviderError(f"the bucket {name} already exists; import it by `pulumi import`, or remove it")
    location = {} if api.region == "us-east-1" else {"LocationConstraint": api.region}
    api.s3.create_bucket(Bucket=name, **({"CreateBucketConfiguration": location} if location else {}))
    if inputs.get("tags"):
        with keeping_id(name, inputs):
            api.s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tag_list(inputs["tags"])})
    return str(name)


def _read_bucket(api: AwsApi, identity: str, properties: Properties) -> Properties | None:
    if no_bucket(lambda: api.s3.head_bucket(Bucket=identity)) is None:
        return None
    tagging = none_if("NoSuchTagSet")(lambda: api.s3.get_bucket_tagging(Bucket=identity)) or {"TagSet": []}
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
        entries = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        keys = [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in entries]
        if keys:
            api.s3.delete_objects(Bucket=name, Delete={"Objects": keys, "Quiet": True})


def _part_of_bucket(put: str, get: str, remove: str, name: str, missing: str, **types: Any) -> ResourceType:
    """Return the resource type of a bucket's setting, with the names of its calls for put, get and delete.

    `name` is the setting's property, `missing` AWS's error code where it is not set. `to_aws` and `from_aws` in `types`
    translate its value; the other `types` are fields of `ResourceType`.
    """
    to_aws, from_aws = types.pop("to_aws"), types.pop("from_aws")

    def write(api: AwsApi, inputs: Properties) -> None:
        getattr(api.s3, put)(Bucket=inputs["bucket"], **to_aws(inputs))

    def create(api: AwsApi, inputs: Properties, timeout: float) -> str:
        write(api, inputs)
        return str(inputs["bucket"])

    def read(api: AwsApi, identity: str, properties: Properties) -> Properties | None:
        answer = none_if("NoSuchBucket", missing)(lambda: getattr(api.s3, get)(Bucket=identity))
        return {"bucket": identity, "region": api.region} | from_aws(answer) if answer is not None else None

    def delete(api: AwsApi, identity: str, state: Properties) -> None:
        none_if("NoSuchBucket", missing)(lambda: getattr(api.s3, remove)(Bucket=identity))

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


def _encryption_to_aws(inputs: Properties) -> dict[str, Any]:
    rules = []
    for rule in inputs["rules"]:
        default = rule["applyServerSideEncryptionByDefault"]
        entry = {"SSEAlgorithm": default["sseAlgorithm"]}
        if default.get("kmsMasterKeyId"):
            entry["KMSMasterKeyID"] = default["kmsMasterKeyId"]
        enabled = rule.get("bucketKeyEnabled", False)
        rules.append({"ApplyServerSideEncryptionByDefault": entry, "BucketKeyEnabled": enabled})
    return {"ServerSideEncryptionConfiguration": {"Rules": rules}}


def _encryption_from_aws(answer: dict[str, Any]) -> Properties:
    rules = []
    for rule in answer["ServerSideEncryptionConfiguration"]["Rules"]:
        default = rule["ApplyServerSideEncryptionByDefault"]
        entry = {"sseAlgorithm": default["SSEAlgorithm"]}
        if "KMSMasterKeyID" in default:
            entry["kmsMasterKeyId"] = default["KMSMasterKeyID"]
        enabled = rule.get("BucketKeyEnabled", False)
        rules.append({"applyServerSideEncryptionByDefault": entry, "bucketKeyEnabled": enabled})
    return {"rules": rules}


TYPES = {
    BUCKET_TYPE: ResourceType(
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
    PUBLIC_ACCESS_BLOCK_TYPE: _part_of_bucket(
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
    BUCKET_POLICY_TYPE: _part_of_bucket(
        "put_bucket_policy",
        "get_bucket_policy",
        "delete_bucket_policy",
        "policy",
        "NoSuchBucketPolicy",
        documents=("policy",),
        to_aws=lambda inputs: {"Policy": inputs["policy"]},
        from_aws=lambda answer: {"policy": answer["Policy"]},
    ),
    LIFECYCLE_TYPE: _part_of_bucket(
        "put_bucket_lifecycle_configuration",
        "get_bucket_lifecycle_configuration",
        "delete_bucket_lifecycle",
        "rules",
        "NoSuchLifecycleConfiguration",
        to_aws=_lifecycle_to_aws,
        from_aws=_lifecycle_from_aws,
    ),
    # AWS always has one: after the deletion it is S3's default.
    ENCRYPTION_TYPE: _part_of_bucket(
        "put_bucket_encryption",
        "get_bucket_encryption",
        "delete_bucket_encryption",
        "rules",
        "ServerSideEncryptionConfigurationNotFoundError",
        to_aws=_encryption_to_aws,
        from_aws=_encryption_from_aws,
    ),
}
