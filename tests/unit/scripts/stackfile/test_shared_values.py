"""An edit of one tenant never changes another, whatever values they share by aliases and merge keys of YAML."""

from pathlib import Path
from typing import Any

import pytest

from components.core.errors import UserError
from scripts.cli.tenants.edit import add, set_
from scripts.stackfile.file import StackFile
from tests.support.contexts import FakeContext, invoke

TENANTS = "  opstrace:tenants:\n    - name: default\n"
SHARED = {
    "an alias": """\
  opstrace:tenants:
    - name: default
      retention: &r { metrics: 90d, logs: 30d }
    - name: payments
      retention: *r
""",
    "a merge key": """\
  opstrace:tenants:
    - &d
      name: default
      retention:
        metrics: 90d
      owner: team-a
    - <<: *d
      name: payments
""",
    "defaults": """\
  opstrace:tenantDefaults: &d
    retention: { metrics: 90d }
  opstrace:tenants:
    - name: default
    - <<: *d
      name: payments
""",
    "defaults that are an alias": """\
  opstrace:tenants:
    - name: default
    - name: payments
      labels: &l { team: a }
  opstrace:tenantDefaults:
    labels: *l
""",
    "names without the prefix": """\
  tenants:
    - name: default
      retention: &r { metrics: 90d }
    - name: payments
      retention: *r
""",
    "an anchor outside": """\
  other:shared: &r { metrics: 90d }
  opstrace:tenants:
    - name: default
    - name: payments
      retention: *r
""",
    "all tenants at once": """\
  other:shared: &t
    - name: default
    - name: payments
      owner: team-a
  opstrace:tenants: *t
""",
}
EDITS: list[tuple[Any, list[str]]] = [
    (set_, ["payments", "retention.metrics=7d", "--yes"]),
    (set_, ["payments", "labels.team=b"]),
    (set_, ["payments", "owner="]),
    (set_, ["default", "owner=b"]),
    (add, ["extra"]),
]


@pytest.mark.parametrize("shared", SHARED.values(), ids=SHARED.keys())
@pytest.mark.parametrize(("verb", "arguments"), EDITS)
def test_a_file_with_shared_settings_is_not_edited_and_the_reason_is_told(
    stack: Path, context: FakeContext, shared: str, verb: Any, arguments: list[str]
) -> None:
    before = stack.read_text().replace(TENANTS, shared)
    stack.write_text(before)
    assert len(StackFile("showdown", stack.parent).config().tenants) == 2
    done = invoke(context, verb, "local", "showdown", *arguments, "--no-apply")
    assert isinstance(done.exception, UserError), done
    assert "takes a value from another place" in str(done.exception) and "write the value out" in str(done.exception)
    assert stack.read_text() == before


@pytest.mark.parametrize(("verb", "arguments"), EDITS)
def test_values_that_only_others_share_prevent_no_edit(
    stack: Path, context: FakeContext, verb: Any, arguments: list[str]
) -> None:
    """Anchors without an alias, and aliases among the settings of other programs."""
    tenants = "  opstrace:tenants:\n    - &d\n      name: default\n    - name: payments\n      owner: team-a\n"
    before = "x: &x { a: 1 }\n" + stack.read_text().replace(TENANTS, tenants) + "  other:y: *x\n"
    stack.write_text(before)
    others = {entry.name: entry for entry in StackFile("showdown", stack.parent).config().tenants}
    done = invoke(context, verb, "local", "showdown", *arguments, "--no-apply")
    assert done.exception is None, done
    after = {entry.name: entry for entry in StackFile("showdown", stack.parent).config().tenants}
    assert {name for name in others if after[name] != others[name]} <= {arguments[0]}
    assert {*before.splitlines()} - {*stack.read_text().splitlines()} <= {"      owner: team-a"}
