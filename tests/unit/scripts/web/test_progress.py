"""The progress of an update, by the log of the engine's events while it grows."""

import json
import threading
from pathlib import Path
from typing import Any

from scripts.web.changes.progress import EventLog

URN = "urn:pulumi:showdown::opstrace::opstrace:tenant:Tenant$kubernetes:apps/v1:StatefulSet::tenant-shop-loki-stateful-set"
BUCKET = "urn:pulumi:showdown::opstrace::opstrace:tenant:Tenant$aws:s3/bucket:Bucket::tenant-shop-logs-bucket"


def event(kind: str, urn: str = URN, operation: str = "create") -> dict[str, Any]:
    return {"sequence": 1, "timestamp": 1, kind: {"metadata": {"op": operation, "urn": urn, "type": "any"}}}


def lines(*events: dict[str, Any]) -> str:
    return "".join(json.dumps(one) + "\n" for one in events)


def test_it_follows_a_log_that_grows(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    log = EventLog(file)
    assert not log.read() and log.in_words() == "the engine starts"
    file.write_text(lines(event("resourcePreEvent"), event("resourcePreEvent", BUCKET, "same")))
    assert log.read() and log.running == {URN: "creating tenant-shop-loki-stateful-set"}
    assert not log.read()
    half = json.dumps(event("resOutputsEvent"))
    with file.open("a") as opened:
        opened.write(lines(event("resOutputsEvent", BUCKET, "same")) + half[:20])
        opened.flush()
        assert log.read() and log.in_words() == "1 without a change"
        opened.write(half[20:] + "\n")
    assert log.read() and log.running == {} and log.in_words() == "1 created, 1 without a change"
    assert not log.has_ended
    with file.open("a") as opened:
        opened.write(lines({"sequence": 2, "timestamp": 1, "summaryEvent": {"resourceChanges": {}}}))
    assert log.read() and log.has_ended


def test_a_resource_that_registers_outputs_too_counts_once(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text(lines(*[event(kind) for kind in ("resourcePreEvent", "resOutputsEvent") * 2]))
    log = EventLog(file)
    log.read()
    assert log.in_words() == "1 created"


def test_several_readers_take_each_event_once(tmp_path: Path) -> None:
    """A stream and a view of the same change read at the same time."""
    file = tmp_path / "events.jsonl"
    log, count = EventLog(file), 2000
    errors: list[Exception] = []

    def read() -> None:
        try:
            while not log.has_ended:
                log.read()
        except ValueError as error:
            errors.append(error)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    with file.open("w") as opened:
        for number in range(count):
            opened.write(lines(event("resOutputsEvent", f"{URN}{number}")))
            opened.flush()
        opened.write(lines({"summaryEvent": {}}))
    for reader in readers:
        reader.join(60)
    assert errors == [] and log.in_words() == f"{count} created"


def test_it_has_the_errors_without_marks_of_colors(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    said = {"message": "<{%fg 1%}>the bucket<{%reset%}> is taken\n", "severity": "error", "urn": BUCKET}
    noise = {"message": "reading", "severity": "info#err"}
    failed = event("resOpFailedEvent", BUCKET)
    file.write_text(
        lines(event("resourcePreEvent", BUCKET), {"diagnosticEvent": said}, {"diagnosticEvent": noise}, failed)
    )
    log = EventLog(file)
    log.read()
    assert log.errors == ["the bucket is taken"] and log.at_work() == [] and log.in_words() == "1 failed"
