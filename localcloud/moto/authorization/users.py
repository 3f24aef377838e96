"""Access keys of IAM users, which moto keeps; their secrets come from the system's random source."""

import secrets
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.iam.models import AccessKey, User, iam_backends

from localcloud.moto.authorization.web_identity import PARTITION, SECRET_BYTES

ACTIVE = "Active"


def key_of(access_key: str) -> AccessKey | None:
    """Return the active key of a user with this id, None where there is none."""
    users = [*iam_backends[DEFAULT_ACCOUNT_ID][PARTITION].users.values()]  # a copy: other threads add users
    keys = (key for user in users for key in [*user.access_keys])
    return next((key for key in keys if key.access_key_id == access_key and key.status == ACTIVE), None)


def make_key(make: Any) -> Any:
    """Wrap `User.create_access_key`: moto draws secrets from a generator whose later numbers can be predicted."""

    def create_access_key(user: User, **arguments: Any) -> AccessKey:
        key: AccessKey = make(user, **arguments)
        key.secret_access_key = secrets.token_urlsafe(SECRET_BYTES)
        return key

    return create_access_key
