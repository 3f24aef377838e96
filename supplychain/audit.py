"""Search for known vulnerabilities in installed packages and built tools, by pip-audit and govulncheck: `make audit`."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from localcloud.errors import ToolError
from localcloud.toolchain import catalog
from localcloud.toolchain.sources import GoModule, UnavailableError, go_environment
from localcloud.toolchain.store import Tool, ensure
from scripts.ui.terminal import TERMINAL, note
from supplychain.locks import LOCKS

PYTHON_DATABASE = "https://api.osv.dev/v1/query"
GO_DATABASE = "https://vuln.go.dev"
REACH_SECONDS = 15


@dataclass(frozen=True)
class Finding:
    """A known vulnerability of a package or module at its version in use; `fixed` are the versions without it, if any."""

    vulnerability: str
    part: str
    version: str
    fixed: str

    def __str__(self) -> str:
        remedy = f"fixed in {self.fixed}" if self.fixed else "no version fixes it yet"
        return f"{self.vulnerability} in {self.part} {self.version}: {remedy}"


def require_reachable(url: str) -> None:
    """Raise `UnavailableError` where no database answers at `url`."""
    try:
        with urlopen(url, timeout=REACH_SECONDS):
            pass
    except HTTPError as error:
        if error.code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise UnavailableError(f"the vulnerability database {url} answered {error.code}") from error
    except (URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise UnavailableError(f"the vulnerability database {url} cannot be reached: {reason}") from error


def python_findings(database: str) -> list[Finding]:
    """Return the findings for all packages in the lock files; raises `UnavailableError` where pip-audit skips one."""
    require_reachable(database)
    command = [sys.executable, "-P", "-m", "pip_audit", "--vulnerability-service", "osv", "--osv-url", database]
    command += ["--disable-pip", "--require-hashes", "--format", "json", "--progress-spinner", "off"]
    command += [part for lock in LOCKS for part in ("--requirement", str(lock.path))]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        looked_up = json.loads(result.stdout)["dependencies"]
    except ValueError:
        raise UnavailableError(f"pip-audit failed: {_last_line(result.stderr)}") from None
    missed = applicable() - {entry["name"] for entry in looked_up if "vulns" in entry}
    if missed:
        raise UnavailableError(f"pip-audit did not look up {', '.join(sorted(missed))}")
    return [
        Finding(vulnerability["id"], entry["name"], entry["version"], ", ".join(vulnerability["fix_versions"]))
        for entry in looked_up
        for vulnerability in entry["vulns"]
    ]


def applicable() -> set[str]:
    """Return the names of the locked packages that are installed on this platform."""
    return {
        name
        for lock in LOCKS
        for name, entry in lock.packages().items()
        if entry.marker is None or entry.marker.evaluate()
    }


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no output"])[-1]


def go_modules() -> dict[str, GoModule]:
    """Return the Go module of each tool that is built from one, by the tool's name."""
    tools: tuple[Tool, ...] = (*catalog.ENGINE, *catalog.NODE, *catalog.SERVICES, *catalog.LATER, *catalog.MAINTENANCE)
    return {tool.name: source for tool in tools for source in tool.sources if isinstance(source, GoModule)}


def go_findings(name: str, database: str) -> list[Finding]:
    """Return the findings for functions that the tool calls; print a note for those that it only imports.

    The search for called functions takes minutes and gigabytes, so it runs only where an imported package is vulnerable.
    Raises `UnavailableError` where a search fails.
    """
    require_reachable(f"{database.rstrip('/')}/index/db.json")
    with tempfile.TemporaryDirectory() as folder:
        module = go_modules()[name]
        program = str(ensure(catalog.GOVULNCHECK, TERMINAL) / "govulncheck")
        go = Path(module.toolchain(Path(folder)))
        environment = go_environment() | {"PATH": f"{go.parent}{os.pathsep}{os.environ['PATH']}"}
        command = [program, "-C", str(module.directory), "-db", database, "-format", "json"]
        command += ["-tags", module.tags.replace(" ", ",")] if module.tags else []

        def scanned(level: str) -> dict[str, Finding]:
            arguments = [*command, "-scan", level, module.package]
            result = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
            if result.returncode:
                raise UnavailableError(
                    f"govulncheck of {name} failed ({result.returncode}): {_last_line(result.stderr)}"
                )
            return _findings(result.stdout, level)

        imported = scanned("package")
        called = scanned("symbol") if imported else {}
    for identity in sorted(imported.keys() - called.keys()):
        note(f"  {name} imports, but does not call: {imported[identity]}")
    return [*called.values()]


def _findings(answer: str, level: str) -> dict[str, Finding]:
    """Return the findings in govulncheck's answer at this level of the search, by the vulnerabilities' ids."""
    depth = {"package": "package", "symbol": "function"}[level]
    findings = {}
    for message in _messages(answer):
        finding = message.get("finding")
        if finding and depth in (place := finding["trace"][0]):
            fixed = finding.get("fixed_version", "")
            findings[finding["osv"]] = Finding(finding["osv"], place["module"], place.get("version", ""), fixed)
    return findings


def _messages(answer: str) -> Iterator[dict[str, Any]]:
    decoder, rest = json.JSONDecoder(), answer.lstrip()
    while rest:
        message, end = decoder.raw_decode(rest)
        yield message
        rest = rest[end:].lstrip()


def audit(subject: str, search: Callable[[], list[Finding]]) -> bool:
    """Search for vulnerabilities and print the findings; return whether the search was complete and found none."""
    try:
        findings = search()
    except (UnavailableError, ToolError) as reason:
        note(f"error: {subject}: not audited: {reason}")
        return False
    for finding in findings:
        note(f"error: {subject}: {finding}")
    if not findings:
        note(f"{subject}: no known vulnerability")
    return not findings


def main() -> None:
    """Audit everything, and exit with 1 where something is vulnerable or a search failed."""
    options = argparse.ArgumentParser(prog="python -P -m supplychain.audit", description=__doc__)
    options.add_argument("--python-database", default=PYTHON_DATABASE, help="URL of a query API like OSV's.")
    options.add_argument("--go-database", default=GO_DATABASE, help="URL of a database like vuln.go.dev.")
    options.add_argument("--tool", action="append", choices=go_modules(), help="Audit only these Go tools.")
    arguments = options.parse_args()
    results = [audit("Python packages", partial(python_findings, arguments.python_database))]
    for tool in arguments.tool or go_modules():
        results.append(audit(f"the Go tool {tool}", partial(go_findings, tool, arguments.go_database)))
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
