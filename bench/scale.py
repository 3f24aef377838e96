"""What one more tenant costs beside many: `.venv/bin/python -m bench.scale [MOST]`, after `make setup`.

The real engine and the stand-ins, on a real API server without a node and moto (`tests/engine/bare.py`): no pod is waited
for. Everything from nothing is really made, each size in a cloud of its own. Then other tenants than the measured one are
copies of it in the states; the program declares them, and the engine compares each. MOST is the most tenants of a shared
stack (100), and a tenth of the most stacks beside an own one, in which a tenant is made by the engine alone, and by the
command, which looks at more: of AWS, at what has the tenant's own name. What makes a shared stack slow is shown by letting
the engine write its state otherwise.
"""

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
from bench.machine import machine
from components.keys import canonical_pem, key_id
from components.names import BUCKET_KINDS, RANDOM_BYTES, bucket_prefix
from localcloud import cloud as embedded
from scripts.engine import Engine
from scripts.keyfiles import new_key
from scripts.stackfile import ROOT, StackFile
from tests.engine.bare import BareCloud

INSTANCE, MODEL, ONE_MORE = "benchscale", "quokka", "wombat"
OWN = f"{INSTANCE}.{ONE_MORE}"
# What the engine does with the state between two steps: nothing at all shows what all of it costs, and is no way to work.
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
BY_VERB = f"{ONE_MORE_THERE}, by `tenants add`"
CERTIFICATES = 10_000  # of the load balancer: by default AWS lets it have 25
LIMIT = 1.3  # of one more tenant in its own stack: at 1,000 stacks to at 10


Row = tuple[str, int, str, Cost]
"""Place, count of tenants there, what was done, and its cost."""


class Bench:
    """One instance on a bare cloud."""

    def __init__(self, cloud: BareCloud) -> None:
        self.environment = cloud.environment
        self._stacks = cloud.settings.pulumi / "backend" / ".pulumi" / "stacks" / "opstrace"
        key = new_key().public_key()
        api = {"publicKeys": {key_id(key): canonical_pem(key)}}
        self._settings = embedded.stack_settings(cloud.settings) | {"dataApi": api}
        self._copies: list[str] = []  # in the instance's state
        self._own_state = ""

    def write(self, stack: str, settings: dict[str, Any]) -> None:
        """Write a stack's file, and make the stack where there is none."""
        path = StackFile(stack).path
        yaml = YAML()
        known = yaml.load(path.read_text()) if path.exists() else {}
        known["config"] = {f"opstrace:{name}": value for name, value in settings.items()}
        with path.open("w") as file:
            yaml.dump(known, file)
        Engine(self.environment, stack).ensure_stack()

    def tenants(self, *names: str) -> None:
        """Configure these tenants in the instance's own stack."""
        self.write(INSTANCE, self._settings | {"tenants": [{"name": name} for name in names]})

    def cost(self, verb: str, stack: str = INSTANCE, **settings: str) -> Cost:
        """Run `pulumi <verb>` with these variables too, and return what it cost."""
        confirmed = [] if verb == "preview" else ["--yes", "--skip-preview"]
        command = ["pulumi", "--non-interactive", verb, *confirmed, "--stack", stack]
        states = [self._stacks / f"{stack}{ending}" for ending in (".json", ".json.gz")]
        found, text = cost_of(command, ROOT, self.environment | settings, states)
        if verb == "preview" and " to " in text.rsplit("Resources:", 1)[-1]:
            sys.exit(f"the copied state is not what the program declares:\n{text[-3000:]}")
        return found

    def multiply(self, count: int) -> list[str]:
        """Let there be so many copies of the model tenant in the instance's state; return their names."""
        names = [f"t{number}" for number in range(len(self._copies), count)]
        self._copies += names
        found = self.exported()
        resources = found["deployment"]["resources"]
        model = model_of(resources)
        for name in names:
            resources += renamed(model, name)
        self._engine("stack", "import", "--stack", INSTANCE, given=json.dumps(found))
        return self._copies

    def exported(self, *options: str) -> dict[str, Any]:
        """Return the instance's state."""
        return dict(json.loads(self._engine("stack", "export", *options, "--stack", INSTANCE)))

    def beside(self, stacks: int) -> None:
        """Let there be so many stacks of tenants beside the instance's: files in the backend, and files of their settings."""
        for number in range(stacks):
            stack = f"{INSTANCE}.t{number}"
            (self._stacks / f"{stack}.json").write_text(self._own_state.replace(ONE_MORE, f"t{number}"))
            StackFile(stack).path.write_text(f"config:\n  opstrace:tenantOf: {INSTANCE}\n  opstrace:tenant: {{}}\n")

    def _engine(self, *arguments: str, given: str | None = None) -> str:
        command = ["pulumi", "--non-interactive", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, check=True, text=True, input=given, stdout=subprocess.PIPE
        ).stdout

    def everything(self, count: int) -> list[tuple[str, Cost]]:
        """Measure the making of the instance's stack with `count` tenants, on a cloud in which there is nothing."""
        self.tenants(MODEL, *(f"t{number}" for number in range(count - 1)))
        return [("everything, from nothing", self.cost("up"))]

    def shared(self, count: int) -> list[tuple[str, Cost]]:
        """Measure the instance's stack with `count` tenants; it is there with the model alone, and is so afterwards."""
        others = self.multiply(count - 1)
        self.tenants(MODEL, *others)
        found = [("preview without changes", self.cost("preview"))]
        self.tenants(MODEL, *others, ONE_MORE)
        found.append((ONE_MORE_THERE, self.cost("up")))
        self.tenants(MODEL, *others)
        self.cost("up")
        return found

    def writing(self, count: int) -> list[tuple[str, Cost]]:
        """Measure one more tenant in the instance's stack with `count`, which is there, when its state is written otherwise."""
        others = self._copies[: count - 1]
        found = []
        for what, settings in WRITING.items():
            self.tenants(MODEL, *others, ONE_MORE)
            found.append((f"{ONE_MORE_THERE}, {what}", self.cost("up", **settings)))
            self.tenants(MODEL, *others)
            self.cost("up", **settings)
        return found

    def as_it_comes(self, count: int) -> list[tuple[str, Cost]]:
        """Measure the instance's stack with `count` tenants, which is there, when the engine has what we take from it.

        That is a log of each command (localcloud/plugins/install.py), and Go's own collector (scripts/engine.py).
        """
        others, place = self._copies[: count - 1], Path(self.environment["PULUMI_HOME"]) / "logs"
        aside = place.rename(place.with_suffix(".aside"))
        try:
            found = [("preview without changes", self.cost("preview", GOGC=GO_DEFAULT))]
            self.tenants(MODEL, *others, ONE_MORE)
            found.append((ONE_MORE_THERE, self.cost("up", GOGC=GO_DEFAULT)))
        finally:
            shutil.rmtree(place)
            aside.rename(place)
        self.tenants(MODEL, *others)
        self.cost("up")
        return [(f"{what}, the engine as it comes", cost) for what, cost in found]

    def _verb(self, name: str, *options: str) -> Cost:
        """Run `opstrace tenants` on the tenant with a stack of its own, and return what it cost."""
        command = [str(ROOT / "opstrace"), "tenants", name, "aws", INSTANCE, ONE_MORE, *options]
        return cost_of(command, ROOT, self.environment, [self._stacks / f"{OWN}.json"])[0]

    def own(self, count: int) -> list[tuple[str, Cost]]:
        """Measure a tenant in its own stack beside `count` others: by the command as by the engine alone."""
        self.beside(count)
        by_verb = self._verb("add", "--own-stack")
        self._verb("remove", "--purge", "--yes")
        started = time.monotonic()
        self.write(OWN, {"tenantOf": INSTANCE, "tenant": {}})  # which makes the stack
        making = time.monotonic() - started
        up = self.cost("up", OWN)
        whole = replace(up, seconds=making + up.seconds)
        found = [(ONE_MORE_THERE, whole), ("preview without changes", self.cost("preview", OWN))]
        self._own_state = (self._stacks / f"{OWN}.json").read_text()
        self.cost("destroy", OWN)
        self._engine("stack", "rm", "--yes", "--preserve-config", OWN)
        StackFile(OWN).path.unlink()
        return [*found, (BY_VERB, by_verb)]


def model_of(resources: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the model tenant's resources in the instance's state."""
    return [entry for entry in resources if f"tenant-{MODEL}" in entry["urn"]]


def renamed(model: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Return the model tenant's resources as those of another tenant."""

    def other(text: str) -> str:
        for kind in BUCKET_KINDS:  # names of buckets have a digest of the tenant's
            old, new = (bucket_prefix(INSTANCE, tenant, kind, 2 * RANDOM_BYTES) for tenant in (MODEL, name))
            text = text.replace(old, new)
        return text.replace(MODEL, name)

    text = other(json.dumps(model))
    for resource in model:  # pods have a digest of what their ConfigMap holds
        for content in resource["inputs"].get("data", {}).values() if resource["type"].endswith(":ConfigMap") else ():
            old, new = (hashlib.sha256(part.encode()).hexdigest()[:16] for part in (content, other(content)))
            text = text.replace(old, new)
    return list(json.loads(text))


@contextmanager
def new_bench() -> Iterator[Bench]:
    """Start a bare cloud, and end it with all that was made in it."""
    with tempfile.TemporaryDirectory() as folder:
        cloud = BareCloud(Path(folder), CERTIFICATES)
        try:
            cloud.start()
            yield Bench(cloud)
        finally:
            cloud.stop()
            forget_files()


def measured(most: int) -> list[Row]:
    """Return what was measured."""
    rows: list[Row] = []

    def note(place: str, count: int, work: Callable[[int], list[tuple[str, Cost]]]) -> None:
        for what, cost in work(count):
            rows.append((place, count, what, cost))
            print(f"{place}, {count}: {what}: {cost.seconds:.1f} s", file=sys.stderr, flush=True)

    sizes = [size for size in (1, 10, 100) if size <= most]
    for size in sizes[1:]:
        with new_bench() as bench:
            note("shared stack", size, bench.everything)
    with new_bench() as bench:
        note("shared stack", 1, bench.everything)
        for size in [0, *sizes, 10 * most]:
            note("own stack", size, bench.own)
        # Last: a copied tenant that is taken out of the stack's file would be deleted, and is nowhere.
        for size in sizes:
            note("shared stack", size, bench.shared)
        note("shared stack", sizes[-1], bench.writing)
        note("shared stack", sizes[-1], bench.as_it_comes)
    return rows


def forget_files() -> None:
    for file in (ROOT / "stacks").glob(f"Pulumi.{INSTANCE}*.yaml"):
        file.unlink()


def main() -> None:
    """Measure and print."""
    most = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    forget_files()  # of a run that was killed
    rows = measured(most)
    columns = ("where", "tenants", "what", "seconds", "MiB", "state, bytes")
    table = Table(*columns, title=machine(), title_justify="left")
    for place, count, what, cost in rows:
        table.add_row(place, str(count), what, f"{cost.seconds:.1f}", f"{cost.memory:.0f}", f"{cost.state:,}")
    Console(width=110).print(table)
    if max(_ratio(rows, what, 10 * most) for what in (ONE_MORE_THERE, BY_VERB)) > LIMIT:
        sys.exit("one more tenant in its own stack costs more, the more others there are")


def _ratio(rows: list[Row], wanted: str, most: int) -> float:
    """Say what one more tenant in its own stack costs beside the most to what it does beside 10; return the worst of it."""
    own = {count: cost for place, count, what, cost in rows if (place, what) == ("own stack", wanted)}
    ratios: dict[str, float] = {
        name: getattr(own[most], name) / getattr(own[10], name) for name in ("seconds", "memory", "state")
    }
    told = ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items())
    print(f"{wanted} in its own stack, beside {most} to beside 10: {told} (at most {LIMIT})")
    return max(ratios.values())


if __name__ == "__main__":
    main()
