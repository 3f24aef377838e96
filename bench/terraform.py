"""What one more tenant costs by Terraform: `.venv/bin/python -m bench.terraform [TENANTS]`, after `make setup`.

The same graph (`bench/terraform_graph.py`) in the same moto, by the `terraform` on PATH and its provider `hashicorp/aws`,
which it must be able to find (`TF_CLI_ARGS_init=-plugin-dir=FOLDER` where no registry is in reach). Without a `terraform`
on PATH nothing is compared, and that is said. All of Terraform's tenants are really made, since it asks AWS for each before it
plans; Pulumi's are as in `bench.scale`.
"""

import json
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.cost import Cost, cost_of
from bench.machine import machine
from bench.scale import INSTANCE, MODEL, ONE_MORE, Bench, forget_files, model_of, new_bench, renamed
from bench.terraform_graph import configuration
from localcloud.aws.account import CREDENTIALS
from localcloud.settings import REGION
from scripts.engine import COLLECTOR

ITS_INSTANCE = "benchother"  # both have theirs in one account
PROVIDER = "5.100.0"  # the newest of its major version, whose resources pulumi_aws 7 has under the same names
PARALLEL = 100  # of all that is made: each of three lifecycle rules a tenant takes it 55 s
WHOLE = "plan and apply"
LIMIT = 0.6  # of one more tenant: Pulumi's update to Terraform's plan and apply


class Terraform:
    """An instance of Terraform's in a folder, from the state of one of Pulumi's."""

    def __init__(self, folder: Path, environment: dict[str, str], state: list[dict[str, Any]]) -> None:
        self._folder = folder
        settings = {"TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}
        # What is set for Pulumi's engine is not Terraform's: it runs as it comes.
        self._environment = {name: value for name, value in environment.items() if name not in COLLECTOR} | settings
        self._base = [entry for entry in state if entry not in (model := model_of(state))]
        self._model = model
        self.write([])
        self.run("init")

    def write(self, tenants: Sequence[str]) -> None:
        """Configure the model tenant and these."""
        copies = [entry for name in tenants for entry in renamed(self._model, name)]
        provider = {
            "region": REGION,
            "access_key": CREDENTIALS["aws_access_key_id"],
            "secret_key": CREDENTIALS["aws_secret_access_key"],
            "s3_use_path_style": True,
            "skip_metadata_api_check": True,
        }
        resources = configuration([*self._base, *self._model, *copies])
        content = {
            "terraform": {"required_providers": {"aws": {"source": "hashicorp/aws", "version": PROVIDER}}},
            "provider": {"aws": provider},
            "resource": resources,
        }
        (self._folder / "main.tf.json").write_text(json.dumps(content, indent=1).replace(INSTANCE, ITS_INSTANCE))

    def run(self, *arguments: str) -> tuple[Cost, str]:
        """Run `terraform` with these arguments and return what it cost, and what it said."""
        command = ["terraform", arguments[0], "-no-color", "-input=false", *arguments[1:]]
        return cost_of(command, self._folder, self._environment, [self._folder / "terraform.tfstate"])


def waited(said: str) -> float:
    """Return the longest time in seconds that an apply took for one resource: by the clock, for AWS to have it everywhere.

    The provider waits for records (15 s) and lifecycle rules (55 s). Pulumi's own, which is made of it, does too, and the
    stand-in does not: so this is no difference of the engines.
    """
    found = re.findall(r"^\S+: Creation complete after (?:(\d+)m)?(\d+)s", said, re.MULTILINE)
    return max(60.0 * int(minutes or 0) + int(seconds) for minutes, seconds in found)


def by_terraform(terraform: Terraform, others: Sequence[str]) -> tuple[list[tuple[str, Cost]], float]:
    """Measure the model tenant with `others`, and one more: return the rows, and how long AWS was waited for in that."""
    terraform.write(others)
    found = [("everything, from nothing", terraform.run("apply", "-auto-approve", f"-parallelism={PARALLEL}")[0])]
    plan = ("plan", "-detailed-exitcode")  # fails where anything would change
    found += [
        ("plan without changes", terraform.run(*plan)[0]),
        ("plan without changes, without asking AWS", terraform.run(*plan, "-refresh=false")[0]),
    ]
    terraform.write([*others, ONE_MORE])
    found.append(("one more tenant: plan", terraform.run("plan", "-out", "one-more")[0]))
    applied, said = terraform.run("apply", "one-more")
    found.append(("one more tenant: apply of that plan", applied))
    return found, waited(said)


def compared(bench: Bench, count: int) -> tuple[list[tuple[str, str, Cost]], dict[str, float]]:
    """Return who did what at which cost, with `count` tenants, and the ratios of one more tenant."""
    bench.tenants(MODEL)
    bench.cost("up")
    state = bench.exported("--show-secrets")["deployment"]["resources"]
    with tempfile.TemporaryDirectory() as folder:
        others = [f"t{number}" for number in range(count - 1)]
        its, waits = by_terraform(Terraform(Path(folder), bench.environment, state), others)
    ours = bench.shared(count)
    rows = [("Terraform", *row) for row in its] + [("Pulumi", *row) for row in ours]
    seconds = {(who, what): entry.seconds for who, what, entry in rows}
    terraform = sum(entry for (_, what), entry in seconds.items() if what.startswith("one more tenant: "))
    pulumi = seconds["Pulumi", "one more tenant"]
    return rows, {
        WHOLE: pulumi / terraform,
        f"{WHOLE}, without the {waits:.0f} s in which it waits for AWS": pulumi / (terraform - waits),
    }


def main() -> None:
    """Measure and print."""
    if not shutil.which("terraform"):
        print("There is no `terraform` on PATH: nothing is compared.")
        return
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    forget_files()
    with new_bench() as bench:
        rows, ratios = compared(bench, count)
    table = Table("by", "what", "seconds", "MiB", "state, bytes", title=f"{count} tenants; {machine()}")
    for who, what, entry in rows:
        table.add_row(who, what, f"{entry.seconds:.1f}", f"{entry.memory:.0f}", f"{entry.state:,}")
    Console(width=110).print(table)
    for what, ratio in ratios.items():
        print(f"one more tenant beside {count}, Pulumi's `up` to Terraform's {what}: {ratio:.2f}")
    if ratios[WHOLE] > LIMIT:
        sys.exit(f"one more tenant costs more than {LIMIT} of what it does by Terraform")


if __name__ == "__main__":
    main()
