"""The administrator's credentials for the embedded AWS: every start creates new ones, which only the owner can read."""

import json
import secrets
import string

from localcloud.errors import LocalCloudError
from localcloud.files import write_whole
from localcloud.settings import Settings

# AWS's form of access key ids, by which clients and moto recognize the kind of credentials.
PREFIX, LETTERS, LENGTH = "AKIA", string.ascii_uppercase + "234567", 16
SECRET_BYTES = 30  # 40 characters in base64


def draw(settings: Settings) -> None:
    """Write new random credentials to `node/aws-credentials.json`, with mode 0600."""
    content = {
        "aws_access_key_id": PREFIX + "".join(secrets.choice(LETTERS) for _ in range(LENGTH)),
        "aws_secret_access_key": secrets.token_urlsafe(SECRET_BYTES),
    }
    write_whole(settings.aws_credentials, json.dumps(content), 0o600)


def administrator(settings: Settings) -> dict[str, str]:
    """Return the credentials as boto3's arguments; raises `LocalCloudError` where they are missing."""
    try:
        content: dict[str, str] = json.loads(settings.aws_credentials.read_text())
    except FileNotFoundError as error:
        raise LocalCloudError(
            f"there are no AWS credentials in {settings.aws_credentials}: the embedded cloud was not started, or by an older "
            "version; start it again: `./opstrace local down`, then `./opstrace local up`"
        ) from error
    return content


def variables(settings: Settings) -> dict[str, str]:
    """Return the credentials as the environment variables that every AWS client reads.

    `AWS_SESSION_TOKEN` is empty, because some clients would use one that is already set.
    """
    variables = {name.upper(): value for name, value in administrator(settings).items()}
    return variables | {"AWS_SESSION_TOKEN": ""}
