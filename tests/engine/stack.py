"""An instance on a bare cloud, from its creation to its end, and what an undisturbed run makes of each phase."""

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

from components.config import from_settings
from components.keys import canonical_pem, key_id
from components.names import BUCKET_KINDS
from components.tenant_config import OnDelete
from localcloud import cloud as embedded
from scripts.aws import Clients
from scripts.cluster import Cluster
from scripts.engine import Engine
from scripts.keyfiles import new_key
from tests.engine.bare import BareCloud
from tests.engine.census import Found, of_bucket, of_cloud, of_state, portrait
from tests.shell import ROOT, run

SEED = int(os.environ.get("OPSTRACE_CRASH_SEED") or random.SystemRandom().randrange(10**6))
INSTANCE = "crash"
STACK_FILE = ROOT / "stacks" / f"Pulumi.{INSTANCE}.yaml"
PHASES = ("create", "add", "change", "delete", "destroy")
PASSING = "second"  # the tenant that is added and deleted again
FATES: tuple[OnDelete, OnDelete] = ("purge", "retain")  # of its data
FATE = FATES[SEED % 2]  # where there is time for one of them
OBJECTS = {f"objects/{number}": f"content {number}".encode() for number in range(3)}


class Stack:
    """An instance whose life has phases: its file by phase, and the engine on it.

    `fate` is what becomes of the data of the tenant that passes; it is changed while nothing is there.
    """

    def __init__(self, cloud: BareCloud) -> None:
        self.cloud, self._settings = cloud, embedded.stack_settings(cloud.settings)
        self.environment = cloud.environment
        self._replaced: Mapping[str, str] = {}
        self.fate = FATE
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
            tenants.append({"name": PASSING, "onDelete": self.fate})
        # Another node port replaces the target group and the rules, and changes listener and Service in place.
        balancer = self._settings["loadBalancer"] | ({"nodePort": 30444} if changed else {})
        more = {"loadBalancer": balancer, "tenants": tenants, "dataApi": {"publicKeys": first}}
        return self._settings | more

    def through(self, replaced: Mapping[str, str]) -> "Stack":
        """Return the same stack as a shell sees it for which these addresses are replaced."""

        def elsewhere(text: str) -> str:
            for old, new in replaced.items():
                text = text.replace(old, new)
            return text

        other = copy.copy(self)
        other._replaced = replaced
        other.environment = {name: elsewhere(value) for name, value in self.environment.items()}
        other._settings = json.loads(elsewhere(json.dumps(self._settings)))
        return other

    def write(self, phase: str) -> None:
        """Write the stack's file as it is to be after a phase."""
        yaml = YAML()
        known = yaml.load(STACK_FILE.read_text()) if STACK_FILE.exists() else {}
        known["config"] = {f"opstrace:{name}": value for name, value in self.settings(phase).items()}
        with STACK_FILE.open("w") as file:
            yaml.dump(known, file)

    def command(self, phase: str) -> list[str]:
        """Return the plain engine's command of a phase."""
        verb = "destroy" if phase == "destroy" else "up"
        return ["pulumi", "--non-interactive", verb, "--yes", "--skip-preview", "--stack", INSTANCE]

    def prepare(self, phase: str) -> None:
        """Make the stack where there is none, and write its file for a phase."""
        if phase == "create":
            STACK_FILE.unlink(missing_ok=True)
            self.write(phase)
            Engine(self.environment, INSTANCE).ensure_stack()
        elif phase != "destroy":
            self.write(phase)
        if phase == "delete":
            self._fill()

    def _fill(self) -> None:
        """Put data into the buckets of the tenant that is about to be deleted."""
        s3 = self.cloud.aws("s3")
        for bucket, (key, content) in itertools.product(buckets_of(self.cloud), OBJECTS.items()):
            s3.put_object(Bucket=bucket, Key=key, Body=content)
        if self.fate == "purge":  # what no listing of objects shows goes, too
            bucket, key = buckets_of(self.cloud)[0], next(iter(OBJECTS))
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
            s3.delete_object(Bucket=bucket, Key=key)
            s3.create_multipart_upload(Bucket=bucket, Key="unfinished")

    def undisturbed(self, phase: str) -> int:
        """Run a phase to its end; return how many lines it said while it was at work."""
        self.prepare(phase)
        said = run(*self.command(phase), env=self.environment).stdout
        if phase == "destroy":
            self._finish_destroy()
        return len(
            re.split(r"^(?:Diagnostics|Outputs|Resources):", said, maxsplit=1, flags=re.MULTILINE)[0].splitlines()
        )

    def _finish_destroy(self) -> None:
        run(str(ROOT / "opstrace"), "destroy", "aws", INSTANCE, "--purge", "--yes", env=self.environment)

    def is_as_declared(self, name: str = INSTANCE) -> bool:
        """Tell whether AWS and the cluster themselves say that all of a stack is as the program declares it."""
        command = ["preview", "--refresh", "--expect-no-changes", "--stack", name]
        done = run("pulumi", "--non-interactive", *command, env=self.environment, check=False)
        print(done.stdout if done.returncode else "", end="")
        return done.returncode == 0

    def attempt(self, phase: str) -> subprocess.CompletedProcess[str]:
        """Run a phase that is prepared; it may fail."""
        return run(*self.command(phase), env=self.environment, check=False)

    def next_run(self, phase: str, *, by_verb: bool = False) -> None:
        """Do what docs/operations.md says of an update that was killed.

        With the command's `recover` and the plain engine; or as all verbs apply, which look for less.
        """
        if phase == "destroy":
            self._finish_destroy()
        elif by_verb:
            config = from_settings(self.settings(phase), INSTANCE)
            parts = Clients(self.environment, config), Cluster(self.environment, config)
            Engine(self.environment, INSTANCE).up(*parts)
        else:
            self.recover()
            run(*self.command(phase), env=self.environment)

    def recover(self) -> None:
        """Settle what the last run left."""
        run(str(ROOT / "opstrace"), "recover", "aws", INSTANCE, env=self.environment)

    def resources(self, name: str = INSTANCE) -> list[dict[str, Any]]:
        """Return a state's resources, with secrets in plain text and the cloud's own addresses; none where it is gone."""
        command = ["pulumi", "stack", "export", "--show-secrets", "--stack", name]
        done = run(*command, env=self.environment, check=False)
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
    """Return an address without its scheme: so it stands in Cortex's configuration."""
    return address.rpartition("//")[2]


def buckets_of(cloud: BareCloud) -> list[str]:
    """Return the names of the buckets that the tenant which passes has, or had."""
    names = (entry["Name"] for entry in cloud.aws("s3").list_buckets()["Buckets"])
    return [name for name in names if name.startswith(f"{INSTANCE}-{PASSING}-")]


def retained(stack: Stack, phase: str) -> Found:
    """Return what is to be in the cloud after a phase though no state knows it: the data of a tenant, shut as it was."""
    if phase != "delete" or stack.fate != "retain":
        return set()
    s3, buckets = stack.cloud.aws("s3"), buckets_of(stack.cloud)
    assert len(buckets) == len(BUCKET_KINDS)
    for bucket, (key, content) in itertools.product(buckets, OBJECTS.items()):
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == content
    return set().union(*map(of_bucket, buckets))


def assert_nothing_orphaned_or_lost(stack: Stack, phase: str, resources: list[dict[str, Any]], what: str = "") -> None:
    there, known = of_cloud(stack.cloud), of_state(resources)
    kept = retained(stack, phase)
    assert there - known == kept, f"{what}: orphaned: {there - known - kept}; not kept: {kept - (there - known)}"
    assert known - there == set(), f"{what}: lost: {known - there}"


class Undisturbed:
    """How many lines each phase says when nobody is killed, and the portrait of what it makes; by the stack's fate."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._found: dict[str, dict[str, tuple[int, dict[str, Any]]]] = {}

    def __getitem__(self, phase: str) -> tuple[int, dict[str, Any]]:
        """Return both of a phase. The first time nothing may be there yet: a whole life is led."""
        if self._stack.fate not in self._found:
            self._found[self._stack.fate] = {each: self._lived(each) for each in PHASES}
        return self._found[self._stack.fate][phase]

    def _lived(self, phase: str) -> tuple[int, dict[str, Any]]:
        lines = self._stack.undisturbed(phase)
        resources = self._stack.resources()
        assert_nothing_orphaned_or_lost(self._stack, phase, resources)
        return lines, portrait(resources)


def differences(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    return {urn: (left.get(urn), right.get(urn)) for urn in {*left, *right} if left.get(urn) != right.get(urn)}
