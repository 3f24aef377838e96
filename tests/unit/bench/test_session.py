"""The session of benches: its table, its file, and its exit status where a target is missed or a bench fails."""

import ast
from pathlib import Path

import pytest

from bench import __main__ as entry_point
from bench.figure import Figure, finish, missed
from bench.session import run, summary
from tests.support.shell import ROOT

QUICK = """
from bench.figure import Figure, SkippedError
TITLE = "Quick"
def measure():
    print("detail of the bench")
    {body}
"""


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose modules are benches."""
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{tmp_path}")
    return tmp_path


def write_bench(folder: Path, name: str, body: str) -> str:
    (folder / f"{name}.py").write_text(QUICK.format(body=body))
    return name


@pytest.mark.parametrize(
    ("figure", "is_met", "row"),
    [
        (Figure("a", 2.5, "s", most=3), True, ("a", "at most 3 s", "2.50 s", "83%", "")),
        (Figure("a", 3.5, "s", most=3), False, ("a", "at most 3 s", "3.50 s", "117%", "MISSED")),
        (Figure("a", 0.9, least=0.8), True, ("a", "at least 0.8", "0.90", "112%", "")),
        (Figure("a", 0.7, least=0.8), False, ("a", "at least 0.8", "0.70", "87%", "MISSED")),
        (Figure("a", 1.0, "MiB"), True, ("a", "", "1.00 MiB", "", "")),
    ],
)
def test_a_row_has_the_target_the_value_and_their_ratio(figure: Figure, is_met: bool, row: tuple[str, ...]) -> None:
    assert figure.is_met == is_met
    assert figure.row() == row
    assert missed([figure]) == ([] if is_met else ["a"])


def test_a_bench_that_misses_its_target_exits_with_its_name() -> None:
    with pytest.raises(SystemExit, match=r"^missed: slow$"):
        finish("Title", [Figure("slow", 2, most=1), Figure("fast", 1, most=2)])


def test_a_bench_within_its_targets_ends_well() -> None:
    finish("Title", [Figure("fast", 1, most=2)])


def test_the_session_goes_on_after_benches_that_miss_fail_or_are_skipped(bench: Path) -> None:
    bodies = {
        "missing": "return [Figure('slow', 2, 's', most=1)]",
        "crashing": "raise ValueError('broken')",
        "skipping": "raise SkippedError('no tool')",
        "good": "return [Figure('fast', 1, 's', most=2)]",
    }
    outcomes = [run(write_bench(bench, name, body)) for name, body in bodies.items()]
    assert [outcome.problems for outcome in outcomes] == [
        ["missing: slow"],
        ["crashing: exited 1"],
        [],
        [],
    ]
    assert all("detail of the bench" in outcome.output for outcome in outcomes)
    assert "ValueError: broken" in outcomes[1].output
    lines = summary(outcomes).splitlines()
    for words in (
        ("slow", "at most 1 s", "2.00 s", "200%", "MISSED"),
        ("crashing", "exited 1", "FAILED"),
        ("skipping", "skipped: no tool"),
        ("fast", "at most 2 s", "1.00 s", "50%"),
    ):
        assert any(all(word in line for word in words) for line in lines), (words, lines)


@pytest.mark.parametrize("name", entry_point.MINUTES)
def test_every_bench_of_the_entry_point_has_the_protocol(name: str) -> None:
    tree = ast.parse((ROOT / "bench" / f"{name}.py").read_text())
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    names = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert "measure" in functions
    assert "TITLE" in names
