"""What the e2e tests share: a user with a shell, one instance, and real curl."""

import http.client
import json
import os
import re
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
import urllib3
from botocore.exceptions import ClientError

from components.gateway import REPLICAS
from components.labels import selector
from components.names import GATEWAY_NAMESPACE
from tests.remote_write import HEADERS, request
from tests.shell import ROOT, run

Shell = dict[str, str]
# Each process of `make test` that has a cloud has one of its own, in another slot than the user's, with one instance.
SLOT = 1 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
INSTANCE = f"walk{SLOT}"
DOMAIN = f"{INSTANCE}.opstrace.localhost"
PORT, DNS_PORT = 8443 + SLOT, 8053 + SLOT
LAUNCHER = str(ROOT / "opstrace")
STACK_FILE = ROOT / "stacks" / f"Pulumi.{INSTANCE}.yaml"
LABELS = "/api/v1/labels"
GATEWAY_MARKS = ",".join(f"{name}={value}" for name, value in selector("gateway", INSTANCE).items())


class Walk:
    """A user with a shell, in a folder of their own."""

    def __init__(self, folder: Path, shell: Shell) -> None:
        self.folder, self.shell = folder, shell
        self.ca = shell["AWS_CA_BUNDLE"]

    def opstrace(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return run(LAUNCHER, *arguments, cwd=self.folder, env=self.shell, check=check)

    def pulumi(self, *arguments: str) -> str:
        return str(run("pulumi", "--non-interactive", *arguments, "--stack", INSTANCE, env=self.shell).stdout)

    def kubectl(self, *arguments: str) -> str:
        return str(run("kubectl", *arguments, env=self.shell).stdout)

    def token(self, tenant: str) -> str:
        return (self.folder / f"tenant-api-token-{tenant}").read_text()

    def curl(self, url: str, *arguments: str, token: str | None = None) -> tuple[int, str]:
        header = ["-H", f"Authorization: Bearer {token}"] if token else []
        command = ["curl", "-s", "-m", "20", "--cacert", self.ca, "-w", "\n%{http_code}", *header, *arguments, url]
        body, _, status = run(*command, check=False).stdout.rpartition("\n")
        return int(status), body

    def push_line(self, tenant: str, line: str, token: str, job: str) -> tuple[int, str]:
        """Push one log line to a tenant's Loki, in a stream of its own job."""
        stream = {"stream": {"job": job}, "values": [[str(time.time_ns()), line]]}
        kind = ["-H", "Content-Type: application/json", "-d", json.dumps({"streams": [stream]})]
        return self.curl(url("loki", tenant, "/loki/api/v1/push"), *kind, token=token)

    def push_sample(self, tenant: str, labels: Mapping[str, str], value: float, token: str) -> tuple[int, str]:
        """Push one sample of now to a tenant's Cortex, as Prometheus does."""
        body = self.folder / f"{tenant}.push"
        body.write_bytes(request((labels, [(time.time(), value)])))
        headers = [part for name, text in HEADERS.items() for part in ("-H", f"{name}: {text}")]
        address = url("cortex", tenant, "/api/v1/push")
        return self.curl(address, *headers, "--data-binary", f"@{body}", token=token)

    def gateway_log(self) -> str:
        """Return what all pods of the gateway have written."""
        return self.kubectl("-n", GATEWAY_NAMESPACE, "logs", "-l", GATEWAY_MARKS, "--tail", "-1")

    def requests_logged(self) -> list[dict[str, Any]]:
        """Return the lines of the gateway's access log."""
        return [json.loads(line) for line in self.gateway_log().splitlines() if line.startswith('{"')]

    def follow(self, blocks: list[str], *given: Path) -> tuple[Path, str]:
        """Run a page's commands in a new folder that has the files `given`, with this instance's name and port.

        Return the folder and what was printed.
        """
        folder = Path(tempfile.mkdtemp(prefix="page-", dir=self.folder))
        for file in (Path(LAUNCHER), *given):
            (folder / file.name).symlink_to(file)
        script = "set -e\n" + "".join(blocks).replace("showdown", INSTANCE).replace(":8443", f":{PORT}")
        return folder, run("bash", "-c", script, cwd=folder, env=self.shell, timeout=600).stdout

    def resources(self) -> list[dict[str, Any]]:
        return list(json.loads(self.pulumi("stack", "export"))["deployment"]["resources"])

    def aws(self, service: str, **given: str) -> Any:
        """Return a client of a service, with the administrator's keys unless others are given."""
        url = self.shell["AWS_ENDPOINT_URL_S3" if service == "s3" else "AWS_ENDPOINT_URL"]
        keys = given or {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
        return boto3.client(service, "us-west-2", endpoint_url=url, verify=self.ca, **keys)

    def s3_of(self, tenant: str, role: str, service_account: str) -> Any:
        """Return S3 as a pod of the tenant's with this service account has it, by this role."""
        arn = self.aws("iam").get_role(RoleName=role)["Role"]["Arn"]
        words = ("create", "token", service_account, "--audience", "sts.amazonaws.com")
        token = self.kubectl("-n", f"{tenant}-tenant", *words).strip()
        asked = {"RoleArn": arn, "RoleSessionName": "test", "WebIdentityToken": token}
        given = self.aws("sts").assume_role_with_web_identity(**asked)["Credentials"]
        return self.aws(
            "s3",
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given["SessionToken"],
        )

    @contextmanager
    def policies_enforced(self) -> Iterator[None]:
        """Let moto check IAM policies meanwhile."""

        def after_calls(count: str) -> None:
            answer = urllib3.request("POST", f"{self.shell['AWS_ENDPOINT_URL']}/moto-api/reset-auth", body=count)
            assert answer.status == 200

        after_calls("0")
        try:
            yield
        finally:
            after_calls("inf")

    def buckets(self, tenant: str) -> list[str]:
        found = self.aws("s3").list_buckets()["Buckets"]
        return [entry["Name"] for entry in found if entry["Name"].startswith(f"{INSTANCE}-{tenant}-")]


class Held:
    """One connection to a tenant's API through the load balancer, which is never opened again."""

    def __init__(self, walk: Walk, tenant: str) -> None:
        host = f"cortex.{tenant}.{DOMAIN}"
        self._header = {"Host": host, "Authorization": f"Bearer {walk.token(tenant)}"}
        self._connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=20)
        self._connection.connect()
        context = ssl.create_default_context(cafile=walk.ca)
        self._connection.sock = context.wrap_socket(self._connection.sock, server_hostname=host)
        self._connection.auto_open = 0

    def ask(self) -> int:
        """Return the answer's status; raises an OSError or HTTPException where the connection was closed."""
        self._connection.request("GET", LABELS, headers=self._header)
        answer = self._connection.getresponse()
        answer.read()
        return answer.status


@contextmanager
def held(walk: Walk, tenant: str) -> Iterator[list[int]]:
    """Ask a tenant until the block ends, on one open connection and on a new one in turn; yields the answers' statuses.

    What ended a connection, if anything did, is raised in the end.
    """
    connection, answers, stop = Held(walk, tenant), [200], threading.Event()
    assert connection.ask() == 200

    def ask_on() -> None:
        while not stop.wait(0.1):
            answers.extend((connection.ask(), Held(walk, tenant).ask()))

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask_on)
        try:
            yield answers
        finally:
            stop.set()
        asking.result()


def is_unknown(walk: Walk, tenant: str, token: str) -> bool:
    """Tell whether the gateway knows no such tenant any more: each of its pods, of metrics as of logs."""
    asked = (url("cortex", tenant, LABELS), url("loki", tenant, "/loki/api/v1/labels"))
    # Its certificate went with it.
    return all(walk.curl(address, "-k", token=token)[0] == 404 for address in asked for _ in range(8))


def current(walk: Walk) -> bool:
    """Whether all pods of the gateway have what they should have: a limit that goes, too, takes its time to get there."""
    pods = json.loads(walk.opstrace("status", "local", INSTANCE, "--json").stdout)["gatewayPods"]
    return len(pods) == REPLICAS and all(state and state["current"] for state in pods.values())


def commands(page: str, under: str = "") -> list[str]:
    """Return the commands of a page of docs/, or of one of its sections: its fenced blocks without a language, a block each."""
    return blocks(page, under, "")


def unseen(page: str, under: str, said: str) -> list[str]:
    """Return the lines of a section's blocks of `text`, what its commands print, that are not among what they did print.

    Ages, numbers, sizes and ids of data may be others, and so may the instance's name.
    """

    def form(line: str) -> str:
        line = re.sub(r"\b[0-9a-f]{8}\b", "N", line)
        line = re.sub(r"\d[\d,.]* ?([smhd]|[kMG]?B)\b|\d[\d,.]*", "N", line.replace(INSTANCE, "showdown"))
        return " ".join(line.split())

    shown = [line for block in blocks(page, under, "text") for line in block.splitlines() if line != "…"]
    assert shown, f"{page} shows nothing under {under}"
    printed = " ".join(map(form, said.splitlines()))
    return [line for line in shown if form(line) not in printed]


def blocks(page: str, under: str, wanted: str) -> list[str]:
    """Return the fenced blocks of a language that a page of docs/ has, or one of its sections."""
    text = (ROOT / "docs" / page).read_text()
    if under:
        _, _, text = text.partition(f"\n## {under}\n")
        text = text.partition("\n## ")[0]
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [content for language, content in blocks if language == wanted]


def url(api: str, tenant: str, path: str) -> str:
    return f"https://{api}.{tenant}.{DOMAIN}:{PORT}{path}"


def assert_forbidden(call: Callable[[], Any]) -> None:
    """Fail unless AWS refuses what is called, for want of the right to it."""
    with pytest.raises(ClientError) as refused:
        call()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def assert_account_empty(walk: Walk) -> None:
    """Fail if the account or the cluster holds anything that an instance makes."""
    assert walk.aws("s3").list_buckets()["Buckets"] == []
    assert walk.aws("route53").list_hosted_zones()["HostedZones"] == []
    assert walk.aws("secretsmanager").list_secrets()["SecretList"] == []
    assert walk.aws("iam").list_roles()["Roles"] == []
    assert walk.aws("acm").list_certificates()["CertificateSummaryList"] == []
    assert walk.aws("elbv2").describe_load_balancers()["LoadBalancers"] == []
    assert walk.aws("elbv2").describe_target_groups()["TargetGroups"] == []
    groups = [group["GroupName"] for group in walk.aws("ec2").describe_security_groups()["SecurityGroups"]]
    assert {*groups} == {"default", "nodes"}
    assert "-tenant" not in walk.kubectl("get", "namespaces", "-o", "name")
    assert walk.kubectl("get", "persistentvolumes", "-o", "name") == ""
