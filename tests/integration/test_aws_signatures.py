"""The embedded AWS requires signatures that cover the whole request."""

import datetime
import time
from hashlib import sha256
from typing import Any

import pytest
import urllib3
from botocore import UNSIGNED
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config

from localcloud.settings import REGION
from tests.support.aws_requests import CALLS, OTHER, OWN, administrator_credentials, send
from tests.support.embedded_aws import EmbeddedAws, refusal

# AWS's error codes for a wrong secret, an unknown access key, and no signature.
QUERY: tuple[str, ...] = ("SignatureDoesNotMatch", "InvalidClientTokenId", "MissingAuthenticationToken")

JSON: tuple[str, ...] = (
    "InvalidSignatureException",
    "UnrecognizedClientException",
    "MissingAuthenticationTokenException",
)

CODES = dict.fromkeys(CALLS, QUERY) | {"acm": JSON, "secretsmanager": JSON}

CODES |= {"s3": ("SignatureDoesNotMatch", "InvalidAccessKeyId", "AccessDenied"), "ec2": ("AuthFailure",) * 2}


@pytest.mark.parametrize("service", CALLS)
def test_without_the_administrator_s_signature_no_service_answers(aws: EmbeddedAws, service: str) -> None:
    assert refusal(getattr(aws.client(service), CALLS[service])) is None
    strangers = [
        {"aws_secret_access_key": "local"},
        {"aws_access_key_id": "AKIASTRANGER34567890"},
        {"config": Config(signature_version=UNSIGNED)},
    ]
    answers = [refusal(getattr(aws.client(service, **options), CALLS[service])) for options in strangers]
    codes = CODES[service]
    assert answers[: len(codes)] == [(403, code) for code in codes]
    assert {answer and answer[0] for answer in answers} == {403}


def test_the_credentials_of_former_versions_open_nothing(aws: EmbeddedAws) -> None:
    former = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
    assert {refusal(getattr(aws.client(name, **former), call))[0] for name, call in CALLS.items()} == {403}  # type: ignore[index]  # a call that is accepted has None, and fails here as it should


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/moto-api/"),
        ("GET", "/moto-api/data.json"),
        ("POST", "/moto-api/reset"),
        ("POST", "/moto-api/reset-auth"),
        ("POST", "/moto-api/seed?a=1"),
        ("POST", "/moto-api/recorder/start-recording"),
        ("POST", "/moto-api/config"),
        ("GET", "/latest/meta-data/iam/security-credentials/"),
        ("GET", f"/{OWN}/probe"),
        ("OPTIONS", f"/{OWN}/probe"),
        ("OPTIONS", "/moto-api/reset"),
        ("POST", f"/{OWN}?delete"),
        ("GET", "//moto-api/data.json"),
        ("POST", "/"),
    ],
)
def test_moto_s_own_paths_and_unsigned_requests_are_refused(aws: EmbeddedAws, method: str, path: str) -> None:
    web = {"Origin": "https://evil.example", "Access-Control-Request-Method": "PUT"}
    answer = urllib3.request(method, f"{aws.settings.aws_endpoint}{path}", headers=web, redirect=False)
    assert answer.status == 403 and "Access-Control-Allow-Origin" not in answer.headers
    assert refusal(aws.client("s3").head_object, Bucket=OWN, Key="probe") is None  # nothing was reset


def test_the_one_unsigned_call_can_be_taken_for_no_other(aws: EmbeddedAws) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for path, body, headers in (
        ("/", "Action=AssumeRoleWithWebIdentity&Action=ListRoles&Version=2010-05-08", {}),
        ("/", "Action=ListRoles&Version=2010-05-08", {}),
        ("/?Action=ListRoles", "Action=AssumeRoleWithWebIdentity&Version=2011-06-15", {}),
        ("/moto-api/reset", "Action=AssumeRoleWithWebIdentity&Version=2011-06-15", {}),
        ("/", "Action=AssumeRoleWithWebIdentity", {"X-Amz-Target": "secretsmanager.ListSecrets"}),
        ("/", "Action=AssumeRoleWithWebIdentity&a=b=c", {}),
        ("/", "Action=AssumeRoleWithSAML&Version=2011-06-15", {}),
    ):
        answer = urllib3.request("POST", aws.settings.aws_endpoint + path, body=body, headers=form | headers)
        assert answer.status == 403, (path, body)


def test_a_body_that_is_not_the_signed_one_is_refused(aws: EmbeddedAws) -> None:
    request = AWSRequest("PUT", f"{aws.settings.s3_endpoint}/{OWN}/body", data=b"signed")
    S3SigV4Auth(administrator_credentials(aws), "s3", REGION).add_auth(request)
    assert send(aws, request, b"forged")[0] == 400
    assert send(aws, request, b"signed")[0] == 200
    assert aws.client("s3").get_object(Bucket=OWN, Key="body")["Body"].read() == b"signed"


def test_a_signature_holds_for_its_own_request_alone(aws: EmbeddedAws) -> None:
    request = AWSRequest("GET", f"{aws.settings.s3_endpoint}/{OWN}/probe?versionId=null")
    S3SigV4Auth(administrator_credentials(aws), "s3", REGION).add_auth(request)
    assert send(aws, request, b"")[0] == 200
    for changed in (f"/{OTHER}/probe?versionId=null", f"/{OWN}/probe?acl", f"/{OWN}/probe"):
        status, answer = send(aws, request, b"", aws.settings.s3_endpoint + changed)
        assert status == 403 and "SignatureDoesNotMatch" in answer
    request.method = "DELETE"
    assert send(aws, request, b"")[0] == 403


def test_headers_of_aws_that_are_not_signed_are_refused(aws: EmbeddedAws) -> None:
    added = {
        "x-amz-copy-source": f"/{OTHER}/probe",
        "X-Amz-Acl": "public-read",
        "x-amz-tagging": "a=b",
        "x-amz-website-redirect-location": "https://evil.example",
    }
    s3 = aws.client("s3", config=Config(signature_version="s3v4"))
    url = s3.generate_presigned_url("put_object", {"Bucket": OWN, "Key": "extended"}, ExpiresIn=60)
    pool = urllib3.PoolManager(ca_certs=str(aws.settings.ca))
    for name, value in added.items():
        request = AWSRequest("PUT", f"{aws.settings.s3_endpoint}/{OWN}/extended", data=b"own")
        S3SigV4Auth(administrator_credentials(aws), "s3", REGION).add_auth(request)
        request.headers[name] = value
        status, answer = send(aws, request, b"own")
        assert status == 403 and "AccessDenied" in answer and "not signed" in answer, name
        assert pool.request("PUT", url, body=b"own", headers={name: value}).status == 403, name
    assert refusal(s3.head_object, Bucket=OWN, Key="extended") == (404, "404")
    assert pool.request("PUT", url, body=b"own").status == 200  # the request as it was signed
    signed = {"Bucket": OWN, "Key": "extended", "ContentType": "text/plain", "Metadata": {"a": "b"}}
    url = s3.generate_presigned_url("put_object", signed, ExpiresIn=60)
    headers = {"Content-Type": "text/plain", "x-amz-meta-a": "b"}
    assert pool.request("PUT", url, body=b"own", headers=headers).status == 200
    assert pool.request("PUT", url, body=b"own", headers=headers | {"x-amz-meta-b": "c"}).status == 403


def test_the_target_of_a_call_must_be_signed(aws: EmbeddedAws) -> None:
    json_form = {"Content-Type": "application/x-amz-json-1.1"}
    request = AWSRequest("POST", f"{aws.settings.s3_endpoint}/", data=b"{}", headers=json_form)
    SigV4Auth(administrator_credentials(aws), "secretsmanager", REGION).add_auth(request)
    request.headers["X-Amz-Target"] = "secretsmanager.ListSecrets"
    status, answer = send(aws, request, b"{}")
    assert status == 403 and "InvalidSignatureException" in answer


def test_a_signature_of_another_time_is_refused(aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.datetime.now(datetime.UTC)
    for minutes, status in ((-16, 403), (16, 403), (-14, 200)):
        moved = now + datetime.timedelta(minutes=minutes)
        monkeypatch.setattr("botocore.auth.get_current_datetime", lambda moved=moved: moved)
        request = AWSRequest("GET", f"{aws.settings.s3_endpoint}/{OWN}/probe")
        S3SigV4Auth(administrator_credentials(aws), "s3", REGION).add_auth(request)
        assert send(aws, request, b"")[0] == status


KEYS = ["plain", "a b+c/ü?#%&=~", "x//y", "/lead", "e=~*'()"]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_any_key_is_signed_as_botocore_does(aws: EmbeddedAws, tenant: dict[str, Any], key: str, scheme: str) -> None:
    bucket = OWN if scheme == "https" else "plain-http"
    url = aws.settings.s3_endpoint if scheme == "https" else aws.settings.aws_endpoint
    s3 = aws.client("s3", url=url)
    if scheme == "http":
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=bucket, Key=key, Body=b"x" * 70_000, Metadata={"a": "b   c"})
    assert len(s3.get_object(Bucket=bucket, Key=key)["Body"].read()) == 70_000
    keys = s3.list_objects_v2(Bucket=bucket, Prefix=key, Delimiter="/")["Contents"]
    assert [entry["Key"] for entry in keys] == [key]
    s3.delete_object(Bucket=bucket, Key=key)
    if scheme == "http":
        s3.delete_bucket(Bucket=bucket)


def _chunked(aws: EmbeddedAws, chunks: list[bytes]) -> tuple[AWSRequest, list[str]]:
    """Return a signed upload in signed chunks, as minio-go sends it without TLS, and the chunks' signatures."""
    auth = S3SigV4Auth(administrator_credentials(aws), "s3", REGION)
    auth.payload = lambda _: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    request = AWSRequest("PUT", f"{aws.settings.s3_endpoint}/{OWN}/chunks")
    request.headers["Content-Encoding"] = "aws-chunked"
    request.headers["X-Amz-Decoded-Content-Length"] = str(sum(map(len, chunks)))
    auth.add_auth(request)
    before = request.headers["Authorization"].rsplit("=", 1)[-1]
    moment, signatures = request.context["timestamp"], []
    scope = f"{moment[:8]}/{REGION}/s3/aws4_request"
    nothing = sha256(b"").hexdigest()
    for chunk in [*chunks, b""]:
        text = ["AWS4-HMAC-SHA256-PAYLOAD", moment, scope, before, nothing, sha256(chunk).hexdigest()]
        before = auth.signature("\n".join(text), request)
        signatures.append(before)
    return request, signatures


def _framed(chunks: list[bytes], signatures: list[str]) -> bytes:
    frames = [
        f"{len(chunk):x};chunk-signature={signature}\r\n".encode() + chunk + b"\r\n"
        for chunk, signature in zip([*chunks, b""], signatures, strict=True)
    ]
    return b"".join(frames)


def test_signed_chunks_are_taken_and_forged_ones_are_not(aws: EmbeddedAws) -> None:
    chunks = [b"a" * 65536, b"b" * 1000]
    request, signatures = _chunked(aws, chunks)
    assert send(aws, request, _framed([b"A" * 65536, b"b" * 1000], signatures))[0] == 403
    assert send(aws, request, _framed(chunks, signatures).rpartition(b"0;chunk")[0])[0] == 400
    assert send(aws, request, _framed(chunks, signatures))[0] == 200
    assert aws.client("s3").get_object(Bucket=OWN, Key="chunks")["Body"].read() == b"".join(chunks)


def test_a_signed_url_opens_its_object_until_it_expires(aws: EmbeddedAws, tenant: dict[str, Any]) -> None:
    for parameters in ({}, tenant):
        s3 = aws.client("s3", config=Config(signature_version="s3v4"), **parameters)
        pool = urllib3.PoolManager(ca_certs=str(aws.settings.ca))
        url = s3.generate_presigned_url("get_object", {"Bucket": OWN, "Key": "probe"}, ExpiresIn=2)
        assert pool.request("GET", url).status == 200
        for forged in (url.replace("probe", "rules/default"), url.replace("Expires=2", "Expires=99"), f"{url}0"):
            assert pool.request("GET", forged).status in (400, 403)
        assert pool.request("PUT", url, body=b"x").status == 403
        time.sleep(3)
        assert pool.request("GET", url).status == 403
        other = s3.generate_presigned_url("get_object", {"Bucket": OTHER, "Key": "probe"}, ExpiresIn=60)
        assert pool.request("GET", other).status == (403 if parameters else 200)
