"""No command on a page or in the program's output puts a token where other users of the machine can read it."""

import ast
import http.server
import re
import stat
import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from components.config.platform.collectors import CollectorsConfig
from components.core.names import APIS
from scripts.cli.create import show_created
from scripts.clients.providers import Provider
from scripts.instances.create import Created
from scripts.instances.first_tokens import token_file
from scripts.tokens.key_files import write_secret
from tests.support.shell import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "CHANGELOG.md"]
CODE = [
    path
    for folder in ("scripts", "components", "localcloud", "supplychain", "bench", "reference")
    for path in (ROOT / folder).rglob("*.py")
]
VISIBLE = {
    "a header as an argument": r"(?:-H|--header)[ =]?(?:[\"']|\$')?(?:Proxy-)?Authorization",
    "a token that is read into a command line": r"(?i)(?:bearer|token|password|jwt)[^\n|]{0,40}(?:\$\(\s*(?:cat|<)|`\s*cat)",
    "a file of a token that is read into a command line": r"(?i)(?:\$\(\s*(?:cat|<)|`\s*cat)[^)`\n]*(?:token|jwt)",
    "an option that takes a token": r"--oauth2-bearer|--bearer-token[= ](?!-file)|(?:-u|--user)[ =]\S*:\S*\$",
    "a redirection, whose file has the mode that the shell gives it": r"ta-create-token[^\n>]*(?<!\\)>",
}
SHOWN = [
    *(
        'curl -H "Authorization: Bearer $(cat token.jwt)" https://x',
        "curl --header 'Authorization: Bearer abc' https://x",
    ),
    *('curl -H @- https://x <<< "Authorization: Bearer $(< token.jwt)"', "logcli --bearer-token=`cat default.jwt`"),
    *("curl --oauth2-bearer $T https://x", 'curl -u "x:$T" https://x', "T=$(cat tenant-api-token-default)"),
    *("./opstrace ta-create-token a b pair.pem > token.jwt", "./opstrace ta-create-token a b pair.pem >token.jwt"),
]
HIDDEN = [
    "sed 's/^/Authorization: Bearer /' token.jwt | curl -H @- https://x",
    "./opstrace ta-create-token a b pair.pem --out token.jwt",
    "authorization: {credentials_file: token.jwt}",
    "  │ HTTPS, Authorization: Bearer <JWT>  │ pulumi up",
]


def visible(text: str) -> list[str]:
    """Return the parts of a text that would show a token."""
    return [f"{why}: {match[0]}" for why, pattern in VISIBLE.items() for match in re.finditer(pattern, text)]


@pytest.mark.parametrize("command", SHOWN)
def test_the_scan_finds_what_shows_a_token(command: str) -> None:
    assert visible(command)


@pytest.mark.parametrize("command", HIDDEN)
def test_the_scan_lets_what_shows_none_pass(command: str) -> None:
    assert visible(command) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_shows_a_command_that_shows_a_token(page: Path) -> None:
    assert visible(page.read_text()) == []


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_text_of_the_code_is_a_command_that_shows_a_token(path: Path) -> None:
    """Check the texts of one call together, because code may print a line in parts."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.Call, ast.JoinedStr)):
            texts = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
            assert visible("".join(text for text in texts if isinstance(text, str))) == []


def test_every_page_that_makes_a_token_says_into_which_file() -> None:
    shown = [
        line
        for page in PAGES
        for language, block in re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
        if language == "" and "ta-create-token" in line
    ]
    assert len(shown) > 5
    assert [line for line in shown if " --out " not in line and " --out-dir " not in line] == []


class Asked(http.server.BaseHTTPRequestHandler):
    """Records the header of each request, and the command lines of all processes at that moment."""

    headers_seen: list[str | None] = []
    lines_seen: list[bytes] = []

    def do_GET(self) -> None:
        self.headers_seen.append(self.headers["Authorization"])
        for process in Path("/proc").glob("[0-9]*"):
            try:
                self.lines_seen.append((process / "cmdline").read_bytes())
            except OSError:  # it has ended
                continue
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Write no log."""


def test_what_create_prints_sends_the_token_and_shows_it_to_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_secret(token_file("default"), b"the-token-of-the-tenant")
    config: Any = SimpleNamespace(
        domain="example.com",
        load_balancer=SimpleNamespace(port=443),
        collectors=CollectorsConfig(logs=False, metrics=False),
    )
    show_created(Created("showdown", config, Provider({}), ["default"]), 1)
    _, _, printed = capsys.readouterr().err.partition("Try it:\n")
    assert "curl" in printed and APIS[0] in printed
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Asked) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        command = re.sub(r"https://[^/]+", address, printed)
        subprocess.run(["sh", "-ec", command], check=True, capture_output=True, timeout=30)
        server.shutdown()
    assert Asked.headers_seen == ["Bearer the-token-of-the-tenant"]
    assert any(b"curl" in line and address.encode() in line for line in Asked.lines_seen)
    assert [line for line in Asked.lines_seen if b"the-token-of-the-tenant" in line] == []
    assert stat.S_IMODE(token_file("default").stat().st_mode) == 0o600
