"""An instance on a bare cloud through the phases of its life, and the results of uninterrupted phases."""

import copy
import itertools
import json
import os
import random
import re
import subprocess
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML

from components.config.load import from_settings
from components.config.tenant import OnDelete
from components.core.names import BUCKET_KINDS
from components.core.public_keys import canonical_pem, key_id
from components.core.resource_names import ENCRYPTION_TYPE
from localcloud import cloud as embedded
from scripts.clients.aws import Clients
from scripts.clients.kubernetes import Cluster
from scripts.engine.pulumi import Engine
from scripts.tokens.key_files import new_key
from tests.support.bare_cloud import BareCloud
from tests.support.census import KEPT_PARTS, Inventory, of_bucket, of_cloud, of_state, portrait
from tests.support.project import Project
from tests.support.shell import run

SEED = int(os.environ.get("OPSTRACE_CRASH_SEED") or random.SystemRandom().randrange(10**6))
INSTANCE = "crash"
PHASES = ("create", "add", "change", "delete", "destroy")
TEMPORARY = "second"  # the tenant that is added and deleted again
ON_DELETE_VALUES: tuple[OnDelete, OnDelete] = ("purge", "retain")  # settings of that tenant
ON_DELETE = ON_DELETE_VALUES[SEED % 2]  # for tests that have time for one of them
OBJECTS = {f"objects/{number}": f"content {number}".encode() for number in range(3)}


class Stack:
    """An instance whose life has phases: its stack file after each phase, and the engine.

    `on_delete` is the setting of the tenant that is added and deleted; change it only while nothing is deployed.
    """

    def __init__(self, cloud: BareCloud, project: Project) -> None:
        self.project, self.file = project, project.stack_path(INSTANCE)
        self.cloud, self._settings = cloud, embedded.stack_settings(cloud.settings)
        self.environment = cloud.environment
        self._replaced: Mapping[str, str] = {}
        self.on_delete = ON_DELETE
        keys = [new_key().public_key() for _ in range(2)]
        self._keys = {key_id(key): canonical_pem(key) for key in keys}

    def settings(self, phase: str) -> dict[str, Any]:
        """Return the stack's settings after a phase."""
        changed = phase not in ("create", "add")
        first = dict([*self._keys.items()][: 2 if changed else 1])
        tenants: list[dict[str, Any]] = [{"name": "default"}]
        if changed:
            retention = {"metrics": "40d", "logs": "40d"}
            tenants = [{"name": "default", "retention": retention, "labels": {"team": "b"}, "owner": "b"}]
        if phase in ("add", "change"):
            tenants.append({"name": TEMPORARY, "onDelete": self.on_delete})
        # A new node port replaces target group and rules, and updates listener and Service in place.
        balancer = self._settings["loadBalancer"] | ({"nodePort": 30444} if changed else {})
        more = {"loadBalancer": balancer, "tenants": tenants, "dataApi": {"publicKeys": first}}
        return self._settings | more

    def with_addresses(self, replaced: Mapping[str, str]) -> "Stack":
        """Return the same stack with other addresses in its settings and environment, such as those of proxies."""

        def replace_addresses(text: str) -> str:
            for old, new in replaced.items():
                text = text.replace(old, new)
            return text

        other = copy.copy(self)
        other._replaced = replaced
        other.environment = {name: replace_addresses(value) for name, value in self.environment.items()}
        other._settings = json.loads(replace_addresses(json.dumps(self._settings)))
        return other

    def write(self, phase: str) -> None:
        """Write the stack file for the end of a phase."""
        self.write_settings(self.settings(phase))

    def write_settings(self, settings: Mapping[str, Any]) -> None:
        """Write the stack file with these settings; what the engine wrote into it stays."""
        yaml = YAML()
        content = yaml.load(self.file.read_text()) if self.file.exists() else {}
        content["config"] = {f"opstrace:{name}": value for name, value in settings.items()}
        with self.file.open("w") as file:
            yaml.dump(content, file)

    def up(self, *options: str, check: bool = True) -> str:
        """Update by the plain engine; return its output in one line. Without `check`, it must fail."""
        done = self.run(*self.command("up"), *options, check=check)
        assert check or done.returncode, done.stdout
        return " ".join((done.stdout + done.stderr).split())

    def changes(self) -> dict[str, int]:
        """Return how often a preview would make each kind of change."""
        text = self.run("pulumi", "--non-interactive", "preview", "--json", "--stack", INSTANCE).stdout
        summary = json.loads(text[text.index("{") :])["changeSummary"]
        return {kind: count for kind, count in summary.items() if kind != "same"}

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        """Return the resources of one type in the state."""
        return [entry for entry in self.resources() if entry["type"] == kind]

    def engine(self) -> Engine:
        """Return the engine as the command uses it."""
        return Engine(self.environment, INSTANCE, self.project.folder)

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the project's folder and in the stack's environment."""
        return run(*command, cwd=self.project.folder, env=self.environment, check=check)

    def opstrace(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the `opstrace` command."""
        return self.run(self.project.launcher, *arguments, check=check)

    def command(self, phase: str) -> list[str]:
        """Return the plain engine's command for a phase."""
        verb = "destroy" if phase == "destroy" else "up"
        return ["pulumi", "--non-interactive", verb, "--yes", "--skip-preview", "--stack", INSTANCE]

    def prepare(self, phase: str) -> None:
        """Write the stack file for a phase; `create` makes the stack first."""
        if phase == "create":
            self.file.unlink(missing_ok=True)
            self.write(phase)
            self.engine().ensure_stack()
        elif phase != "destroy":
            self.write(phase)
        if phase == "delete":
            self._fill()

    def _fill(self) -> None:
        """Put objects into the buckets of the tenant that is about to be deleted."""
        s3 = self.cloud.aws("s3")
        for bucket, (key, content) in itertools.product(buckets_of(self.cloud), OBJECTS.items()):
            s3.put_object(Bucket=bucket, Key=key, Body=content)
        if self.on_delete == "purge":  # old versions and unfinished uploads are purged, too
            bucket, key = buckets_of(self.cloud)[0], next(iter(OBJECTS))
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
            s3.delete_object(Bucket=bucket, Key=key)
            s3.create_multipart_upload(Bucket=bucket, Key="unfinished")

    def uninterrupted(self, phase: str) -> int:
        """Run a phase to its end; return the number of lines that the engine printed while it worked."""
        self.prepare(phase)
        output = self.run(*self.command(phase)).stdout
        if phase == "destroy":
            self._finish_destroy()
        return len(
            re.split(r"^(?:Diagnostics|Outputs|Resources):", output, maxsplit=1, flags=re.MULTILINE)[0].splitlines()
        )

    def _finish_destroy(self) -> None:
        self.opstrace("destroy", "aws", INSTANCE, "--purge", "--yes")

    def is_as_declared(self, name: str = INSTANCE) -> bool:
        """Return whether a preview with a refresh finds nothing to change."""
        command = ["preview", "--refresh", "--expect-no-changes", "--stack", name]
        done = self.run("pulumi", "--non-interactive", *command, check=False)
        print(done.stdout if done.returncode else "", end="")
        return done.returncode == 0

    def attempt(self, phase: str) -> subprocess.CompletedProcess[str]:
        """Run a prepared phase, which may fail."""
        return self.run(*self.command(phase), check=False)

    def next_run(self, phase: str, *, by_verb: bool = False) -> None:
        """Run a phase again after an update was killed, by the steps of docs/how-to/recover-from-a-crash.md.

        These are `opstrace recover` and the plain engine. With `by_verb`, they are the recovery of any command that
        applies.
        """
        if phase == "destroy":
            self._finish_destroy()
        elif by_verb:
            config = from_settings(self.settings(phase), INSTANCE)
            parts = Clients(self.environment, config), Cluster(self.environment, config)
            self.engine().up(*parts)
        else:
            self.recover()
            self.run(*self.command(phase))

    def recover(self) -> None:
        """Run `opstrace recover`."""
        self.opstrace("recover", "aws", INSTANCE)

    def resources(self, name: str = INSTANCE) -> list[dict[str, Any]]:
        """Return the resources of a state with secrets in plain text, [] without a stack.

        Addresses of proxies are replaced by the cloud's own.
        """
        command = ["pulumi", "stack", "export", "--show-secrets", "--stack", name]
        done = self.run(*command, check=False)
        if done.returncode:
            assert "no stack named" in done.stderr, done.stderr
            return []
        text = done.stdout
        for own, other in self._replaced.items():
            text = text.replace(other, own).replace(_host(other), _host(own))
        deployment = json.loads(text)["deployment"]
        assert not deployment.get("pending_operations")
        return list(deployment.get("resources") or [])


def _host(address: str) -> str:
    """Return an address without its scheme, as in Cortex's configuration."""
    return address.rpartition("//")[2]


def buckets_of(cloud: BareCloud) -> list[str]:
    """Return the names of the buckets of the temporary tenant, which may be deleted."""
    names = (entry["Name"] for entry in cloud.aws("s3").list_buckets()["Buckets"])
    return [name for name in names if name.startswith(f"{INSTANCE}-{TEMPORARY}-")]


def retained(stack: Stack, phase: str) -> Inventory:
    """Return the buckets that are in the cloud after a phase but in no state; fail unless their data is intact."""
    if phase != "delete" or stack.on_delete != "retain":
        return set()
    s3, buckets = stack.cloud.aws("s3"), buckets_of(stack.cloud)
    assert len(buckets) == len(BUCKET_KINDS)
    for bucket, (key, content) in itertools.product(buckets, OBJECTS.items()):
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == content
    keys = (ENCRYPTION_TYPE,) if stack.settings("change")["aws"].get("kmsKeys") else ()
    return set().union(*(of_bucket(bucket, (*KEPT_PARTS, *keys)) for bucket in buckets))


def assert_nothing_orphaned_or_lost(stack: Stack, phase: str, resources: list[dict[str, Any]], what: str = "") -> None:
    deployed, recorded = of_cloud(stack.cloud), of_state(resources)
    kept = retained(stack, phase)
    assert deployed - recorded == kept, (
        f"{what}: orphaned: {deployed - recorded - kept}; not kept: {kept - (deployed - recorded)}"
    )
    assert recorded - deployed == set(), f"{what}: lost: {recorded - deployed}"


class Uninterrupted:
    """The number of lines that the engine prints in each phase, and the portrait of the state; by `on_delete`."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._results: dict[str, dict[str, tuple[int, dict[str, Any]]]] = {}

    def __getitem__(self, phase: str) -> tuple[int, dict[str, Any]]:
        """Return both for a phase. The first call runs all phases, so nothing may be deployed then."""
        if self._stack.on_delete not in self._results:
            self._results[self._stack.on_delete] = {each: self._run(each) for each in PHASES}
        return self._results[self._stack.on_delete][phase]

    def _run(self, phase: str) -> tuple[int, dict[str, Any]]:
        lines = self._stack.uninterrupted(phase)
        resources = self._stack.resources()
        assert_nothing_orphaned_or_lost(self._stack, phase, resources)
        return lines, portrait(resources)


def differences(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    return {urn: (left.get(urn), right.get(urn)) for urn in {*left, *right} if left.get(urn) != right.get(urn)}
