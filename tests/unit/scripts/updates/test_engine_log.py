"""The log of one engine: everything is in the file, and its progress is taken from the lines."""

import stat
from pathlib import Path

import pytest

from scripts.updates.engine_log import TAIL_LINES, EngineLog

# The output of pulumi 3.255, shortened.
UPDATE = """Updating (crash.a):

@ updating....
 +  pulumi:pulumi:Stack opstrace-crash.a creating (0s)\x20
 +  opstrace:tenant:Tenant tenant-a creating (0s)\x20
 +  kubernetes:core/v1:Namespace tenant-a-namespace created (1s)\x20
 ~  aws:iam:Role tenant-a-role updated (0.70s)\x20
 -  aws:s3:Bucket old deleted (0.1s)\x20
 +- aws:acm:Certificate tenant-a-certificate replaced (2s)\x20
Resources:
    + 33 created
    ~ 2 updated
    - 1 deleted
    +-1 replaced
    37 changes. 4 unchanged

Duration: 4s
"""
PREVIEW = """Previewing update (crash.a):
 +  aws:s3:Bucket tenant-a-metrics-bucket create\x20
Resources:
    + 1 to create
    5 unchanged
"""
REFRESH = """Refreshing (crash.a):
 ~  aws:iam:Role tenant-a-role refreshed (0.70s)\x20
Resources:
    38 unchanged

Duration: 1s
"""


@pytest.fixture
def log(tmp_path: Path) -> EngineLog:
    return EngineLog(tmp_path / "crash.a.log")


def write(log: EngineLog, *texts: str) -> None:
    with log:
        for text in texts:
            for line in text.splitlines(keepends=True):
                log.line(line)


def test_steps_and_changes_of_an_update_are_counted(log: EngineLog) -> None:
    write(log, UPDATE)
    assert log.steps == 4 and log.outcome == "changed"
    assert log.changes == {"create": 33, "update": 2, "delete": 1, "replace": 1, "same": 4}
    assert log.path.read_text() == UPDATE


def test_only_the_last_operation_counts(log: EngineLog) -> None:
    write(log, UPDATE, REFRESH)
    assert (log.changes, log.outcome) == ({"same": 38}, "unchanged")


def test_a_preview_tells_what_would_change(log: EngineLog) -> None:
    write(log, PREVIEW)
    assert (log.changes, log.outcome) == ({"create": 1, "same": 5}, "to change")


def test_the_end_is_kept_without_empty_lines(log: EngineLog) -> None:
    write(log, "\n".join(f"line {number}" for number in range(2 * TAIL_LINES)) + "\n\n")
    log_end = log.tail()
    assert len(log_end) == TAIL_LINES and log_end[-1] == f"line {2 * TAIL_LINES - 1}"


def test_a_note_of_the_command_stands_among_the_engine_s_lines(log: EngineLog) -> None:
    with log:
        log.line("one\n")
        log.note("Cleared the lock.")
    assert log.path.read_text() == "one\nCleared the lock.\n" and str(log.path) in log.place


def test_a_new_run_replaces_the_file_which_is_the_user_s_alone(log: EngineLog, tmp_path: Path) -> None:
    log.path.write_text("of the run before")
    log.path.chmod(0o644)
    write(log, PREVIEW)
    assert log.path.read_text() == PREVIEW and stat.S_IMODE(log.path.stat().st_mode) == 0o600


def test_a_full_disk_stops_no_reader(log: EngineLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.updates.engine_log.os.fdopen", lambda *_, **options: Path("/dev/full").open("w"))
    write(log, PREVIEW)
    assert log.changes == {"create": 1, "same": 5}
    assert log.tail()[0] == f"(the rest is not in {log.path}: No space left on device)"
