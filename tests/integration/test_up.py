"""`up`, and `tenants add` of several tenants, with the real engine: side by side, with errors, interrupts and kills.

OPSTRACE_CRASH_SEED repeats a run of the nightly test. OPSTRACE_UP_POINTS is the number of its kills.
"""

import json
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.config.stack import stack_name
from components.core.names import role_name
from tests.support.killing import OPERATION_SECONDS, kill
from tests.support.polling import eventually
from tests.support.several_stacks import SeveralStacks, engines_of, kill_all, outcomes_of
from tests.support.stack import INSTANCE, SEED, Stack
from tests.support.user_session import blocks, commands

PAGE = "how-to/many-tenants.md"
ADD, PREVIEW, UP = (line.strip() for line in commands(PAGE))
TENANTS = ("search", "checkout")  # as in the commands of the page
LATE = "late"  # its file is written by hand
STACKS = [stack_name(INSTANCE, tenant) for tenant in TENANTS]
POINTS = int(os.environ.get("OPSTRACE_UP_POINTS") or 12)


@pytest.fixture(scope="module")
def several(bare_stack: Stack) -> Iterator[SeveralStacks]:
    bare_stack.uninterrupted("create")
    several = SeveralStacks(bare_stack, (*TENANTS, LATE))
    yield several
    several.remove()
    bare_stack.uninterrupted("destroy")


def write_late(several: SeveralStacks) -> None:
    text = (
        f"config:\n  opstrace:tenantOf: {INSTANCE}\n  opstrace:name: {LATE}\n  opstrace:tenant: {{onDelete: purge}}\n"
    )
    several.file(stack_name(INSTANCE, LATE)).write_text(text)


def set_retention(several: SeveralStacks, retention: str) -> None:
    """Change a setting of the tenants of the page in their files; their data goes with them."""
    for name in STACKS:
        file = several.stack.project.stack_file(name)
        file.part("tenant").update(retention={"metrics": retention}, onDelete="purge")
        file.write()


def test_a_tenant_that_fails_leaves_the_others_alone_and_the_same_command_completes_it(several: SeveralStacks) -> None:
    iam = several.stack.cloud.aws("iam")
    in_the_way = role_name(INSTANCE, "checkout")
    iam.create_role(RoleName=in_the_way, AssumeRolePolicyDocument="{}")
    failed = several.run(f"{ADD} --json")
    assert failed.returncode == 1 and f"not complete: {stack_name(INSTANCE, 'checkout')}." in failed.stderr
    assert in_the_way in failed.stderr  # the end of the engine's output says why
    (shown,) = blocks(PAGE, "Add several at once", "text")
    *lines, _ = shown.replace("showdown", INSTANCE).splitlines()  # the last line counts the tenants that are complete
    assert [line for line in lines if line not in failed.stderr] == []
    found = outcomes_of(failed.stdout)
    assert [found[name][0] for name in STACKS] == ["changed", "failed"]
    iam.delete_role(RoleName=in_the_way)
    done = several.run(ADD)
    assert done.returncode == 0 and "it resumes" in done.stderr, done.stderr
    again = several.run(ADD)
    assert again.returncode == 1 and "exist already" in again.stderr
    logs = [Path(entry["log"]).read_text() for entry in json.loads(failed.stdout)["stacks"]]
    environment = several.stack.environment
    secrets = [
        environment["AWS_SECRET_ACCESS_KEY"],
        Path(environment["PULUMI_CONFIG_PASSPHRASE_FILE"]).read_text().strip(),
    ]
    assert all(logs) and not any(secret in log for secret in secrets for log in logs)


def test_all_stacks_are_brought_up_to_date(several: SeveralStacks) -> None:
    set_retention(several, "40d")
    write_late(several)
    new = stack_name(INSTANCE, LATE)
    expected = {INSTANCE: "unchanged", **dict.fromkeys(STACKS, "to change"), new: "new"}
    previewed = several.outcomes(PREVIEW)
    assert {name: outcome for name, (outcome, _) in previewed.items()} == expected
    assert len(several.stacks) == len(TENANTS) + 1 and not several.stack.resources(new)  # it changed nothing
    updated = several.outcomes(UP)
    assert all(updated[name][1] == previewed[name][1] for name in (INSTANCE, *STACKS))
    assert updated[new][1]["create"] > 30


def test_after_an_interrupt_and_a_kill_the_next_command_completes_all(several: SeveralStacks) -> None:
    set_retention(several, "50d")
    process = several.start(f"{UP} --parallel 3")
    eventually(lambda: len(engines_of(process.pid)) == 3, OPERATION_SECONDS, 0.02)
    engines = engines_of(process.pid)
    second = several.run(UP)
    assert second.returncode == 1 and f"as process {process.pid}" in second.stderr
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=OPERATION_SECONDS)
    assert process.returncode == 130 and f"complete the rest: ./opstrace up aws {INSTANCE}" in errors, errors
    assert not any(engine.is_running() for engine in engines)

    process = several.start(UP)
    eventually(lambda: len(engines_of(process.pid)) > 1, OPERATION_SECONDS, 0.02)
    time.sleep(random.Random(SEED).uniform(0, 3))
    kill_all(process.pid)
    process.communicate(timeout=OPERATION_SECONDS)
    assert several.run(UP).returncode == 0
    several.assert_complete(f"seed {SEED}")


@pytest.mark.nightly
def test_a_command_that_is_killed_anywhere_is_resumed(several: SeveralStacks) -> None:
    """Of each run, one engine, or everything, is killed; at random times of adding, changing and removing resources."""
    draw, add = random.Random(SEED), f"{ADD} onDelete=purge"  # retained buckets would be in the cloud and in no state
    several.remove()
    started = time.monotonic()
    assert several.run(add).returncode == 0
    seconds = time.monotonic() - started
    for point in range(POINTS):
        if point % 2:
            set_retention(several, f"{61 + point}d")
        else:
            several.remove()
        command = UP if point % 2 else add
        after, alone = draw.uniform(0, seconds), draw.random() < 0.5
        process = several.start(command)
        time.sleep(after)
        engines = engines_of(process.pid)
        if alone and engines:
            kill(draw.choice(engines))
        else:
            kill_all(process.pid)
        process.communicate(timeout=OPERATION_SECONDS)
        detail = f"seed {SEED}, point {point}: {'an engine' if alone else 'everything'} killed after {after:.1f} s"
        again = several.run(command)
        assert again.returncode == 0 or "exist already" in again.stderr, f"{detail}: {again.stderr}"
        several.assert_complete(detail)
        print(f"{detail}: resumed", flush=True)
