"""Opening the user's browser: by a file that is the user's alone, and not by the URL."""

import http.client
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from scripts.web import browser
from scripts.web.server import Options, serve
from tests.support.contexts import FakeContext
from tests.support.polling import eventually

LEADS = re.compile(r'<meta http-equiv="refresh" content="0;url=http://127\.0\.0\.1:(\d+)(/login\?token=[^"]+)">')
PROGRAM = """#!/bin/sh
printf '%s\\n' "$@" > "$0.part"
mv "$0.part" "$0.arguments"
"""
PAGE = """
import sys
from pathlib import Path
from scripts.web.server import Options, serve
from tests.support.contexts import FakeContext
serve(FakeContext(Path(sys.argv[1]), lambda stack: None), "local", "showdown", Options())
"""


@contextmanager
def opened(stack: Path, folder: Path) -> Iterator[str]:
    """Serve a page in a session with a screen until the block ends; yield the only argument of the browser that it opens."""
    program, arguments = folder / "browser", folder / "browser.arguments"
    program.write_text(PROGRAM)
    program.chmod(0o700)
    command = [sys.executable, "-P", "-c", PAGE, str(stack.parent)]
    session = os.environ | {"DISPLAY": ":0", "BROWSER": str(program)}
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=session) as process:
        try:
            eventually(arguments.exists, 60)
            (argument,) = arguments.read_text().splitlines()
            yield argument
        finally:
            process.kill()


def status(port: int, path: str) -> int:
    """Return the status of an answer of the page."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    answer = connection.getresponse()
    connection.close()
    return answer.status


def test_the_browser_gets_a_file_and_not_the_url(stack: Path, tmp_path: Path) -> None:
    with opened(stack, tmp_path) as argument:
        url = urlsplit(argument)
        file = Path(url.path)
        assert (url.scheme, url.netloc, url.query, url.fragment) == ("file", "", "", "")
        assert file.stat().st_mode & 0o777 == 0o600
        ((port, path),) = LEADS.findall(file.read_text())
        assert path.partition("=")[2] not in argument
        assert status(int(port), path) == 200 and not file.exists()
        assert status(int(port), path) == 401  # the token of the URL opens one session


def test_a_file_that_no_browser_has_used_goes_with_the_page(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Path] = []

    def show(file: Path) -> None:
        assert file.exists()
        shown.append(file)
        raise KeyboardInterrupt

    monkeypatch.setattr(browser, "has_screen", lambda: True)
    monkeypatch.setattr(browser, "show", show)
    with pytest.raises(KeyboardInterrupt):
        serve(FakeContext(stack.parent, lambda stack: None), "local", "showdown", Options())
    assert len(shown) == 1 and not shown[0].exists()


@pytest.mark.parametrize(("variables", "expected"), [({}, False), ({"DISPLAY": ":0"}, True)])
def test_without_a_screen_no_browser_is_opened(
    variables: dict[str, str], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "environ", variables)
    assert browser.has_screen() is expected
