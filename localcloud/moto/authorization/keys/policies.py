"""Who may use a key of KMS: the key's policy decides, by itself or together with the policies of the caller.

moto checks neither. Sources: 'Key policies in AWS KMS' and 'AWS KMS condition keys' (AWS KMS developer guide); 'Permissions
boundaries for IAM entities' (IAM user guide) for what a boundary limits.
"""

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.iam.access_control import AssumedRoleAccessKey, IAMPolicy, PermissionResult
from moto.iam.exceptions import NotFoundException
from moto.kms.models import Key

from localcloud.moto.authorization.identities import Caller, decide, entity_of
from localcloud.moto.authorization.policies import Values
from localcloud.moto.authorization.web_identity import PARTITION

ROOT = f"arn:{PARTITION}:iam::{DEFAULT_ACCOUNT_ID}:root"


def may_use(caller: Caller, action: str, key: Key, context: Values) -> bool:
    """Tell whether a caller may perform an action on a key; `context` are the condition keys of the request."""
    try:
        principal = str(entity_of(caller).arn)
    except NotFoundException:  # the role was deleted, and its sessions with it
        return False
    values = {
        "kms:CallerAccount": DEFAULT_ACCOUNT_ID,
        "aws:PrincipalAccount": DEFAULT_ACCOUNT_ID,
        "aws:PrincipalArn": principal,
        "aws:ResourceAccount": key.account_id,
    } | dict(context)

    def by_key(*principals: str) -> set[PermissionResult]:
        policy = IAMPolicy(key.policy)
        return {policy.is_action_permitted(action, key.arn, one, values) for one in principals}  # type: ignore[arg-type]  # moto types the values as str

    own = decide(caller, action, key.arn, values)
    named, itself, account = by_key(principal), by_key(caller.arn), by_key(ROOT, DEFAULT_ACCOUNT_ID)
    if own.denies or PermissionResult.DENIED in named | itself | account:
        return False
    if key.account_id != DEFAULT_ACCOUNT_ID:  # of another account: both must permit it
        return own.permits and PermissionResult.PERMITTED in named | itself | account
    # A boundary limits what a key's policy gives to a role, but not what it gives to a user or to one session.
    limited = isinstance(caller, AssumedRoleAccessKey)
    if PermissionResult.PERMITTED in itself or (PermissionResult.PERMITTED in named and (own.is_within or not limited)):
        return True
    return own.permits and PermissionResult.PERMITTED in account
