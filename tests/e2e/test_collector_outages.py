"""The cluster watches itself through bad luck, while a pod writes 1,000 lines/s: no line is lost.

The system tenant is down for ten minutes, or refuses lines. The collector is killed, and the node restarts. The kubelet
rotates the pod's log files meanwhile.
"""

import os
import re
import signal
import time

import pytest

from components.collectors.scrape import SECONDS
from components.collectors.settings import NODE, OWN_METRICS_PORT, CollectorQueues
from components.core.names import COLLECTORS_NAMESPACE
from components.core.tags import NAME_LABEL
from tests.support.node_processes import stop_node
from tests.support.numbered_lines import Comparison, ReadLines, newest
from tests.support.packets import PodNetwork, process_of
from tests.support.polling import eventually
from tests.support.queries import METRICS, asked
from tests.support.system_outages import STATUSES, refusing_loki, stopped
from tests.support.user_session import UserSession
from tests.support.writer_pod import CHARACTERS, LINES_A_SECOND, WriterPod, writing

pytestmark = pytest.mark.nightly

DOWN_SECONDS, REFUSED_SECONDS = 600, 60
START_SECONDS = 300  # until the collectors run, on a busy machine
BACK_SECONDS = 900  # until what was queued has arrived, on a busy machine
PROMISED_SECONDS = 900  # of the queue of lines, at this load
FRESH_SECONDS = 10  # from a line to the answer that has it, if none waits before it
WAITING_BYTES = 5 * LINES_A_SECOND * CHARACTERS  # more than the queue holds while none waits
ENOUGH = 10_000  # lines before the node stops, and after it
COLLECTOR = "otelcol-k8s"


def _await_fresh(walk: UserSession, writer: WriterPod, seconds: float = START_SECONDS) -> float:
    """Wait until a line that is written from now on is found soon; return the seconds that it took."""
    began = time.time()

    def is_fresh() -> bool:
        found = newest(walk, writer)
        return found > max(began, time.time() - FRESH_SECONDS)

    return eventually(is_fresh, seconds, 2, lambda: (time.time() - newest(walk, writer), _said(walk)))


def _assert_nothing_lost(walk: UserSession, writer: WriterPod) -> None:
    """End the writer, and fail unless Loki returns each of its lines."""
    writer.stop()
    lines, latest = ReadLines(walk, writer), list[Comparison]()

    def all_are_found() -> bool:
        latest[:] = [lines.compared()]
        return not latest[0].missing() and not latest[0].failures

    eventually(all_are_found, BACK_SECONDS, 5, lambda: (latest[0], latest[0].missing()[:5], _said(walk)))
    print(latest[0])
    assert {*latest[0].returned} == {*latest[0].written}  # no run was overlooked


def _said(walk: UserSession) -> str:
    words = ("-n", COLLECTORS_NAMESPACE, "logs", "-l", f"{NAME_LABEL}={NODE}", "--tail=20")
    return walk.in_project("kubectl", *words, check=False).stdout


def _process_of_collector(walk: UserSession) -> int | None:
    """Return the process of the node's collector, None while it does not run."""
    first = ("-l", f"{NAME_LABEL}={NODE}", "-o", "jsonpath={.items[0].metadata.name}")
    pod = walk.kubectl("-n", COLLECTORS_NAMESPACE, "get", "pods", *first)
    return process_of(walk, COLLECTORS_NAMESPACE, pod, COLLECTOR)


def _kill_collector(walk: UserSession, queued: float = 0) -> None:
    """Kill the node's collector, and wait until the kubelet has started it again.

    Fail unless its queue of lines holds `queued` bytes at the kill.
    """
    killed = _process_of_collector(walk)
    assert killed
    assert not queued or _queued_bytes(walk) >= queued
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: _process_of_collector(walk) not in (None, killed), BACK_SECONDS)


def _queued_bytes(walk: UserSession) -> float:
    """Return how much the queue of lines holds, by the collector's own metric, which is on loopback."""
    collector = PodNetwork.of(walk, COLLECTORS_NAMESPACE, NODE)
    text = collector.output("curl", "-s", f"http://127.0.0.1:{OWN_METRICS_PORT}/metrics")
    (size,) = re.findall(r'^otelcol_exporter_queue_size{.*data_type="logs".*} (\S+)$', text, re.MULTILINE)
    return float(size)


def _scrapes(walk: UserSession, seconds: float) -> int:
    """Return how many scrapes of the containers are stored of the last `seconds`."""
    answer = asked(walk, METRICS, query=f'count_over_time(up{{job="cadvisor"}}[{int(seconds)}s])')
    return sum(int(entry["value"][1]) for entry in answer)


def test_nothing_is_lost_in_ten_minutes_without_the_system_tenant(walk: UserSession) -> None:
    with writing(walk) as writer:
        _await_fresh(walk, writer)
        began = time.time()
        with stopped(walk, "cortex", "loki"):
            lines, queued = sum(writer.written().values()), _queued_bytes(walk)
            time.sleep(DOWN_SECONDS)
            (last,), grown = writer.written().values(), _queued_bytes(walk) - queued
            first = min(span.first for span in writer.spans())
        assert last - lines > 0.95 * LINES_A_SECOND * DOWN_SECONDS
        assert first > last / 2  # the kubelet has deleted the files of the others
        lasts = CollectorQueues().size("loki") / (grown / (last - lines) * LINES_A_SECOND)
        drained = _await_fresh(walk, writer, BACK_SECONDS)

        def scrapes_are_there() -> bool:
            passed = time.time() - began
            return _scrapes(walk, passed) >= int(passed / SECONDS) - 2  # the first and the newest may be outside

        eventually(scrapes_are_there, 120, 5, lambda: (_scrapes(walk, time.time() - began), time.time() - began))
        _assert_nothing_lost(walk, writer)
    print(f"the queue lasts {lasts:.0f} s; after {DOWN_SECONDS} s it is empty again in {drained:.0f} s")
    assert lasts > PROMISED_SECONDS


def test_no_line_is_lost_where_the_collector_is_killed_under_load(walk: UserSession) -> None:
    """It is killed while lines arrive, while the system tenant refuses them, and while those that waited arrive."""
    with writing(walk) as writer:
        _await_fresh(walk, writer)
        _kill_collector(walk)
        _await_fresh(walk, writer)
        with refusing_loki(walk) as answered:
            eventually(lambda: {*answered()} == {*STATUSES}, BACK_SECONDS)
            _kill_collector(walk)
            refused, before = time.time(), answered().total()
            time.sleep(REFUSED_SECONDS)
            assert answered().total() > before
        eventually(lambda: newest(walk, writer) > refused, BACK_SECONDS, 0.2)
        _kill_collector(walk, WAITING_BYTES)
        _await_fresh(walk, writer, BACK_SECONDS)
        _assert_nothing_lost(walk, writer)


def test_no_line_is_lost_when_the_node_stops(walk: UserSession) -> None:
    """A line that the container runtime has not written yet is lost with the node. All in a file count."""
    with writing(walk) as writer:
        _await_fresh(walk, writer)
        eventually(lambda: sum(writer.written().values()) > ENOUGH)
        stop_node()

        def both_wrote() -> bool:
            """Tell whether the pod wrote enough before the stop and after it; it can be started more than once."""
            before, *after = (last for _, last in sorted(writer.written().items()))
            return before > ENOUGH and sum(after) > ENOUGH

        eventually(both_wrote, BACK_SECONDS)
        _await_fresh(walk, writer, BACK_SECONDS)
        _assert_nothing_lost(walk, writer)
