"""Hostile requests: each is refused with its answer, and the back ends' own counters show that it never arrived."""

import base64
import hashlib
import hmac
import json
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import jwt
import pytest
import urllib3
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from components.keys import canonical_pem, key_id
from scripts.keyfiles import new_key, read_key_pair
from tests.e2e.walk import INSTANCE, LABELS, Walk, url

BAD = (401, "bad authentication token")
SCOPE = (401, "bad authentication token: scope does not cover metrics:read")
FORM = (401, "Authorization header format invalid. Expecting 'Bearer <AUTHTOKEN>'")
MISSING = (401, "Authorization header missing or invalid")
GONE: Any = None  # as a value of a claim: leave it out


@dataclass(frozen=True)
class Forgery:
    """How a token differs from a good one of the tenant `default`."""

    claims: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, Any] = field(default_factory=dict)
    algorithm: str = "RS256"
    by_stranger: bool = False

    def token(self, key: RSAPrivateKey) -> str:
        """Return the token; `key` is one that the instance trusts."""
        now = int(time.time())
        good = {"iat": now, "exp": now + 600, "aud": f"opstrace-cluster-{INSTANCE}", "iss": "opstrace-cli"}
        claims = {**good, "sub": "tenant-default", **self.claims}
        if "exp" in self.claims and isinstance(self.claims["exp"], int):
            claims["exp"] = now + self.claims["exp"]
        claims = {name: value for name, value in claims.items() if value is not None}
        headers = {"kid": key_id(key.public_key()), **self.headers}
        headers = {name: value for name, value in headers.items() if value is not None}
        if self.algorithm in ("none", "HS256"):
            return _unsigned(self.algorithm, headers, claims, canonical_pem(key.public_key()).encode())
        return jwt.encode(claims, new_key() if self.by_stranger else key, self.algorithm, headers)


def _unsigned(algorithm: str, headers: dict[str, Any], claims: dict[str, Any], secret: bytes) -> str:
    def encoded(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    head = {"typ": "JWT", "alg": algorithm, **headers}
    text = ".".join(encoded(json.dumps(part).encode()) for part in (head, claims))
    signature = hmac.new(secret, text.encode(), hashlib.sha256).digest() if algorithm == "HS256" else b"x"
    return f"{text}.{encoded(signature)}"


TOKENS = {
    "alg none": (Forgery(algorithm="none"), BAD),
    "HS256 signed with the public key": (Forgery(algorithm="HS256"), BAD),
    "RS512": (Forgery(algorithm="RS512"), BAD),
    "PS256": (Forgery(algorithm="PS256"), BAD),
    "no kid": (Forgery(headers={"kid": None}), BAD),
    "an empty kid": (Forgery(headers={"kid": ""}), BAD),
    "unknown kid": (Forgery(headers={"kid": "0" * 40}), BAD),
    "a path as kid": (Forgery(headers={"kid": "../../etc/passwd"}), BAD),
    "signed by a stranger under a known kid": (Forgery(by_stranger=True), BAD),
    "another issuer": (Forgery(claims={"iss": "somebody"}), BAD),
    "no issuer": (Forgery(claims={"iss": GONE}), BAD),
    "another instance": (Forgery(claims={"aud": "opstrace-cluster-other"}), BAD),
    "no audience": (Forgery(claims={"aud": GONE}), BAD),
    "expired": (Forgery(claims={"exp": -30}), BAD),
    "no expiry": (Forgery(claims={"exp": GONE}), BAD),
    "no subject": (Forgery(claims={"sub": GONE}), BAD),
    "subject in capitals": (Forgery(claims={"sub": "tenant-DEFAULT"}), BAD),
    "subject without prefix": (Forgery(claims={"sub": "default"}), BAD),
    "an id that is no text": (Forgery(claims={"jti": 1}), BAD),
    "a scope that is a list": (Forgery(claims={"scope": ["metrics:read"]}), SCOPE),
    "an empty scope": (Forgery(claims={"scope": ""}), SCOPE),
    "another scope": (Forgery(claims={"scope": "metrics:write logs:read"}), SCOPE),
    "another tenant": (
        Forgery(claims={"sub": "tenant-system"}),
        (401, "bad authentication token: unexpected tenant: system"),
    ),
}
HEADERS = {
    "none": ([], MISSING),
    "empty": (["Authorization;"], MISSING),
    "letters before Bearer": (["Authorization: XXBearer {token}"], FORM),
    "bearer in small letters": (["Authorization: bearer {token}"], FORM),
    "two blanks": (["Authorization: Bearer  {token}"], FORM),
    "something after the token": (["Authorization: Bearer {token} x"], FORM),
    "two headers": (["Authorization: Bearer {token}", "Authorization: Bearer {token}"], FORM),
    "no token": (["Authorization: Bearer"], FORM),
    "a changed signature": (["Authorization: Bearer {token}x"], BAD),
    "no JWT": (["Authorization: Bearer a.b.c"], BAD),
    "Basic with a wrong password": (["Authorization: Basic eDp5"], FORM),
    "another tenant claimed": (["X-Scope-OrgID: default"], MISSING),
}
PATHS = [
    *("/config", "/runtime_config", "/services", "/metrics", "/flush", "/shutdown", "/ring", "/ingester/ring", "/"),
    *("/api/v1/status/config", "/api/v1/rules", "/api/v1/admin/tsdb/delete_series", "/prometheus/api/v1/labels"),
    *("/api/v1/push/../../config", "/api/v1/../../config", "/api/v1/%2e%2e/%2e%2e/config", "/api/v1%2fpush"),
    *("/api/v1/labels/", "/api/v1/pushx", "//config", "/debug/pprof/", "/multitenant_alertmanager/status"),
]


@pytest.fixture(scope="module")
def key(trusted_pair: str) -> RSAPrivateKey:
    return read_key_pair(Path(trusted_pair))


def _requests(walk: Walk, tenant: str = "default") -> dict[str, str]:
    """Return the back ends' counters of the HTTP requests that reached them, probes left out."""
    found = {}
    for program, port in (("cortex", 9009), ("loki", 3100)):
        path = f"/api/v1/namespaces/{tenant}-tenant/pods/{program}-0:{port}/proxy/metrics"
        for line in walk.kubectl("get", "--raw", path).splitlines():
            counter = re.match(
                rf'({program}_request_duration_seconds_count{{method="[A-Z]+",route="(\w+)".*}}) (\d+)', line
            )
            if counter and counter[2] not in ("ready", "metrics"):
                found[counter[1]] = counter[3]
    return found


@pytest.fixture(autouse=True)
def nothing_arrives(walk: Walk, request: pytest.FixtureRequest):
    before = _requests(walk)
    yield
    arrives = request.node.get_closest_marker("arrives") is not None
    assert (_requests(walk) != before) == arrives


@pytest.mark.arrives
def test_a_good_token_of_this_forge_is_let_in(walk: Walk, key: RSAPrivateKey) -> None:
    assert walk.curl(url("cortex", "default", LABELS), token=Forgery().token(key))[0] == 200


@pytest.mark.arrives
def test_a_token_is_taken_as_the_password_of_basic_auth(walk: Walk, key: RSAPrivateKey) -> None:
    assert walk.curl(url("cortex", "default", LABELS), "-u", f"anybody:{Forgery().token(key)}")[0] == 200


def test_forged_tokens_are_refused(walk: Walk, key: RSAPrivateKey) -> None:
    wanted = {case: answer for case, (_, answer) in TOKENS.items()}
    given = {
        case: walk.curl(url("cortex", "default", LABELS), token=forgery.token(key))
        for case, (forgery, _) in TOKENS.items()
    }
    assert given == wanted


def test_the_header_has_one_form(walk: Walk) -> None:
    wanted = {case: answer for case, (_, answer) in HEADERS.items()}
    token = walk.token("default")
    given = {}
    for case, (headers, _) in HEADERS.items():
        arguments = [part for header in headers for part in ("-H", header.format(token=token))]
        given[case] = walk.curl(url("cortex", "default", LABELS), *arguments)
    assert given == wanted


def test_a_token_in_the_url_is_ignored(walk: Walk) -> None:
    asked = f"{LABELS}?access_token={walk.token('default')}"
    assert walk.curl(url("cortex", "default", asked)) == MISSING


def test_nothing_but_the_tenant_s_api_is_reachable(walk: Walk) -> None:
    token = walk.token("default")
    answers = {
        f"{api}{path}": walk.curl(url(api, "default", path), "--path-as-is", token=token)[0]
        for path in PATHS
        for api in ("cortex", "loki")
    }
    assert {*answers.values()} <= {400, 404}, answers


def test_a_websocket_without_a_token_is_refused(walk: Walk) -> None:
    upgrade = ["-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13"]
    asked = url("loki", "default", "/loki/api/v1/tail?query=%7Ba%3D%22b%22%7D")
    assert walk.curl(asked, "--http1.1", *upgrade, "-H", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==") == MISSING


def test_a_tenant_s_role_opens_its_own_buckets_and_no_other(walk: Walk) -> None:
    endpoint = walk.shell["AWS_ENDPOINT_URL"]
    role = walk.aws("iam").get_role(RoleName=f"opstrace-{INSTANCE}-default")["Role"]["Arn"]
    token = walk.kubectl("-n", "default-tenant", "create", "token", "tenant", "--audience", "sts.amazonaws.com").strip()
    own, other = walk.buckets("default"), walk.buckets("system")
    assert len(own) == len(other) == 3
    given = walk.aws("sts").assume_role_with_web_identity(RoleArn=role, RoleSessionName="test", WebIdentityToken=token)[
        "Credentials"
    ]
    s3 = boto3.client(
        "s3",
        "us-west-2",
        endpoint_url=walk.shell["AWS_ENDPOINT_URL_S3"],
        verify=walk.ca,
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )
    _enforce_iam(endpoint, "0")
    try:
        for bucket in own:
            assert s3.put_object(Bucket=bucket, Key="probe", Body=b"x")["ResponseMetadata"]["HTTPStatusCode"] == 200
            s3.list_objects_v2(Bucket=bucket)
            s3.delete_object(Bucket=bucket, Key="probe")
        for bucket in other:
            for call in (
                lambda bucket=bucket: s3.put_object(Bucket=bucket, Key="probe", Body=b"x"),
                lambda bucket=bucket: s3.list_objects_v2(Bucket=bucket),
            ):
                with pytest.raises(ClientError) as refused:
                    call()
                assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    finally:
        _enforce_iam(endpoint, "inf")


def _enforce_iam(endpoint: str, after_calls: str) -> None:
    """Let moto check IAM policies after so many further calls (`inf`: never)."""
    answer = urllib3.request("POST", f"{endpoint}/moto-api/reset-auth", body=after_calls)
    assert answer.status == 200
