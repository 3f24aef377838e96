"""Enforcement of IAM policies: those of a role limit its sessions, those of a user the user, both within their boundaries.

`localcloud.moto.authorization.gate` has already identified the caller. moto determines the requested actions; this module
adds those that moto leaves out. Source: 'Actions, resources, and condition keys for Amazon S3' (Service Authorization
Reference).
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlparse

import xmltodict  # type: ignore[import-untyped]  # xmltodict has no types
from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.request import Request
from moto.iam.access_control import IAMPolicyStatement
from moto.iam.exceptions import NotFoundException
from moto.iam.models import User
from moto.s3.exceptions import BucketAccessDeniedError, InvalidArgumentError, NoSuchUpload
from moto.s3.responses import ACTION_MAP, S3Response
from moto.secretsmanager.responses import SecretsManagerResponse
from moto.sts.models import STSBackend
from moto.sts.responses import TokenResponse

from localcloud.moto.authorization.identities import Caller, bound_users, decide
from localcloud.moto.authorization.keys.objects import checking_keys
from localcloud.moto.authorization.keys.policies import may_use
from localcloud.moto.authorization.keys.secrets import encrypting_again
from localcloud.moto.authorization.policies import is_action_permitted
from localcloud.moto.authorization.refusals import DENIED, MISSING, RefusedError, not_authorized
from localcloud.moto.authorization.requested import Requested, requested
from localcloud.moto.authorization.users import make_key
from localcloud.moto.authorization.web_identity import WebIdentity, make_session
from localcloud.moto.kms_keys import key_named

CALLER = "opstrace.caller"  # in a request's WSGI environment
ADMINISTRATOR, SESSION, USER, WEB_IDENTITY = "administrator", "session", "user", "web identity"
UNSIGNED_ACTION = "AssumeRoleWithWebIdentity"
ALWAYS_PERMITTED = "sts:GetCallerIdentity"  # also where a policy denies it (AWS STS API reference)
# Additions to moto's `ACTION_MAP`: which IAM action a request needs, by kind of resource, HTTP method and query parameter.
# Without them, moto would check the method's default action, or an action under a name that IAM does not have.
ACTIONS: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "BUCKET": {
        "HEAD": {"DEFAULT": "ListBucket"},
        "GET": {
            "object-lock": "GetBucketObjectLockConfiguration",
            "publicAccessBlock": "GetBucketPublicAccessBlock",
            "inventory": "GetInventoryConfiguration",
            "encryption": "GetEncryptionConfiguration",
            "replication": "GetReplicationConfiguration",
            "ownershipControls": "GetBucketOwnershipControls",
        },
        "PUT": {
            "object-lock": "PutBucketObjectLockConfiguration",
            "publicAccessBlock": "PutBucketPublicAccessBlock",
            "inventory": "PutInventoryConfiguration",
            "encryption": "PutEncryptionConfiguration",
            "replication": "PutReplicationConfiguration",
            "ownershipControls": "PutBucketOwnershipControls",
        },
        "DELETE": {
            "publicAccessBlock": "PutBucketPublicAccessBlock",
            "encryption": "PutEncryptionConfiguration",
            "replication": "PutReplicationConfiguration",
            "ownershipControls": "PutBucketOwnershipControls",
        },
    },
    "KEY": {
        "GET": {
            "attributes": "GetObjectAttributes",
            "legal-hold": "GetObjectLegalHold",
            "retention": "GetObjectRetention",
        },
        "PUT": {"legal-hold": "PutObjectLegalHold", "retention": "PutObjectRetention"},
        "DELETE": {"tagging": "DeleteObjectTagging"},
        "POST": {"DEFAULT": "PutObject"},
    },
}
# Headers of an upload that need an action in addition; a key is the beginning of the name.
WITH_UPLOAD: Mapping[str, str] = {
    "x-amz-acl": "PutObjectAcl",
    "x-amz-grant-": "PutObjectAcl",
    "x-amz-tagging": "PutObjectTagging",
    "x-amz-object-lock-mode": "PutObjectRetention",
    "x-amz-object-lock-retain-until-date": "PutObjectRetention",
    "x-amz-object-lock-legal-hold": "PutObjectLegalHold",
}


def enforce(identity: WebIdentity) -> None:
    """Patch moto in this process so that it checks policies for everybody but the administrator."""
    for kind, methods in ACTIONS.items():
        for method, actions in methods.items():
            ACTION_MAP[kind][method].update(actions)
    _replace(IAMPolicyStatement, "is_action_permitted", is_action_permitted)
    _replace(ActionAuthenticatorMixin, "_authenticate_and_authorize_action", authorize)
    _replace(S3Response, "_set_action", _set_all_actions)
    _replace(
        S3Response,
        "_authenticate_and_authorize_s3_action",
        checking_keys(
            _also_check_copy_source(ActionAuthenticatorMixin._authenticate_and_authorize_s3_action),
            is_limited=_is_limited,
        ),
    )
    _replace(
        S3Response, "_bucket_response_delete_keys", _check_each_deleted_key(S3Response._bucket_response_delete_keys)
    )
    _replace(TokenResponse, "assume_role_with_web_identity", identity.wrap(TokenResponse.assume_role_with_web_identity))
    _replace(STSBackend, "assume_role", make_session(STSBackend.assume_role))
    _replace(User, "create_access_key", make_key(User.create_access_key))
    bound_users()
    update = encrypting_again(SecretsManagerResponse.update_secret, is_limited=_is_limited)
    _replace(SecretsManagerResponse, "update_secret", update)


def _replace(owner: type, method: str, by: Any) -> None:
    setattr(owner, method, by)


def _is_limited(request: Request) -> bool:
    """Tell whether a user or a role's session made a request; the administrator may use every key."""
    return request.environ.get(CALLER) in (SESSION, USER)


def authorize(response: Any, kind: Any, resource: str = "*") -> None:
    """Raise a refusal unless the caller may perform the requested actions; replaces moto's check.

    `kind` is moto's class for requests of this service. The signature has already been checked.
    """
    request = response.normalized_request
    caller = request.environ.get(CALLER)
    action = response._get_action()
    if caller == ADMINISTRATOR:
        return
    if caller == WEB_IDENTITY and isinstance(response, TokenResponse) and action == UNSIGNED_ACTION:
        return
    if caller not in (SESSION, USER):
        raise RefusedError(MISSING, request)
    if caller == USER and not isinstance(response, S3Response):
        _require_all(response, kind, action)
        return
    for each in _actions(response, action):
        check = kind(
            account_id=response.current_account,
            method=response.method,
            path=response.raw_path,
            data=response.data,
            body=b"",
            headers=response.headers,
            action=each,
        )
        try:
            check.check_action_permitted(resource)
            within = check._action == ALWAYS_PERMITTED or decide(check._access_key, check._action, resource).is_within
        except NotFoundException as error:  # the role was deleted, and its sessions with it
            raise RefusedError(DENIED, request, response.service_name) from error
        if not within:
            check._raise_access_denied()


def _require_all(response: Any, kind: Any, action: str) -> None:
    """Raise a refusal unless the policies of a user permit everything that a request asks for; S3 has its own check."""
    if not action:  # moto will answer that there is no such operation
        return
    check = kind(response.current_account, response.method, response.raw_path, {}, b"", response.headers, action)
    caller: Caller = check._access_key
    for asked in requested(response):
        if asked.action != ALWAYS_PERMITTED and not _is_permitted(caller, asked, response.region):
            raise RefusedError(
                not_authorized(caller.arn, asked.action, asked.resource),
                response.normalized_request,
                response.boto3_service_name,
            )


def _is_permitted(caller: Caller, asked: Requested, region: str) -> bool:
    """Tell whether a caller may do what it asks for. For a key of KMS, the key's policy decides, too."""
    key = key_named(asked.resource, region) if asked.action.startswith("kms:") else None
    if key is not None:
        return may_use(caller, asked.action, key, asked.values)
    return decide(caller, asked.action, asked.resource, asked.values).permits


def _actions(response: Any, action: str) -> list[str]:
    noted = response.data.get("Action") if isinstance(response, S3Response) else None
    return noted if isinstance(noted, list) and noted else [noted or action]


def _set_all_actions(response: S3Response, kind: str, method: str, query: Mapping[str, Any]) -> None:
    """Note every action that a query requests; moto notes one of them, and may execute another action."""
    by_name = ACTION_MAP[kind][method]
    actions = [by_name[name] for name in by_name if name in query] or [by_name["DEFAULT"]]
    if kind == "KEY" and "PutObject" in actions:
        headers = [name.lower() for name in dict(response.headers)]
        actions += [action for start, action in WITH_UPLOAD.items() if any(name.startswith(start) for name in headers)]
    response.data["Action"] = [*dict.fromkeys(actions)]


def _also_check_copy_source(check: Any) -> Any:
    """Also check that the caller of a copy may read its source; moto reads it without a check.

    For the deletion of many objects, each object is checked later.
    """

    def authorize_s3(response: S3Response, bucket_name: str | None = None, key_name: str | None = None) -> None:
        is_identified = response.normalized_request.environ.get(CALLER) in (ADMINISTRATOR, SESSION, USER)
        if is_identified and response.data.get("Action") == "DeleteObject" and key_name is None:
            return
        check(response, bucket_name=bucket_name, key_name=key_name)
        _require_upload(response, bucket_name, key_name)
        source = response.headers.get("x-amz-copy-source")
        if source is None:
            return
        bucket, _, key = unquote(urlparse(source).path).lstrip("/").partition("/")  # as moto reads it
        if not key:
            text = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey"
            raise InvalidArgumentError(text, "x-amz-copy-source", source)
        before = response.data["Action"]
        response.data["Action"] = ["GetObject"]
        check(response, bucket_name=bucket, key_name=key)
        response.data["Action"] = before

    return authorize_s3


def _require_upload(response: S3Response, bucket_name: str | None, key_name: str | None) -> None:
    """Raise `NoSuchUpload` unless the multipart upload that a request names belongs to its bucket and key.

    moto finds an upload by its id alone. A caller who may write one key could use the id to change another key.
    """
    identities = response.normalized_request.args.getlist("uploadId")
    if not identities or bucket_name is None or key_name is None:
        return
    uploads = response.backend.get_bucket(bucket_name).multiparts
    stored = response.backend.get_object(bucket_name, key_name) if response.method == "POST" else None
    completed = stored.multipart if stored else None  # completing an upload again gives the same answer
    for identity in identities:
        upload = completed if completed and completed.id == identity else uploads.get(identity)
        if upload is None or upload.key_name != key_name:
            raise NoSuchUpload(identity)


def _check_each_deleted_key(delete: Any) -> Any:
    """Delete many objects if the caller may delete each of them, else no object; moto does not check the caller."""

    def delete_keys(response: S3Response, bucket_name: str, authenticated: bool = True) -> Any:
        objects = xmltodict.parse(response.body, strip_whitespace=False)["Delete"].get("Object", [])
        try:
            for entry in objects if isinstance(objects, list) else [objects]:
                response.data["Action"] = "DeleteObjectVersion" if entry.get("VersionId") else "DeleteObject"
                ActionAuthenticatorMixin._authenticate_and_authorize_s3_action(response, bucket_name, entry["Key"])
        except BucketAccessDeniedError:
            authenticated = False
        return delete(response, bucket_name, authenticated=authenticated)

    return delete_keys
