"""`make audit` against databases on loopback: it names vulnerabilities, and fails if a database does."""

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from supplychain.audit import applicable, go_findings, go_modules
from supplychain.locks import COMMAND
from tests.support.ports import free_port
from tests.support.shell import ROOT

MODIFIED = "2026-11-01T00:00:00Z"


def python_entry(name: str) -> dict[str, Any]:
    events = [{"introduced": "0"}, {"fixed": "99.1"}]
    package = {"name": name, "ecosystem": "PyPI"}
    return {
        "id": "PYSEC-2026-1",
        "modified": MODIFIED,
        "affected": [{"package": package, "ranges": [{"type": "ECOSYSTEM", "events": events}]}],
    }


def go_entry(symbol: str) -> dict[str, Any]:
    affected = {
        "package": {"name": "stdlib", "ecosystem": "Go"},
        "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "1.99.0"}]}],
        "ecosystem_specific": {"imports": [{"path": "os/signal", "symbols": [symbol]}]},
    }
    return {
        "schema_version": "1.3.1",
        "id": "GO-2026-0001",
        "modified": MODIFIED,
        "published": MODIFIED,
        "affected": [affected],
        "database_specific": {"url": "https://pkg.go.dev/vuln/GO-2026-0001"},
    }


@dataclass
class Databases:
    """OSV's query API and the Go vulnerability database, at `url`.

    `queried` has the names of the Python packages that were queried.
    """

    url: str
    vulnerable: str | None = None  # a Python package
    symbol: str | None = None  # a function of Go's package os/signal that is vulnerable
    status: int = 200
    queried: set[str] = field(default_factory=set)

    def answer(self, request: Request) -> Response:
        if self.status != 200:
            return Response(status=self.status)
        return self._python(request) if request.method == "POST" else self._go(request)

    def _python(self, request: Request) -> Response:
        name = json.loads(request.get_data())["package"]["name"]
        self.queried.add(name)
        return Response(json.dumps({"vulns": [python_entry(name)]} if name == self.vulnerable else {}))

    def _go(self, request: Request) -> Response:
        entry = {"id": "GO-2026-0001", "modified": MODIFIED}
        files: dict[str, Any] = {
            "/index/db": {"modified": MODIFIED},
            "/index/modules": [{"path": "stdlib", "vulns": [entry]}] if self.symbol else [],
            "/ID/GO-2026-0001": go_entry(self.symbol or ""),
        }
        path, _, ending = request.path.partition(".json")
        body = json.dumps(files.get(path)).encode()
        return Response(gzip.compress(body) if ending == ".gz" else body, 200 if path in files else 404)


@pytest.fixture
def databases(httpserver: HTTPServer) -> Iterator[Databases]:
    databases = Databases(httpserver.url_for("/").rstrip("/"))
    httpserver.expect_request(re.compile("")).respond_with_handler(databases.answer)
    yield databases
    httpserver.check()


def audit(url: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "supplychain.audit", "--tool", "pause"]
    command += ["--python-database", f"{url}/v1/query", "--go-database", url]
    return subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_a_vulnerability_in_use_fails_the_audit_and_is_named(databases: Databases) -> None:
    databases.vulnerable, databases.symbol = "pyyaml", "Notify"
    done = audit(databases.url)
    version = COMMAND.packages()["pyyaml"].get_pinned_version
    assert done.returncode == 1
    assert f"Python packages: PYSEC-2026-1 in pyyaml {version}: fixed in 99.1" in done.stderr
    assert "the Go tool pause: GO-2026-0001 in stdlib v1." in done.stderr and "fixed in v1.99.0" in done.stderr


def test_where_nothing_in_use_is_vulnerable_it_passes(databases: Databases) -> None:
    databases.symbol = "Ignore"  # the tool does not call it
    done = audit(databases.url)
    assert done.returncode == 0, done.stderr
    assert "Python packages: no known vulnerability" in done.stderr
    assert "pause imports, but does not call: GO-2026-0001" in done.stderr
    assert "the Go tool pause: no known vulnerability" in done.stderr
    assert databases.queried == applicable()


def test_where_a_database_cannot_be_reached_it_fails_with_the_reason() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = audit(url)
    assert done.returncode == 1
    where = "the vulnerability database"
    assert done.stderr.splitlines() == [
        f"error: Python packages: not audited: {where} {url}/v1/query cannot be reached: [Errno 111] Connection refused",
        f"error: the Go tool pause: not audited: {where} {url}/index/db.json cannot be reached: "
        "[Errno 111] Connection refused",
    ]


def test_a_database_that_fails_is_no_clean_one(databases: Databases) -> None:
    databases.status = 503
    done = audit(databases.url)
    assert done.returncode == 1 and done.stderr.count("answered 503") == 2


def test_every_go_module_is_audited() -> None:
    folders = {path.parent.name for path in (ROOT / "localcloud" / "go").glob("*/go.mod")}
    assert {module.module for module in go_modules().values()} == folders


@pytest.mark.nightly
@pytest.mark.parametrize("tool", go_modules())
def test_what_each_go_tool_imports_can_be_looked_up(databases: Databases, tool: str) -> None:
    databases.symbol = None
    assert go_findings(tool, databases.url) == []
