"""`local`: which plugins and releases it uses, the names of the parts, and the end of a log."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from localcloud.cloud import Status
from scripts.cli.local import local
from tests.support.contexts import FakeContext, invoke


@pytest.fixture
def running(tmp_path: Path) -> FakeContext:
    """Return a context with an embedded cloud of two programs, one of which has written a log."""
    (tmp_path / "envoy.log").write_bytes(b"first\nsecond \xff\nthird\n")
    files = {"envoy": tmp_path / "envoy.log", "kubelet": tmp_path / "kubelet.log"}
    cloud = SimpleNamespace(require_running=lambda: None, log_files=lambda settings: files)
    return FakeContext(tmp_path, cloud=cloud)


def test_without_a_part_the_names_of_all_parts_are_printed(running: FakeContext) -> None:
    assert invoke(running, local, "logs").stdout == "envoy\nkubelet\n"


def test_the_end_of_a_log_is_printed_even_where_it_is_no_text(running: FakeContext) -> None:
    assert invoke(running, local, "logs", "envoy", "--lines", "2").stdout == "second \ufffd\nthird\n"


def test_an_unknown_part_is_wrong_usage_and_the_known_ones_are_named(running: FakeContext) -> None:
    result = invoke(running, local, "logs", "cortex")
    assert result.exit_code == 2 and "no part is called 'cortex'; there are envoy, kubelet" in result.stderr


@pytest.mark.parametrize("given", [(), ("--official-plugins",), ("--trust-release-host",)])
def test_up_passes_on_which_plugins_and_releases_you_chose(tmp_path: Path, given: tuple[str, ...]) -> None:
    started: list[dict[str, bool]] = []
    settings = SimpleNamespace(user_cluster=None, kubernetes_endpoint="https://k", aws_endpoint="http://aws")

    def up(context: str | None, address: str | None, progress: object, **chosen: bool) -> object:
        started.append(chosen)
        return settings

    assert invoke(FakeContext(tmp_path, cloud=SimpleNamespace(up=up)), local, "up", *given).exit_code == 0
    names = ("--official-plugins", "--trust-release-host")
    assert started == [{name.removeprefix("--").replace("-", "_"): name in given for name in names}]


@pytest.mark.parametrize(
    ("stand_ins", "shown"),
    [
        (["aws", "the language host"], "stand-ins for aws, the language host"),
        ([], "official"),
        (None, "none yet"),
    ],
)
def test_status_says_which_plugins_are_in_use(tmp_path: Path, stand_ins: list[str] | None, shown: str) -> None:
    status = Status(
        running=False,
        kubernetes="https://k",
        context=None,
        aws="http://aws",
        https="127.0.0.1:8443",
        dns="127.0.0.1:8053",
        stand_ins=stand_ins,
        network_policies_enforced=None,
        stacks=[],
    )
    printed = invoke(FakeContext(tmp_path, cloud=SimpleNamespace(status=lambda: status)), local, "status").stdout
    assert f"Pulumi plugins:    {shown}" in printed
