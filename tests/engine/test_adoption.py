"""`tenants data adopt` that is killed goes on, with the same buckets and the retention that their data had.

OPSTRACE_CRASH_SEED repeats a run, OPSTRACE_ADOPTION_POINTS says how often it is killed.
"""

import itertools
import os
import random
from collections.abc import Iterator

import pytest

from scripts import stores
from scripts.placing import entry_of
from scripts.stackfile import StackFile
from tests.engine.census import of_cloud, of_state
from tests.engine.killing import kill_at
from tests.engine.stack import INSTANCE, PASSING, SEED, Stack, buckets_of, retained
from tests.shell import ROOT, run

POINTS = int(os.environ.get("OPSTRACE_ADOPTION_POINTS") or 8)
RETENTION = "45d"
TENANTS = [str(ROOT / "opstrace"), "tenants"]
ADOPT = [*TENANTS, "data", "adopt", "aws", INSTANCE, PASSING]
WORKS = {"import": 3.0, "up": 4.0}  # of the engine that are killed, and for how long they last, in seconds


@pytest.fixture
def left_behind(bare_stack: Stack) -> Iterator[Stack]:
    """An instance with the data of a tenant that is gone, kept for longer than the defaults say."""
    bare_stack.fate, fate = "retain", bare_stack.fate
    for phase in ("create", "add"):
        bare_stack.undisturbed(phase)
    run(*TENANTS, "set", "aws", INSTANCE, PASSING, f"retention.metrics={RETENTION}", env=bare_stack.environment)
    bare_stack.undisturbed("delete")
    yield bare_stack
    bare_stack.undisturbed("destroy")
    bare_stack.fate = fate


def assert_adopted(stack: Stack, buckets: list[str], what: str) -> None:
    resources = stack.resources()
    assert of_cloud(stack.cloud) == of_state(resources), what
    assert buckets_of(stack.cloud) == buckets and not any(entry.get("protect") for entry in resources), what
    assert entry_of(StackFile(INSTANCE), PASSING)["retention"]["metrics"] == RETENTION, what
    for bucket in buckets:
        tags = stack.cloud.aws("s3").get_bucket_tagging(Bucket=bucket)["TagSet"]
        assert stores.ADOPTING not in {tag["Key"] for tag in tags}, what
    assert stack.is_as_declared(), what


@pytest.mark.nightly
def test_an_adoption_that_is_killed_goes_on(left_behind: Stack) -> None:
    """Beside this, test_tenants.py kills one, on a real cluster."""
    draw, buckets = random.Random(SEED), buckets_of(left_behind.cloud)
    print(f"seed {SEED}, {POINTS} points")
    for number, work in zip(range(1, POINTS + 1), itertools.cycle(WORKS)):
        after, alone = draw.uniform(0, WORKS[work]), draw.random() < 0.5
        what = f"{number:3} {'the engine' if alone else 'everything'} killed {after:.1f} s after the begin of `{work}`"
        kill_at(ADOPT, left_behind.environment, work, after, alone=alone)
        again = run(*ADOPT, env=left_behind.environment, check=False)
        assert again.returncode == 0, f"{what}: {again.stderr}"
        assert_adopted(left_behind, buckets, what)
        print(f"{what}: it went on", flush=True)
        # Without a kubelet no pod is ready.
        run(*TENANTS, "remove", "aws", INSTANCE, PASSING, "--retain", "--force", env=left_behind.environment)
        retained(left_behind, "delete")  # every object is what it was
