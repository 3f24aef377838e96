"""The cost of one more tenant beside many others: `.venv/bin/python -m bench.scale [MOST]`, after `make setup`.

The real engine and the stand-ins run against moto and an API server without a node (`tests/support/bare_cloud.py`), so
no update waits for a pod.

- "everything, from nothing" creates all tenants, each number of tenants in its own cloud.
- In all other rows, the other tenants are copies of one in the state; the program declares them, and the engine compares
  each.
- An own stack is measured with the engine alone, and with the command, which also searches AWS for the tenant's name.
- Rows with other ways of writing the state show how much of a shared stack's time the writing takes.

MOST is the largest number of tenants in a shared stack (100). An own stack is measured beside at most ten times MOST
stacks.

`.venv/bin/python -m bench.scale --own-stacks COUNT` measures COUNT tenants from nothing in two ways instead: in the
instance's stack by one `pulumi up`, and in stacks of their own by `tenants add` of all of them. It then brings all of them
up to date, without changes.
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from ruamel.yaml import YAML

from bench.cost import Cost, cost_of
from bench.figure import WIDTH, Figure, finish
from bench.machine import machine
from bench.stack_files import forget_files
from components.core.names import BUCKET_KINDS, RANDOM_BYTES, bucket_prefix
from components.core.public_keys import canonical_pem, key_id
from components.core.resource_names import PROJECT, tenant_name
from localcloud import cloud as embedded
from scripts.engine.pulumi import Engine
from scripts.stackfile.file import ROOT, StackFile
from scripts.tokens.key_files import new_key
from tests.support.bare_cloud import BareCloud

INSTANCE, MODEL, ONE_MORE = "benchscale", "quokka", "wombat"
OWN = f"{INSTANCE}.{ONE_MORE}"
# How the engine writes the state between two steps. The last one shows the cost of writing, and is unsafe for real use.
WRITING = {
    "without backups of the state": {"PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true"},
    "without backups, state compressed": {
        "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
        "PULUMI_DIY_BACKEND_GZIP": "true",
    },
    "state written at the end alone": {"PULUMI_EXPERIMENTAL": "true", "PULUMI_SKIP_CHECKPOINTS": "true"},
}
GO_DEFAULT = "100"  # of GOGC
ONE_MORE_THERE = "one more tenant"
FROM_NOTHING, WITHOUT_CHANGES = "everything, from nothing", "an update without changes"
BY_VERB = f"{ONE_MORE_THERE}, by `tenants add`"
CERTIFICATES = 10_000  # the load balancer's quota; AWS's default is 25
TITLE = "Cost of one more tenant"
MOST = 100  # tenants in a shared stack
MOST_SECONDS, MOST_SECONDS_OWN = 25.0, 4.0  # for one more tenant in the shared stack, and by `tenants add` in its own
LIMIT = 1.3  # for one more tenant in its own stack: the ratio of its cost beside 1,000 stacks to its cost beside 10


Row = tuple[str, int, str, Cost]
"""Kind of stack, number of tenants, step and its cost."""


class Bench:
    """One instance on a bare cloud."""

    def __init__(self, cloud: BareCloud) -> None:
        self.environment = cloud.environment
        self._stacks = cloud.settings.pulumi / "backend" / ".pulumi" / "stacks" / PROJECT
        key = new_key().public_key()
        api = {"publicKeys": {key_id(key): canonical_pem(key)}}
        self._settings = embedded.stack_settings(cloud.settings) | {"dataApi": api}
        self._copies: list[str] = []  # in the instance's state
        self._own_state = ""

    def write(self, stack: str, settings: dict[str, Any]) -> None:
        """Write a stack's file, and create the stack where it does not exist."""
        path = StackFile(stack).path
        yaml = YAML()
        content = yaml.load(path.read_text()) if path.exists() else {}
        content["config"] = {f"opstrace:{name}": value for name, value in settings.items()}
        with path.open("w") as file:
            yaml.dump(content, file)
        Engine(self.environment, stack).ensure_stack()

    def tenants(self, *names: str) -> None:
        """Configure these tenants in the instance's own stack."""
        self.write(INSTANCE, self._settings | {"tenants": [{"name": name} for name in names]})

    def cost(self, verb: str, stack: str = INSTANCE, **settings: str) -> Cost:
        """Run `pulumi <verb>` with these variables in addition; return its cost."""
        confirmed = [] if verb == "preview" else ["--yes", "--skip-preview"]
        command = ["pulumi", "--non-interactive", verb, *confirmed, "--stack", stack]
        states = [self._stacks / f"{stack}{ending}" for ending in (".json", ".json.gz")]
        cost, text = cost_of(command, ROOT, self.environment | settings, states)
        if verb == "preview" and " to " in text.rsplit("Resources:", 1)[-1]:
            sys.exit(f"the copied state differs from the program's declaration:\n{text[-3000:]}")
        return cost

    def multiply(self, count: int) -> list[str]:
        """Add copies of the model tenant to the instance's state until it has `count`; return their names."""
        names = [f"t{number}" for number in range(len(self._copies), count)]
        self._copies += names
        state = self.exported()
        resources = state["deployment"]["resources"]
        model = model_of(resources)
        for name in names:
            resources += renamed(model, name)
        self._engine("stack", "import", "--stack", INSTANCE, stdin=json.dumps(state))
        return self._copies

    def exported(self, *options: str) -> dict[str, Any]:
        """Return the instance's state."""
        return dict(json.loads(self._engine("stack", "export", *options, "--stack", INSTANCE)))

    def beside(self, stacks: int) -> None:
        """Create `count` stacks of tenants: their files in the backend, and their stack files."""
        for number in range(stacks):
            stack = f"{INSTANCE}.t{number}"
            (self._stacks / f"{stack}.json").write_text(self._own_state.replace(ONE_MORE, f"t{number}"))
            StackFile(stack).path.write_text(f"config:\n  opstrace:tenantOf: {INSTANCE}\n  opstrace:tenant: {{}}\n")

    def _engine(self, *arguments: str, stdin: str | None = None) -> str:
        command = ["pulumi", "--non-interactive", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, check=True, text=True, input=stdin, stdout=subprocess.PIPE
        ).stdout

    def everything(self, count: int) -> list[tuple[str, Cost]]:
        """Measure the creation of the instance's stack with `count` tenants in an empty cloud."""
        self.tenants(MODEL, *(f"t{number}" for number in range(count - 1)))
        return [(FROM_NOTHING, self.cost("up"))]

    def shared(self, count: int) -> list[tuple[str, Cost]]:
        """Measure the instance's stack with `count` tenants; before and afterwards it has only the model tenant."""
        others = self.multiply(count - 1)
        self.tenants(MODEL, *others)
        rows = [("preview without changes", self.cost("preview"))]
        self.tenants(MODEL, *others, ONE_MORE)
        rows.append((ONE_MORE_THERE, self.cost("up")))
        self.tenants(MODEL, *others)
        self.cost("up")
        return rows

    def writing(self, count: int) -> list[tuple[str, Cost]]:
        """Measure one more tenant in the instance's existing stack with `count`, for each way of writing the state."""
        others = self._copies[: count - 1]
        rows = []
        for variant, settings in WRITING.items():
            self.tenants(MODEL, *others, ONE_MORE)
            rows.append((f"{ONE_MORE_THERE}, {variant}", self.cost("up", **settings)))
            self.tenants(MODEL, *others)
            self.cost("up", **settings)
        return rows

    def as_it_comes(self, count: int) -> list[tuple[str, Cost]]:
        """Measure the instance's existing stack with `count` tenants, with the engine's defaults.

        The engine then writes a log of each command (see localcloud/plugins/install.py), and Go's garbage collector has its
        default (see scripts/engine/pulumi.py).
        """
        others, place = self._copies[: count - 1], Path(self.environment["PULUMI_HOME"]) / "logs"
        aside = place.rename(place.with_suffix(".aside"))
        try:
            rows = [("preview without changes", self.cost("preview", GOGC=GO_DEFAULT))]
            self.tenants(MODEL, *others, ONE_MORE)
            rows.append((ONE_MORE_THERE, self.cost("up", GOGC=GO_DEFAULT)))
        finally:
            shutil.rmtree(place)
            aside.rename(place)
        self.tenants(MODEL, *others)
        self.cost("up")
        return [(f"{step}, the engine as it comes", cost) for step, cost in rows]

    def _verb(self, name: str, *options: str) -> Cost:
        """Run `opstrace tenants` on the tenant with its own stack; return its cost."""
        command = [str(ROOT / "opstrace"), "tenants", name, "aws", INSTANCE, ONE_MORE, *options]
        return cost_of(command, ROOT, self.environment, [self._stacks / f"{OWN}.json"])[0]

    def side_by_side(self, count: int) -> list[tuple[str, Cost]]:
        """Measure the creation of `count` tenants in stacks of their own in an empty cloud, and an update of all stacks.

        The instance's own stack has one tenant more, since it needs one.
        """
        self.tenants(MODEL)
        instance = self.cost("up")
        names = [f"t{number}" for number in range(count)]
        added = self._opstrace("tenants", "add", "aws", INSTANCE, *names, "--own-stack")
        total = replace(
            added,
            seconds=instance.seconds + added.seconds,
            processor=instance.processor + added.processor,
            memory=max(instance.memory, added.memory),
        )
        again = self._opstrace("up", "aws", INSTANCE)
        return [
            (FROM_NOTHING, total),
            ("of this, `tenants add` of all at once", added),
            (f"{WITHOUT_CHANGES}, by `up`", again),
        ]

    def _opstrace(self, *arguments: str) -> Cost:
        """Run `opstrace`; return its cost, with the size of the instance's state."""
        command = [str(ROOT / "opstrace"), *arguments]
        return cost_of(command, ROOT, self.environment, [self._stacks / f"{INSTANCE}.json"])[0]

    def own(self, count: int) -> list[tuple[str, Cost]]:
        """Measure a tenant in its own stack beside `count` others, by the command and by the engine alone."""
        self.beside(count)
        by_verb = self._verb("add", "--own-stack")
        self._verb("remove", "--purge", "--yes")
        started = time.monotonic()
        self.write(OWN, {"tenantOf": INSTANCE, "tenant": {}})  # creates the stack
        creation = time.monotonic() - started
        up = self.cost("up", OWN)
        total = replace(up, seconds=creation + up.seconds)
        rows = [(ONE_MORE_THERE, total), ("preview without changes", self.cost("preview", OWN))]
        self._own_state = (self._stacks / f"{OWN}.json").read_text()
        self.cost("destroy", OWN)
        self._engine("stack", "rm", "--yes", "--preserve-config", OWN)
        StackFile(OWN).path.unlink()
        return [*rows, (BY_VERB, by_verb)]


def model_of(resources: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the model tenant's resources in the instance's state."""
    return [entry for entry in resources if tenant_name(MODEL) in entry["urn"]]


def renamed(model: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Return the model tenant's resources as those of another tenant."""

    def other(text: str) -> str:
        for kind in BUCKET_KINDS:  # a bucket's name has a digest of the tenant's name
            old, new = (bucket_prefix(INSTANCE, tenant, kind, 2 * RANDOM_BYTES) for tenant in (MODEL, name))
            text = text.replace(old, new)
        return text.replace(MODEL, name)

    text = other(json.dumps(model))
    for resource in model:  # pods have a digest of their ConfigMap's content
        for content in resource["inputs"].get("data", {}).values() if resource["type"].endswith(":ConfigMap") else ():
            old, new = (hashlib.sha256(part.encode()).hexdigest()[:16] for part in (content, other(content)))
            text = text.replace(old, new)
    return list(json.loads(text))


@contextmanager
def new_bench() -> Iterator[Bench]:
    """Start a bare cloud, and end it with everything in it."""
    with tempfile.TemporaryDirectory() as folder:
        cloud = BareCloud(Path(folder), CERTIFICATES)
        try:
            cloud.start()
            yield Bench(cloud)
        finally:
            cloud.stop()
            forget_files(INSTANCE)


def compared(count: int) -> list[Row]:
    """Measure `count` tenants in one stack, and in stacks of their own; return the rows."""
    with new_bench() as bench:
        shared = [*bench.everything(count), (WITHOUT_CHANGES, bench.cost("up"))]
    with new_bench() as bench:
        own = bench.side_by_side(count)
    rows = [("shared stack", count, step, cost) for step, cost in shared]
    rows += [("own stacks", count, step, cost) for step, cost in own]
    for name in ("seconds", "processor"):
        ratio = getattr(own[0][1], name) / getattr(shared[0][1], name)
        print(f"{count} tenants from nothing, own stacks to one stack: {name}: {ratio:.2f}")
    return rows


def measured(most: int) -> list[Row]:
    """Measure everything; return the rows."""
    rows: list[Row] = []

    def note(place: str, count: int, work: Callable[[int], list[tuple[str, Cost]]]) -> None:
        for step, cost in work(count):
            rows.append((place, count, step, cost))
            print(f"{place}, {count}: {step}: {cost.seconds:.1f} s", file=sys.stderr, flush=True)

    sizes = [size for size in (1, 10, 100) if size <= most]
    for size in sizes[1:]:
        with new_bench() as bench:
            note("shared stack", size, bench.everything)
    with new_bench() as bench:
        note("shared stack", 1, bench.everything)
        for size in [0, *sizes, 10 * most]:
            note("own stack", size, bench.own)
        # These come last: an update with a stack file that lacks the copies would delete tenants that do not exist.
        for size in sizes:
            note("shared stack", size, bench.shared)
        note("shared stack", sizes[-1], bench.writing)
        note("shared stack", sizes[-1], bench.as_it_comes)
    return rows


def measure(most: int = MOST) -> list[Figure]:
    """Measure, print the table, and return the figures of one more tenant beside the most others."""
    forget_files(INSTANCE)  # left by a run that was killed
    rows = measured(most)
    show(rows)
    seconds = {(place, count, step): cost.seconds for place, count, step, cost in rows}
    shared, by_verb = seconds["shared stack", most, ONE_MORE_THERE], seconds["own stack", 10 * most, BY_VERB]
    return [
        Figure(f"one more tenant beside {most} in one stack", shared, "s", most=MOST_SECONDS),
        Figure(f"{BY_VERB}, in its own stack beside {10 * most:,}", by_verb, "s", most=MOST_SECONDS_OWN),
        *_flatness(rows, 10 * most),
    ]


def show(rows: list[Row]) -> None:
    """Print the rows as a table."""
    columns = ("where", "tenants", "what", "seconds", "s of CPU", "MiB", "state, bytes")
    table = Table(*columns, title=machine(), title_justify="left")
    for place, count, step, cost in rows:
        times = (f"{seconds:.1f}" for seconds in (cost.seconds, cost.processor))
        table.add_row(place, str(count), step, *times, f"{cost.memory:.0f}", f"{cost.state:,}")
    Console(width=WIDTH).print(table)


def _flatness(rows: list[Row], most: int) -> Iterator[Figure]:
    """Yield the ratios of the costs of one more tenant in its own stack beside the most others to those beside 10."""
    for step in (ONE_MORE_THERE, BY_VERB):
        own = {count: cost for place, count, name, cost in rows if (place, name) == ("own stack", step)}
        for name in ("seconds", "memory", "state"):
            ratio = getattr(own[most], name) / getattr(own[10], name)
            yield Figure(f"{step} in its own stack, beside {most:,} to beside 10: {name}", ratio, most=LIMIT)


def main() -> None:
    """Measure, print the table, and exit with an error where a target is missed."""
    parser = argparse.ArgumentParser(prog="bench.scale", description="Measure the cost of many tenants.")
    parser.add_argument("most", metavar="MOST", type=int, nargs="?", default=MOST)
    parser.add_argument("--own-stacks", metavar="COUNT", type=int)
    chosen = parser.parse_args()
    if chosen.own_stacks:
        forget_files(INSTANCE)
        show(compared(chosen.own_stacks))
    else:
        finish(TITLE, measure(chosen.most))


if __name__ == "__main__":
    main()
