"""Requests that the embedded AWS does not know, secrets that other users could read, and idle connections."""

import contextlib
import socket
import ssl
import time
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import ClientError

from localcloud.moto import account
from localcloud.moto.serving import HEADERS_SECONDS
from localcloud.settings import HTTP_PORT, HTTPS_PORT, REGION
from tests.support.aws_requests import (
    OWN,
    TENANT,
    account_of,
    administrator_credentials,
    send,
    session_credentials,
)
from tests.support.embedded_aws import EmbeddedAws, refusal
from tests.support.shell import run

NOBODY = 65534

HOSTS = (
    "name-123456789012.s3-accesspoint.us-west-2.amazonaws.com",
    "name.s3-accesspoint.us-west-2.amazonaws.com",
    ".s3-accesspoint.",
)

FORM = {"Content-Type": "application/x-www-form-urlencoded"}

JSON_FORM = {"Content-Type": "application/x-amz-json-1.1"}


def test_unknown_requests_are_refused_without_a_traceback(aws: EmbeddedAws, tenant: dict[str, Any]) -> None:
    answers = {}
    for credentials in (administrator_credentials(aws), session_credentials(tenant)):
        for method, path, body, headers, service in (
            *(("GET", "/probe", b"", {"Host": host}, "s3") for host in HOSTS),
            *(("GET", "/", b"", {"Host": host}, "s3") for host in HOSTS),
            ("POST", "/", b"Action=ListRoles&Version=2010-05-08", FORM, "sts"),
            ("POST", "/", b"Action=&Version=2010-05-08", FORM, "sts"),
            ("POST", "/", b"{}", {"X-Amz-Target": "secretsmanager.ListSecrets", **JSON_FORM}, "sts"),
            ("POST", "/", b"{}", {"X-Amz-Target": "Nothing", **JSON_FORM}, "sts"),
            ("POST", "/", b"Action=GetFederationTokens&Version=2011-06-15", FORM, "sts"),
            ("POST", "/", b"Action=DecodeAuthorizationMessage&EncodedMessage=x&Version=2011-06-15", FORM, "sts"),
            ("GET", "/nothing", b"", {}, "sts"),
            ("POST", f"/{OWN}/probe", b"x", {}, "s3"),
            ("PATCH", f"/{OWN}/probe", b"", {}, "s3"),
            ("PATCH", f"/{OWN}", b"", {}, "s3"),
            ("PUT", f"/{OWN}/copied", b"", {"x-amz-copy-source": "nothing"}, "s3"),
            ("GET", f"/{OWN}/probe?uploadId=nosuch", b"", {}, "s3"),
        ):
            request = AWSRequest(method, aws.settings.s3_endpoint + path, data=body, headers=headers)
            kind = S3SigV4Auth if service == "s3" else SigV4Auth
            kind(credentials, service, REGION).add_auth(request)
            answers[method, path, body, str(headers), service, credentials.token is None] = send(aws, request, body)
    assert [(request, answer) for request, answer in answers.items() if not 400 <= answer[0] < 500] == []
    assert "Traceback" not in aws.log.read_text()


def test_an_unknown_call_and_access_point_have_the_codes_of_aws(aws: EmbeddedAws) -> None:
    request = AWSRequest("POST", f"{aws.settings.s3_endpoint}/", data=b"Action=ListRoles", headers=FORM)
    SigV4Auth(administrator_credentials(aws), "sts", REGION).add_auth(request)
    status, answer = send(aws, request, b"Action=ListRoles")
    assert (status, "<Code>InvalidAction</Code>" in answer) == (400, True)
    request = AWSRequest("GET", f"{aws.settings.s3_endpoint}/probe", headers={"Host": HOSTS[0]})
    S3SigV4Auth(administrator_credentials(aws), "s3", REGION).add_auth(request)
    status, answer = send(aws, request, b"")
    assert (status, "<Code>NoSuchAccessPoint</Code>" in answer) == (404, True)


def test_a_session_s_secret_is_unpredictable(aws: EmbeddedAws) -> None:
    secrets = set()
    for _ in range(2):
        account.control(aws.settings, "POST", "/moto-api/seed?a=1")
        secrets.add(aws.session("tenant", aws.token(account_of(TENANT, "tenant")))["aws_secret_access_key"])
    assert len(secrets) == 2


def _as_nobody(*command: str) -> Any:
    """Run a command as another user of this machine."""
    user = ("--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups")
    return run("setpriv", *user, *command, check=False)


def test_another_user_of_the_machine_reads_no_credentials_and_registers_no_target(aws: EmbeddedAws) -> None:
    for path in (aws.settings.aws_credentials, aws.settings.home, aws.settings.node / "edge"):
        assert "Permission denied" in _as_nobody("ls", str(path)).stderr
    assert aws.settings.aws_credentials.stat().st_mode & 0o777 == 0o600
    ec2, balancers = aws.client("ec2"), aws.client("elbv2")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    group = balancers.create_target_group(Name="gateway", Protocol="TCP", Port=80, VpcId=vpc, TargetType="ip")
    arn = group["TargetGroups"][0]["TargetGroupArn"]
    form = f"Action=RegisterTargets&Version=2015-12-01&TargetGroupArn={arn}&Targets.member.1.Id=127.0.0.1"
    status = ("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--noproxy", "*")
    signed = ("--aws-sigv4", f"aws:amz:{REGION}:elasticloadbalancing", "--user", "local:local")
    listing = ("--aws-sigv4", f"aws:amz:{REGION}:s3", "--user", "local:local")
    endpoint = f"{aws.settings.aws_endpoint}/"
    assert _as_nobody(*status, *signed, "-d", form, endpoint).stdout == "403"
    assert _as_nobody(*status, "-d", form, endpoint).stdout == "403"
    assert _as_nobody(*status, *listing, endpoint).stdout == "403"
    assert _as_nobody(*status, endpoint).stdout == "403"
    assert balancers.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"] == []


def test_the_secret_is_on_no_command_line_and_in_no_log(aws: EmbeddedAws) -> None:
    secret = aws.keys["aws_secret_access_key"]
    shown = run("ps", "-eo", "args").stdout
    assert "localcloud.moto.server" in shown and secret not in shown
    assert secret not in aws.log.read_text()
    with pytest.raises(ClientError):
        aws.client("s3", aws_secret_access_key="wrong").list_buckets()
    assert "Traceback" not in aws.log.read_text()


def _send_slowly(connection: socket.socket, until: float) -> None:
    """Send byte after byte: each byte comes in time, but the complete request does not."""
    while time.monotonic() < until:
        connection.sendall(b"a")
        time.sleep(0.5)


def test_silent_connections_block_no_other_client_and_are_closed(aws: EmbeddedAws) -> None:
    address, began = aws.settings.aws_address, time.monotonic()
    ports = (HTTPS_PORT, HTTP_PORT)
    silent = [socket.create_connection((address, port), 20) for port in ports for _ in range(3)]
    context = ssl.create_default_context(cafile=str(aws.settings.ca))
    after_handshake = context.wrap_socket(socket.create_connection((address, HTTPS_PORT), 5), server_hostname=address)
    slow = socket.create_connection((address, HTTP_PORT), 20)
    slow.sendall(b"GET / HTTP/1.1\r\n")
    silent += [after_handshake]
    at_once = Config(connect_timeout=5, read_timeout=5)
    assert refusal(aws.client("s3", config=at_once).list_buckets) is None
    assert refusal(aws.client("sts", config=at_once).get_caller_identity) is None
    assert time.monotonic() - began < HEADERS_SECONDS / 2
    with pytest.raises(ConnectionError):
        _send_slowly(slow, until=began + 2 * HEADERS_SECONDS)
    for connection in silent:
        connection.settimeout(HEADERS_SECONDS)
        with contextlib.suppress(ssl.SSLEOFError):  # closed without TLS's close_notify
            assert connection.recv(1) == b""
        connection.close()
    slow.close()


def test_a_connection_without_tls_is_closed_without_a_traceback(aws: EmbeddedAws) -> None:
    with socket.create_connection((aws.settings.aws_address, HTTPS_PORT), 5) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            while plain.recv(4096):  # a TLS alert, then the end
                pass
    assert "Traceback" not in aws.log.read_text()
