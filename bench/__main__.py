"""All benches in one session: `make bench`, as root, with the tools cached and nothing else running.

`make bench BENCHES="first_200 gateway"` runs some of them. The session prints one table with the targets, and writes it
with the output of each bench to a file in `bench/results`. It exits with an error that names each target that is missed.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

from bench.session import Outcome, run, summary
from scripts.stackfile.file import ROOT

# The minutes that each takes on two cores. Those that measure short times come first, before the disk's cache is full.
MINUTES = {
    "first_200": 4,
    "collectors_start": 5,
    "page": 5,
    "page_browser": 2,
    "gateway": 18,
    "gateway_steps": 7,
    "scale": 80,
    "page_states": 12,
    "terraform": 60,
    "collectors": 15,
    "full_queues": 5,
    "memory": 10,
    "idle_memory": 9,
    "system_tenant": 5,
    "idle": 80,
    "suite": 110,
    "first_build": 20,
}
RESULTS = ROOT / "bench" / "results"


@click.command()
@click.argument("names", nargs=-1, type=click.Choice([*MINUTES]), metavar="[BENCH]...")
def main(names: Sequence[str]) -> None:
    """Run the benches, all of them by default."""
    chosen = list(dict.fromkeys(names)) or list(MINUTES)
    print(f"{', '.join(chosen)}: about {sum(MINUTES[name] for name in chosen)} min", flush=True)
    started = time.strftime("%Y-%m-%d-%H%M")
    outcomes = [run(f"bench.{name}") for name in chosen]
    print(summary(outcomes))
    print(f"written: {_write(RESULTS / f'bench-{started}.md', started, chosen, outcomes).relative_to(ROOT)}")
    if problems := [problem for outcome in outcomes for problem in outcome.problems]:
        sys.exit("missed:\n" + "\n".join(f"- {problem}" for problem in problems))


def _write(file: Path, started: str, chosen: Sequence[str], outcomes: Sequence[Outcome]) -> Path:
    """Write the table, and below it the output of each bench; return the file."""
    parts = [
        f'# Session of benches, {started[:10]}\n\n`make bench BENCHES="{" ".join(chosen)}"` at commit {_commit()}.',
        f"```text\n{summary(outcomes)}```",
    ]
    for outcome in outcomes:
        parts.append(f"## {outcome.module}\n\n{outcome.seconds / 60:.0f} min.\n\n```text\n{outcome.output}```")
    file.write_text("\n\n".join(parts) + "\n")
    return file


def _commit() -> str:
    """Return the commit of the checkout, and whether it has changes."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()

    return git("rev-parse", "--short", "HEAD") + (" with changes" if git("status", "--porcelain") else "")


if __name__ == "__main__":
    main()
