"""What the policies of a caller decide: those of a user or of a role, within its permissions boundary.

moto knows the boundaries of roles, but does not apply them, and has none of users. Sources: 'Permissions boundaries for IAM
entities' and 'Policy evaluation logic' (IAM user guide); IAM API reference, PutUserPermissionsBoundary.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.responses import ActionResult, EmptyResult
from moto.iam.access_control import (
    AssumedRoleAccessKey,
    IAMPolicy,
    IAMUserAccessKey,
    PermissionResult,
    create_access_key,
)
from moto.iam.exceptions import NotFoundException
from moto.iam.models import IAMBackend, Role, User
from moto.iam.responses import IamResponse

from localcloud.moto.authorization.policies import Values
from localcloud.moto.authorization.web_identity import PARTITION

Caller = IAMUserAccessKey | AssumedRoleAccessKey
BOUNDARY = "permissions_boundary_arn"  # the attribute of moto's roles, and here of its users, too


@dataclass(frozen=True)
class Decision:
    """What the policies of an identity decide, and what its boundary does; PERMITTED where it has none."""

    identity: PermissionResult
    boundary: PermissionResult

    @property
    def denies(self) -> bool:
        """Whether a statement denies: nothing permits that."""
        return PermissionResult.DENIED in (self.identity, self.boundary)

    @property
    def is_within(self) -> bool:
        """Whether the boundary permits."""
        return self.boundary == PermissionResult.PERMITTED

    @property
    def permits(self) -> bool:
        """Whether the policies permit, within the boundary."""
        return self.identity == PermissionResult.PERMITTED and self.is_within


def decide(caller: Caller, action: str, resource: str, values: Values | None = None) -> Decision:
    """Return what the caller's own policies decide; raises `NotFoundException` where its role was deleted."""
    identity = _result(caller.collect_policies(), action, resource, values)
    arn = getattr(entity_of(caller), BOUNDARY, None)
    if not arn:
        return Decision(identity, PermissionResult.PERMITTED)
    policy = caller.backend.managed_policies.get(arn)  # a boundary that is gone permits nothing
    return Decision(identity, _result([policy] if policy else [], action, resource, values))


def caller_of(response: Any) -> Caller:
    """Return the user or the session that signed the request of moto's response object."""
    credential = response.headers["Authorization"].partition("Credential=")[2].partition("/")[0]
    return create_access_key(DEFAULT_ACCOUNT_ID, PARTITION, credential, response.headers)


def entity_of(caller: Caller) -> User | Role:
    """Return the user, or the role of the session; raises `NotFoundException` where it was deleted."""
    if isinstance(caller, AssumedRoleAccessKey):
        return caller.backend.get_role(caller._owner_role_name)
    return caller.backend.get_user(caller._owner_user_name)


def _result(policies: Iterable[Any], action: str, resource: str, values: Values | None) -> PermissionResult:
    given: Any = values  # moto types the values as str
    results = {IAMPolicy(policy).is_action_permitted(action, resource, None, given) for policy in policies}
    order = (PermissionResult.DENIED, PermissionResult.PERMITTED)
    return next((result for result in order if result in results), PermissionResult.NEUTRAL)


def require_policy(backend: IAMBackend, boundary: str | None) -> None:
    """Raise AWS's error where there is no policy of this ARN; moto takes any ARN. Source: IAM API reference, CreateRole."""
    if boundary and boundary not in backend.managed_policies:
        raise NotFoundException(f"Scope ARN: {boundary} does not exist or is not attachable.")


def bound_users() -> None:
    """Let IAM of this process have permissions boundaries of users."""
    operations: dict[str, Any] = {
        "create_user": _with_boundary(IamResponse.create_user),
        "put_user_permissions_boundary": _put_boundary,
        "delete_user_permissions_boundary": _delete_boundary,
    }
    for name, operation in operations.items():
        setattr(IamResponse, name, operation)
    for name, value in {"permissions_boundary": Role.permissions_boundary, BOUNDARY: None}.items():
        setattr(User, name, value)


def _with_boundary(create: Any) -> Any:
    def create_user(response: IamResponse) -> ActionResult:
        boundary = response._get_param("PermissionsBoundary")
        require_policy(response.backend, boundary)
        answer: ActionResult = create(response)
        setattr(response.backend.get_user(response._get_param("UserName")), BOUNDARY, boundary)
        return answer

    return create_user


def _put_boundary(response: IamResponse) -> ActionResult:
    boundary = response._get_param("PermissionsBoundary")
    require_policy(response.backend, boundary)
    setattr(response.backend.get_user(response._get_param("UserName")), BOUNDARY, boundary)
    return EmptyResult()


def _delete_boundary(response: IamResponse) -> ActionResult:
    setattr(response.backend.get_user(response._get_param("UserName")), BOUNDARY, None)
    return EmptyResult()
