"""Secrets are only in their own files: key pairs, a passphrase and tokens are planted and searched for."""

import contextlib
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.tokens.parse import read_token
from tests.support.shell import run
from tests.support.user_session import INSTANCE, LABELS, UserSession, url

PASSPHRASE = "canary-of-a-passphrase-7f3a"
PUBLIC = "-----BEGIN PUBLIC KEY-----"
COMMAND = re.compile(rb"/opstrace\0|\0-m\0scripts\0")
SAMPLE_SECONDS = 0.05


class Watch:
    """Collects the command lines of all processes while it is entered, and their environments.

    The environment of the command itself is left out: it may hold a passphrase.
    """

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self.commands: set[bytes] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    command, environment = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
                except OSError:
                    continue
                self.commands.add(command)
                self.seen.add(command if COMMAND.search(command) else command + environment)


@pytest.fixture(scope="module")
def planted(walk: UserSession) -> Iterator[dict[str, Path]]:
    """Files with secrets: three key pairs, two of them encrypted, a token of each, and the trace of an update."""
    folder = walk.folder / "planted"
    folder.mkdir()
    (folder / "passphrase").write_text(PASSPHRASE)
    phrase = ["--passphrase-file", str(folder / "passphrase")]
    names = ("plain", "encrypted", "rotated")
    files = {f"{name}.{ending}": folder / f"{name}.{ending}" for name in names for ending in ("pem", "jwt")}
    files |= {"passphrase": folder / "passphrase", "trace": folder / "trace"}
    with Watch() as watch:
        walk.opstrace("ta-create-keypair", str(files["plain.pem"]))
        walk.opstrace("ta-create-keypair", str(files["encrypted.pem"]), "--encrypt", *phrase)
        for name, more in (("plain", []), ("encrypted", phrase)):
            completed = walk.opstrace("ta-create-token", INSTANCE, "default", str(files[f"{name}.pem"]), *more)
            files[f"{name}.jwt"].write_text(completed.stdout)
        walk.opstrace("ta-pubkeys-add", "local", INSTANCE, str(files["plain.pem"]))
        walk.opstrace("ta-pubkeys-add", "local", INSTANCE, str(files["encrypted.pem"]), "--no-apply", *phrase)
        files["trace"].write_text(traced(walk, "up", "--yes", "--skip-preview"))
        _rotate(walk, files)
    yield files
    assert [text for text in watch.seen if any(secret in text for secret in secrets(files))] == []
    assert [text for text in watch.commands if walk.shell["AWS_SECRET_ACCESS_KEY"].encode() in text] == []
    for name in names:
        walk.opstrace("ta-pubkeys-remove", "local", INSTANCE, key_of(files[f"{name}.jwt"]))


def _rotate(walk: UserSession, files: dict[str, Path]) -> None:
    """Replace the encrypted key pair by a new one, with the passphrase in the environment."""
    out = files["trace"].with_name("out")
    arguments = [key_of(files["encrypted.jwt"]), str(files["rotated.pem"]), "--tenant", "default"]
    command = [walk.project.launcher, "ta-rotate-key", "local", INSTANCE, *arguments, "--out-dir", str(out)]
    run(*command, cwd=walk.folder, env=walk.shell | {"OPSTRACE_KEY_PASSPHRASE": PASSPHRASE})
    (token,) = out.iterdir()
    token.rename(files["rotated.jwt"])


def key_of(token: Path) -> str:
    """Return the key id in a token's header."""
    return str(read_token(token.read_text()).kid)


def traced(walk: UserSession, *arguments: str) -> str:
    """Run the engine with its most verbose log; return its output."""
    options = ("--debug", "--logtostderr", "-v=11", "--stack", INSTANCE)
    done = walk.in_project("pulumi", "--non-interactive", *arguments, *options)
    return str(done.stdout + done.stderr)


def secrets(files: dict[str, Path]) -> list[bytes]:
    """Return the texts that must not leak: private keys' lines, tokens' signed part and signature, the passphrase."""
    texts = [PASSPHRASE.encode()]
    for name, file in files.items():
        if name.endswith(".pem"):
            private = file.read_text().split(PUBLIC)[0]
            texts += [line.encode() for line in private.splitlines() if len(line) == 64]
        if name.endswith(".jwt"):
            texts += [part.encode() for part in file.read_text().split(".")[1:]]
    assert len(texts) > 20
    return texts


def test_errors_and_traces_show_no_secret(walk: UserSession, planted: dict[str, Path]) -> None:
    texts = secrets(planted)
    outputs = [
        walk.opstrace("ta-create-token", INSTANCE, "default", str(planted["plain.jwt"]), check=False),
        walk.opstrace("ta-create-token", INSTANCE, "default", str(planted["passphrase"]), check=False),
        walk.opstrace("ta-inspect-token", str(planted["plain.pem"]), check=False),
        walk.opstrace("ta-inspect-token", str(planted["encrypted.jwt"]), "local", INSTANCE, check=False),
        walk.opstrace("ta-pubkeys-add", "local", INSTANCE, str(planted["encrypted.jwt"]), check=False),
        walk.opstrace("ta-revoke-token", "local", INSTANCE, str(planted["plain.pem"]), check=False),
        walk.opstrace("ta-tokens-list", "--json", check=False),
        walk.opstrace("ta-rotate-key", "local", INSTANCE, "no-such-key", str(planted["rotated.pem"]), check=False),
        walk.opstrace("status", "local", INSTANCE),
    ]
    trace = planted["trace"].read_text()
    assert len(trace) > 100_000 and PUBLIC in trace  # it contains the public key that was added
    text = "\n".join([trace, *(done.stdout + done.stderr for done in outputs)]).encode()
    assert [secret for secret in texts if secret in text] == []


def test_nothing_that_a_run_wrote_holds_a_secret(walk: UserSession, planted: dict[str, Path]) -> None:
    token = planted["plain.jwt"].read_text()
    for path in (LABELS, f"{LABELS}?token={token}", f"/{token}"):
        walk.curl(url("cortex", "default", path), token=token)
    time.sleep(2)  # the gateway writes its log once a second
    texts = secrets(planted)
    logs = walk.gateway_log()
    logs += "".join(walk.kubectl("-n", "default-tenant", "logs", pod) for pod in ("cortex-0", "loki-0"))
    assert [secret for secret in texts if secret.decode() in logs] == []
    files = [walk.stack_path, *written(Path(walk.shell["XDG_STATE_HOME"]))]
    contents = {}
    for file in files:
        with contextlib.suppress(FileNotFoundError):  # programs on the node remove their files
            contents[file] = file.read_bytes()
    assert len(contents) > 50
    assert [file for file, content in contents.items() if any(secret in content for secret in texts)] == []
    of_aws = walk.shell["AWS_SECRET_ACCESS_KEY"].encode()
    assert [file.name for file, content in contents.items() if of_aws in content] == ["aws-credentials.json"]


def written(folder: Path) -> Iterator[Path]:
    """Return the files in the user's state folder: the engine's state, logs, the cluster's; without images."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "containerd"]
        yield from (file for name in names if (file := Path(place, name)).is_file() and not file.is_symlink())
