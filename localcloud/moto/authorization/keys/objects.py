"""Use of KMS keys by S3: whoever writes or reads an object that a key encrypts needs a permission for that key.

moto encrypts nothing, and checks no permission. Source: 'Using server-side encryption with AWS KMS keys (SSE-KMS)' (Amazon
S3 user guide).
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlparse

from moto.core.request import Request
from moto.kms.models import Key
from moto.s3.responses import S3Response

from localcloud.moto.authorization.identities import caller_of
from localcloud.moto.authorization.keys.policies import may_use
from localcloud.moto.authorization.refusals import DENIED, UNUSABLE_KEY, RefusedError
from localcloud.moto.kms_keys import UnusableKeyError, usable_key

ALGORITHM, KEY_HEADER = "x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id"
BUCKET_KEY_HEADER = "x-amz-server-side-encryption-bucket-key-enabled"
KMS = "aws:kms"
READING = {"GetObject", "GetObjectVersion"}
DECRYPT, ENCRYPT = "kms:Decrypt", "kms:GenerateDataKey"


class Use(NamedTuple):
    """What a request does with a key: the IAM action, the key's name, and the ARN in the encryption context."""

    action: str
    key: str
    context: str


def checking_keys(check: Any, is_limited: Callable[[Request], bool]) -> Any:
    """Wrap moto's check of S3's actions so that it also checks the keys of objects.

    `is_limited` tells whether a user or a role's session made a request; the administrator may use every key.
    """

    def authorize_s3(response: S3Response, bucket_name: str | None = None, key_name: str | None = None) -> None:
        check(response, bucket_name=bucket_name, key_name=key_name)
        if bucket_name is None or key_name is None:
            return
        for use in [*_uses(response, bucket_name, key_name)]:
            _require(response, use, is_limited=is_limited(response.normalized_request))

    return authorize_s3


def _require(response: S3Response, use: Use, *, is_limited: bool) -> None:
    """Raise a refusal unless the key can be used, and the caller may use it."""
    request = response.normalized_request
    try:
        key = usable_key(use.key, response.region)
    except UnusableKeyError as error:
        raise RefusedError(replace(UNUSABLE_KEY, s3=f"KMS.{error.code}", text=str(error)), request, "s3") from error
    if is_limited and not _is_permitted(response, use, key):
        text = f"The caller is not authorized to perform: {use.action} on resource: {key.arn}"
        raise RefusedError(replace(DENIED, text=text), request, "s3")


def _is_permitted(response: S3Response, use: Use, key: Key) -> bool:
    """Tell whether the caller may use the key through S3."""
    context = {
        "kms:ViaService": f"s3.{response.region}.amazonaws.com",
        "kms:EncryptionContext:aws:s3:arn": use.context,
    }
    return may_use(caller_of(response), use.action, key, context)


def _uses(response: S3Response, bucket: str, name: str) -> Iterator[Use]:
    """Yield the uses of keys that a permitted request needs."""
    actions = {*response.data["Action"]} if isinstance(response.data["Action"], list) else {response.data["Action"]}
    arguments = response.normalized_request.args
    if response.method == "GET" and actions & READING:
        yield from _reading(response, bucket, name, arguments.get("versionId"))
    if response.method in ("PUT", "POST") and "PutObject" in actions:
        yield from _writing(response, bucket, name, arguments.get("uploadId"))
        if source := response.headers.get("x-amz-copy-source"):
            parts = urlparse(source)
            source_bucket, _, source_name = unquote(parts.path).lstrip("/").partition("/")
            version = parse_qs(parts.query).get("versionId", [None])[0]
            yield from _reading(response, source_bucket, source_name, version)


def _reading(response: S3Response, bucket: str, name: str, version: str | None) -> Iterator[Use]:
    stored = response.backend.get_object(bucket, name, version_id=version)
    if stored is not None and stored.encryption == KMS and stored.kms_key_id:
        yield Use(DECRYPT, stored.kms_key_id, _context(bucket, name, stored.bucket_key_enabled))


def _writing(response: S3Response, bucket: str, name: str, upload: str | None) -> Iterator[Use]:
    """Yield the uses of the key by which an object or a part of it will be encrypted; S3 reads the parts of an upload again."""
    stored = response.backend.get_bucket(bucket)
    rule = (stored.encryption or {}).get("Rule", {})
    default = rule.get("ApplyServerSideEncryptionByDefault", {})
    begun = stored.multiparts.get(upload) if upload else None
    algorithm = begun.sse_encryption if begun else response.headers.get(ALGORITHM)
    named = begun.kms_key_id if begun else response.headers.get(KEY_HEADER)
    key = named or default.get("KMSMasterKeyID")
    if (algorithm or default.get("SSEAlgorithm")) != KMS or not key:
        return
    enabled = response.headers.get(BUCKET_KEY_HEADER) or rule.get("BucketKeyEnabled")
    for action in (ENCRYPT, DECRYPT) if upload else (ENCRYPT,):
        yield Use(action, key, _context(bucket, name, enabled))


def _context(bucket: str, name: str, bucket_key: Any) -> str:
    """Return the ARN in the encryption context: with a bucket key it is the bucket's, else the object's."""
    return f"arn:aws:s3:::{bucket}" if str(bucket_key).lower() == "true" else f"arn:aws:s3:::{bucket}/{name}"
