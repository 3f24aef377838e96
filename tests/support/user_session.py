"""A user of an instance on an embedded cloud: a shell, the commands, and real curl."""

import http.client
import json
import os
import re
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from components.core.labels import selector
from components.core.names import GATEWAY_NAMESPACE
from components.gateway.gateway import REPLICAS
from scripts.stackfile.file import StackFile
from tests.support.polling import repeated
from tests.support.project import Project
from tests.support.remote_write import HEADERS, request
from tests.support.shell import ROOT, administrator, run

Shell = dict[str, str]
# Each pytest process has its own cloud and instance. Slot 0 is the user's.
SLOT = 1 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
INSTANCE = f"walk{SLOT}"
DOMAIN = f"{INSTANCE}.opstrace.localhost"
PORT, DNS_PORT = 8443 + SLOT, 8053 + SLOT
# The first and the last command of the tutorials; the commands between them use this instance.
CREATE = ("create", "local", INSTANCE, "--tenant", "default")
DESTROY = ("destroy", "local", INSTANCE, "--purge", "--yes")
LABELS = "/api/v1/labels"
GATEWAY_MARKS = ",".join(f"{name}={value}" for name, value in selector("gateway", INSTANCE).items())


class UserSession:
    """A user with a shell, whose working directory is `folder` and whose checkout is `project`."""

    def __init__(self, folder: Path, shell: Shell, project: Project) -> None:
        self.folder, self.shell, self.project = folder, shell, project
        self.ca = shell["AWS_CA_BUNDLE"]
        self.stack_path = project.stack_path(INSTANCE)
        self.created = ""  # what `create` printed

    def stack_file(self) -> StackFile:
        """Return the instance's stack file as the command reads and writes it."""
        return self.project.stack_file(INSTANCE)

    def in_project(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the project's folder, as a user of plain `pulumi` does."""
        return run(*command, cwd=self.project.folder, env=self.shell, check=check)

    def opstrace(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return run(self.project.launcher, *arguments, cwd=self.folder, env=self.shell, check=check)

    def pulumi(self, *arguments: str) -> str:
        return self.in_project("pulumi", "--non-interactive", *arguments, "--stack", INSTANCE).stdout

    def kubectl(self, *arguments: str) -> str:
        return str(run("kubectl", *arguments, env=self.shell).stdout)

    def token(self, tenant: str) -> str:
        return (self.folder / f"tenant-api-token-{tenant}").read_text()

    def curl(self, url: str, *arguments: str, token: str | None = None) -> tuple[int, str]:
        header = ["-H", "@-"] if token else []  # command lines are visible to all users
        command = ["curl", "-s", "-m", "20", "--cacert", self.ca, "-w", "\n%{http_code}", *header, *arguments, url]
        typed = f"Authorization: Bearer {token}\n" if token else None
        body, _, status = run(*command, check=False, typed=typed).stdout.rpartition("\n")
        return int(status), body

    def push_line(self, tenant: str, line: str, token: str, job: str) -> tuple[int, str]:
        """Push one log line to a tenant's Loki, in a stream with the label `job`."""
        stream = {"stream": {"job": job}, "values": [[str(time.time_ns()), line]]}
        kind = ["-H", "Content-Type: application/json", "-d", json.dumps({"streams": [stream]})]
        return self.curl(url("loki", tenant, "/loki/api/v1/push"), *kind, token=token)

    def push_sample(self, tenant: str, labels: Mapping[str, str], value: float, token: str) -> tuple[int, str]:
        """Push one sample with the current time to a tenant's Cortex, as Prometheus does."""
        body = self.folder / f"{tenant}.push"
        body.write_bytes(request((labels, [(time.time(), value)])))
        headers = [part for name, text in HEADERS.items() for part in ("-H", f"{name}: {text}")]
        address = url("cortex", tenant, "/api/v1/push")
        return self.curl(address, *headers, "--data-binary", f"@{body}", token=token)

    def gateway_log(self) -> str:
        """Return the logs of all pods of the gateway."""
        return self.kubectl("-n", GATEWAY_NAMESPACE, "logs", "-l", GATEWAY_MARKS, "--tail", "-1")

    def requests_logged(self) -> list[dict[str, Any]]:
        """Return the lines of the gateway's access log."""
        return [json.loads(line) for line in self.gateway_log().splitlines() if line.startswith('{"')]

    def follow(self, blocks: list[str], *files: Path) -> tuple[Path, str]:
        """Run a page's commands in a new folder with `opstrace` and these files, for this instance and its port.

        Return the folder and the standard output.
        """
        folder = Path(tempfile.mkdtemp(prefix="page-", dir=self.folder))
        for file in (Path(self.project.launcher), *files):
            (folder / file.name).symlink_to(file)
        script = "set -e\n" + "".join(blocks).replace("showdown", INSTANCE).replace(":8443", f":{PORT}")
        return folder, run("bash", "-c", script, cwd=folder, env=self.shell, timeout=600).stdout

    def resources(self) -> list[dict[str, Any]]:
        return list(json.loads(self.pulumi("stack", "export"))["deployment"]["resources"])

    def aws(self, service: str, **options: Any) -> Any:
        """Return a client of a service, with the administrator's keys unless `options` has others."""
        url = self.shell["AWS_ENDPOINT_URL_S3" if service == "s3" else "AWS_ENDPOINT_URL"]
        keys = administrator(self.shell) | options
        return boto3.client(service, "us-west-2", endpoint_url=url, verify=self.ca, **keys)

    def unsigned(self, service: str) -> Any:
        """Return a client of a service that does not sign its requests."""
        return self.aws(service, config=Config(signature_version=UNSIGNED))

    def stranger(self, service: str) -> Any:
        """Return a client of a service with an invented access key, as another user of the machine could have."""
        return self.aws(service, aws_access_key_id="AKIASTRANGER34567890", aws_secret_access_key="local")

    def s3_of(self, tenant: str, role: str, service_account: str) -> Any:
        """Return S3 with the role that a tenant's pods with this service account assume."""
        arn = self.aws("iam").get_role(RoleName=role)["Role"]["Arn"]
        arguments = ("create", "token", service_account, "--audience", "sts.amazonaws.com")
        token = self.kubectl("-n", f"{tenant}-tenant", *arguments).strip()
        identity = {"RoleArn": arn, "RoleSessionName": "test", "WebIdentityToken": token}
        answer = self.aws("sts").assume_role_with_web_identity(**identity)["Credentials"]
        return self.aws(
            "s3",
            aws_access_key_id=answer["AccessKeyId"],
            aws_secret_access_key=answer["SecretAccessKey"],
            aws_session_token=answer["SessionToken"],
        )

    def buckets(self, tenant: str) -> list[str]:
        names = self.aws("s3").list_buckets()["Buckets"]
        return [entry["Name"] for entry in names if entry["Name"].startswith(f"{INSTANCE}-{tenant}-")]


class OpenConnection:
    """One connection to a tenant's API through the load balancer; it is not opened again."""

    def __init__(self, walk: UserSession, tenant: str) -> None:
        host = f"cortex.{tenant}.{DOMAIN}"
        self._header = {"Host": host, "Authorization": f"Bearer {walk.token(tenant)}"}
        self._connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=20)
        self._connection.connect()
        context = ssl.create_default_context(cafile=walk.ca)
        self._connection.sock = context.wrap_socket(self._connection.sock, server_hostname=host)
        self._connection.auto_open = 0

    def ask(self) -> int:
        """Return the answer's status; raises an OSError or HTTPException if the connection was closed."""
        self._connection.request("GET", LABELS, headers=self._header)
        answer = self._connection.getresponse()
        answer.read()
        return answer.status


@contextmanager
def steady_requests(walk: UserSession, tenant: str) -> Iterator[list[int]]:
    """Send requests until the block ends, over one open connection and new ones; yields the list of their statuses.

    An error of a connection is raised at the end of the block.
    """
    connection, answers = OpenConnection(walk, tenant), [200]
    assert connection.ask() == 200
    with repeated(lambda: answers.extend((connection.ask(), OpenConnection(walk, tenant).ask())), 0.1):
        yield answers


def is_unknown(walk: UserSession, tenant: str, token: str) -> bool:
    """Return whether all pods of the gateway answer 404 for a tenant, for metrics and for logs."""
    addresses = (url("cortex", tenant, LABELS), url("loki", tenant, "/loki/api/v1/labels"))
    # `-k`: the tenant's certificate is deleted, too.
    return all(walk.curl(address, "-k", token=token)[0] == 404 for address in addresses for _ in range(8))


def gateway_is_current(walk: UserSession) -> bool:
    """Return whether all pods of the gateway have the current configuration."""
    pods = json.loads(walk.opstrace("status", "local", INSTANCE, "--json").stdout)["gatewayPods"]
    return len(pods) == REPLICAS and all(state and state["current"] for state in pods.values())


def commands(page: str, under: str = "") -> list[str]:
    """Return the commands of a page of docs/, or of one of its sections: each fenced block without a language."""
    return blocks(page, under, "")


def unseen(page: str, under: str, output: str) -> list[str]:
    """Return the lines of a section's `text` blocks, the expected output of its commands, that `output` lacks.

    Ages, numbers, sizes, ids of data and the instance's name may differ.
    """

    def form(line: str) -> str:
        line = re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "N", line)
        line = re.sub(r"\b[0-9a-f]{8}\b", "N", line)
        line = re.sub(r"([━─])\1+", r"\1", line)  # borders are as wide as the content of a table
        line = re.sub(r"\d[\d,.]* ?([smhd]|[kMG]?B)\b|\d[\d,.]*", "N", line.replace(INSTANCE, "showdown"))
        return " ".join(line.split())

    shown = [line for block in blocks(page, under, "text") for line in block.splitlines() if line != "…"]
    assert shown, f"{page} has no expected output under {under}"
    printed = " ".join(map(form, output.splitlines()))
    return [line for line in shown if form(line) not in printed]


def blocks(page: str, under: str, wanted_language: str) -> list[str]:
    """Return the fenced blocks of a language in a page of docs/, or in one of its sections."""
    text = (ROOT / "docs" / page).read_text()
    if under:
        _, _, text = text.partition(f"\n## {under}\n")
        text = text.partition("\n## ")[0]
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [content for language, content in blocks if language == wanted_language]


def url(api: str, tenant: str, path: str) -> str:
    return f"https://{api}.{tenant}.{DOMAIN}:{PORT}{path}"


def assert_forbidden(call: Callable[[], Any]) -> None:
    """Fail unless AWS refuses a call with 403."""
    with pytest.raises(ClientError) as refused:
        call()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def assert_account_empty(walk: UserSession) -> None:
    """Fail if the account or the cluster holds a resource of an instance."""
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
