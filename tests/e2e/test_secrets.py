"""Secrets that are planted are found nowhere but in their own files: a key pair, its passphrase, tokens."""

import contextlib
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.token_reader import read_token
from tests.e2e.walk import INSTANCE, LABELS, LAUNCHER, STACK_FILE, Walk, url
from tests.shell import run

PASSPHRASE = "canary-of-a-passphrase-7f3a"
PUBLIC = "-----BEGIN PUBLIC KEY-----"
COMMAND = re.compile(rb"/opstrace\0|\0-m\0scripts\0")
SAMPLE_SECONDS = 0.05


class Watch:
    """Looks at the command lines of all processes for as long as it is entered; curl's are the tests' own.

    And at the environment of all but the command itself, to which a passphrase may be given there.
    """

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
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
                if not command.startswith(b"curl\0"):
                    self.seen.add(command if COMMAND.search(command) else command + environment)


@pytest.fixture(scope="module")
def planted(walk: Walk) -> Iterator[dict[str, Path]]:
    """Secrets in files: three key pairs, two of them encrypted, and a token of each; and what an update traced meanwhile."""
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
            made = walk.opstrace("ta-create-token", INSTANCE, "default", str(files[f"{name}.pem"]), *more)
            files[f"{name}.jwt"].write_text(made.stdout)
        walk.opstrace("ta-pubkeys-add", "local", INSTANCE, str(files["plain.pem"]))
        walk.opstrace("ta-pubkeys-add", "local", INSTANCE, str(files["encrypted.pem"]), "--no-apply", *phrase)
        files["trace"].write_text(traced(walk, "up", "--yes", "--skip-preview"))
        _rotate(walk, files)
    yield files
    assert [found for found in watch.seen if any(secret in found for secret in secrets(files))] == []
    for name in names:
        walk.opstrace("ta-pubkeys-remove", "local", INSTANCE, key_of(files[f"{name}.jwt"]))


def _rotate(walk: Walk, files: dict[str, Path]) -> None:
    """Let a new key pair take the encrypted one's place, its passphrase given by the environment."""
    out = files["trace"].with_name("out")
    arguments = [key_of(files["encrypted.jwt"]), str(files["rotated.pem"]), "--tenant", "default"]
    command = [LAUNCHER, "ta-rotate-key", "local", INSTANCE, *arguments, "--out-dir", str(out)]
    run(*command, env=walk.shell | {"OPSTRACE_KEY_PASSPHRASE": PASSPHRASE})
    (token,) = out.iterdir()
    token.rename(files["rotated.jwt"])


def key_of(token: Path) -> str:
    """Return the id of the key that a token says it is signed by."""
    return str(read_token(token.read_text()).kid)


def traced(walk: Walk, *arguments: str) -> str:
    """Run the engine with all that it can say; return that."""
    done = run(
        *("pulumi", "--non-interactive", *arguments, "--debug", "--logtostderr", "-v=11", "--stack", INSTANCE),
        env=walk.shell,
    )
    return str(done.stdout + done.stderr)


def secrets(files: dict[str, Path]) -> list[bytes]:
    """Return what must be nowhere: the lines of private keys, the signed and the signing part of tokens, the passphrase."""
    found = [PASSPHRASE.encode()]
    for name, file in files.items():
        if name.endswith(".pem"):
            private = file.read_text().split(PUBLIC)[0]
            found += [line.encode() for line in private.splitlines() if len(line) == 64]
        if name.endswith(".jwt"):
            found += [part.encode() for part in file.read_text().split(".")[1:]]
    assert len(found) > 20
    return found


def test_errors_and_traces_show_no_secret(walk: Walk, planted: dict[str, Path]) -> None:
    wanted = secrets(planted)
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
    assert len(trace) > 100_000 and PUBLIC in trace  # the key that was let in meanwhile is in it
    text = "\n".join([trace, *(done.stdout + done.stderr for done in outputs)]).encode()
    assert [secret for secret in wanted if secret in text] == []


def test_nothing_that_a_run_wrote_holds_a_secret(walk: Walk, planted: dict[str, Path]) -> None:
    token = planted["plain.jwt"].read_text()
    for path in (LABELS, f"{LABELS}?token={token}", f"/{token}"):
        walk.curl(url("cortex", "default", path), token=token)
    time.sleep(2)  # the gateway writes its log once a second
    wanted = secrets(planted)
    logs = walk.gateway_log()
    logs += "".join(walk.kubectl("-n", "default-tenant", "logs", pod) for pod in ("cortex-0", "loki-0"))
    assert [secret for secret in wanted if secret.decode() in logs] == []
    files = [STACK_FILE, *written(Path(walk.shell["XDG_STATE_HOME"]))]
    contents = {}
    for file in files:
        with contextlib.suppress(FileNotFoundError):  # what runs on the node removes files of its own
            contents[file] = file.read_bytes()
    assert len(contents) > 50
    assert [file for file, content in contents.items() if any(secret in content for secret in wanted)] == []


def written(folder: Path) -> Iterator[Path]:
    """Return the files of the user's state folder: the engine's state, logs, the cluster's own; without images."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "containerd"]
        yield from (file for name in names if (file := Path(place, name)).is_file() and not file.is_symlink())
