"""The OpenTelemetry Collector with the configuration that the page on clients shows."""

import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pytest_httpserver import HTTPServer

from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from scripts.tokens.key_files import write_secret
from tests.support.client_process import running
from tests.support.user_session import blocks

PAGE, SECTION = "how-to/connect-clients.md", "OpenTelemetry Collector"
FILES = ("otelcol.yaml", "remote-write.yaml")
DROPPED = "Dropping data"


def shown_commands() -> tuple[str, str]:
    """Return the commands of the page that start the Collector: to send by OTLP alone, and by remote write."""
    by_otlp, by_remote_write = blocks(PAGE, SECTION, "sh")
    return by_otlp, by_remote_write


def expose(httpserver: HTTPServer, name: str, value: int) -> None:
    """Let the scrape target show one counter alone."""
    httpserver.clear()
    text = f"# HELP {name} Orders.\n# TYPE {name} counter\n{name} {value}\n"
    httpserver.expect_request("/metrics").respond_with_data(text, content_type="text/plain; version=0.0.4")


class Collector:
    """The files of the page in a folder, with some texts changed, and the Collector that is started there."""

    def __init__(self, folder: Path, target: int, changes: Mapping[str, str]) -> None:
        self.folder, self.log, self.token = folder, folder / "collector.log", folder / "write.jwt"
        (folder / "app").mkdir()
        own = {"/etc/otelcol": str(folder), "/var/lib/otelcol": str(folder), "/var/log/app": str(folder / "app")}
        own |= {"127.0.0.1:9090": f"127.0.0.1:{target}", "15s": "1s"}
        for name, text in zip(FILES, blocks(PAGE, SECTION, "yaml"), strict=True):
            (folder / name).write_text(_replaced(text, {**changes, **own}))

    def give(self, token: str) -> None:
        """Put a token into the file that the configuration names, in place of the one before."""
        new = self.folder / "new.jwt"
        write_secret(new, token.encode())
        new.replace(self.token)
        assert stat.S_IMODE(self.token.stat().st_mode) == 0o600

    @contextmanager
    def started(self, command: str, hosts: str = "") -> Iterator[None]:
        """Run a command of the page until the block ends; with `hosts` as the content of /etc/hosts."""
        program, *options = command.split()
        assert program == "otelcol-contrib"
        # The port of its own metrics may be in use.
        words = [f"{ensure(catalog.OTELCOL)}/otelcol", *options, "--set=service::telemetry::metrics::level=none"]
        with running(words, self.folder, self.log, hosts):
            yield

    def write_lines(self, *lines: str) -> None:
        """Add lines to the log file that the Collector follows."""
        with (self.folder / "app" / "app.log").open("a") as file:
            file.writelines(f"{line}\n" for line in lines)

    def said(self) -> str:
        """Return the end of the Collector's own log."""
        return self.log.read_text()[-3000:]


def _replaced(text: str, changes: Mapping[str, str]) -> str:
    for shown, own in changes.items():
        text = text.replace(shown, own)
    return text
