"""Sessions of roles in the embedded AWS end at their time."""

from typing import Any

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sts.models import AssumedRole, STSBackend, sts_backends
from werkzeug.test import EnvironBuilder

from localcloud.moto.authorization.enforcement import CALLER, SESSION
from localcloud.moto.authorization.gate import Gate
from localcloud.moto.authorization.web_identity import make_session
from localcloud.settings import REGION

HOST = "https://127.0.0.1"
ROLE = {"region_name": REGION, "role_session_name": "test", "policy": None, "external_id": None}


@pytest.fixture
def sts(monkeypatch: pytest.MonkeyPatch) -> STSBackend:
    monkeypatch.setattr(STSBackend, "assume_role", make_session(STSBackend.assume_role))
    backend = sts_backends[DEFAULT_ACCOUNT_ID]["aws"]
    monkeypatch.setattr(backend, "assumed_roles", [])
    return backend


def session(sts: STSBackend, seconds: int) -> AssumedRole:
    assume_role: Any = sts.assume_role
    role = f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:role/r"
    session: AssumedRole = assume_role(role_arn=role, duration=seconds, **ROLE)
    return session


def answer_to(caller: AssumedRole, service: str = "s3") -> tuple[str, str, str | None]:
    """Return status and body of the answer to a request that a session signed, and the caller that moto identifies."""
    request = AWSRequest("GET", f"{HOST}/bucket/key")
    S3SigV4Auth(
        Credentials(caller.access_key_id, caller.secret_access_key, caller.session_token), service, REGION
    ).add_auth(request)
    environ = EnvironBuilder(path="/bucket/key", base_url=HOST, headers=dict(request.headers)).get_environ()
    environ["RAW_URI"] = "/bucket/key"
    statuses: list[str] = []

    def application(_: Any, start: Any) -> list[bytes]:
        start("200 OK", [])
        return [b"moto"]

    keys = {"aws_access_key_id": "AKIA", "aws_secret_access_key": "x"}
    body = b"".join(Gate(application, keys)(environ, lambda status, *_: statuses.append(status)))
    return statuses[0], body.decode(), environ.get(CALLER)


def test_a_session_is_accepted_until_it_ends(sts: STSBackend) -> None:
    assert answer_to(session(sts, 900)) == ("200 OK", "moto", SESSION)
    status, body, caller = answer_to(session(sts, 0))
    assert status == "403 FORBIDDEN" and "ExpiredToken" in body and caller is None


def test_sessions_that_ended_are_forgotten(sts: STSBackend) -> None:
    ended, lasting = session(sts, 0), session(sts, 900)
    assert sts.assumed_roles == [lasting]
    status, body, _ = answer_to(ended)
    assert status == "403 FORBIDDEN" and "InvalidAccessKeyId" in body


def test_a_session_is_refused_by_other_services(sts: STSBackend) -> None:
    assert answer_to(session(sts, 900), "iam")[0] == "403 FORBIDDEN"
