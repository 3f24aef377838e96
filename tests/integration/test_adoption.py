"""`tenants data adopt` continues after a kill, with the same buckets and the retention of their data.

OPSTRACE_CRASH_SEED repeats a run. OPSTRACE_ADOPTION_POINTS is the number of kills.
"""

import itertools
import os
import random
from collections.abc import Iterator

import pytest

from components.core.tags import ADOPTING_TAG
from scripts.tenants.locate import entry_of
from tests.support.census import of_cloud, of_state
from tests.support.killing import kill_at
from tests.support.stack import INSTANCE, SEED, TEMPORARY, Stack, buckets_of, retained

POINTS = int(os.environ.get("OPSTRACE_ADOPTION_POINTS") or 8)
RETENTION = "45d"
ADOPT = ["tenants", "data", "adopt", "aws", INSTANCE, TEMPORARY]
OPERATIONS = {"import": 3.0, "up": 4.0}  # operations of the engine that are killed, and their seconds


@pytest.fixture
def left_behind(bare_stack: Stack) -> Iterator[Stack]:
    """An instance with retained data of a deleted tenant, whose retention is longer than the default."""
    bare_stack.on_delete, on_delete = "retain", bare_stack.on_delete
    for phase in ("create", "add"):
        bare_stack.uninterrupted(phase)
    bare_stack.opstrace("tenants", "set", "aws", INSTANCE, TEMPORARY, f"retention.metrics={RETENTION}")
    bare_stack.uninterrupted("delete")
    yield bare_stack
    bare_stack.uninterrupted("destroy")
    bare_stack.on_delete = on_delete


def assert_adopted(stack: Stack, buckets: list[str], what: str) -> None:
    resources = stack.resources()
    assert of_cloud(stack.cloud) == of_state(resources), what
    assert buckets_of(stack.cloud) == buckets and not any(entry.get("protect") for entry in resources), what
    assert entry_of(stack.project.stack_file(INSTANCE), TEMPORARY)["retention"]["metrics"] == RETENTION, what
    for bucket in buckets:
        tags = stack.cloud.aws("s3").get_bucket_tagging(Bucket=bucket)["TagSet"]
        assert ADOPTING_TAG not in {tag["Key"] for tag in tags}, what
    assert stack.is_as_declared(), what


@pytest.mark.nightly
def test_a_killed_adoption_is_resumed(left_behind: Stack) -> None:
    """test_tenants.py also kills an adoption, on a real cluster."""
    draw, buckets = random.Random(SEED), buckets_of(left_behind.cloud)
    print(f"seed {SEED}, {POINTS} points")
    for number, operation in zip(range(1, POINTS + 1), itertools.cycle(OPERATIONS)):
        after, alone = draw.uniform(0, OPERATIONS[operation]), draw.random() < 0.5
        what = f"{number:3} {'the engine' if alone else 'everything'} killed {after:.1f} s after the begin of `{operation}`"
        kill_at([left_behind.project.launcher, *ADOPT], left_behind.environment, operation, after, alone=alone)
        again = left_behind.opstrace(*ADOPT, check=False)
        assert again.returncode == 0, f"{what}: {again.stderr}"
        assert_adopted(left_behind, buckets, what)
        print(f"{what}: resumed", flush=True)
        # --force: no pod is ready without a kubelet.
        left_behind.opstrace("tenants", "remove", "aws", INSTANCE, TEMPORARY, "--retain", "--force")
        retained(left_behind, "delete")  # fails unless every object is unchanged
