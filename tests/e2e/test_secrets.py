"""Secrets that are planted are found nowhere but in their own files: a key pair, its passphrase, tokens."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.walk import INSTANCE, LABELS, STACK_FILE, Walk, url
from tests.shell import run

PASSPHRASE = "canary-of-a-passphrase-7f3a"
SAMPLE_SECONDS = 0.05


class Watch:
    """Looks at the command lines of all processes for as long as it is entered; curl's are the tests' own."""

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
                    command = (process / "cmdline").read_bytes()
                except OSError:
                    continue
                if not command.startswith(b"curl\0"):
                    self.seen.add(command)


@pytest.fixture(scope="module")
def planted(walk: Walk) -> Iterator[dict[str, Path]]:
    """Secrets in files: two key pairs, one of them encrypted, and a token of each."""
    folder = walk.folder / "planted"
    folder.mkdir()
    (folder / "passphrase").write_text(PASSPHRASE)
    phrase = ["--passphrase-file", str(folder / "passphrase")]
    files = {name: folder / name for name in ("passphrase", "plain.pem", "encrypted.pem", "plain.jwt", "encrypted.jwt")}
    with Watch() as watch:
        walk.opstrace("ta-create-keypair", str(files["plain.pem"]))
        walk.opstrace("ta-create-keypair", str(files["encrypted.pem"]), "--encrypt", *phrase)
        for name, more in (("plain", []), ("encrypted", phrase)):
            walk.opstrace("ta-pubkeys-add", "local", INSTANCE, str(files[f"{name}.pem"]), *more)
            made = walk.opstrace("ta-create-token", INSTANCE, "default", str(files[f"{name}.pem"]), *more)
            files[f"{name}.jwt"].write_text(made.stdout)
    yield files
    assert [command for command in watch.seen if any(secret in command for secret in secrets(files))] == []
    for name in ("plain", "encrypted"):
        shown = walk.opstrace("ta-inspect-token", str(files[f"{name}.jwt"])).stdout
        key = next(part for part in shown.split() if len(part.strip("',")) == 40).strip("',")
        walk.opstrace("ta-pubkeys-remove", "local", INSTANCE, key)


def secrets(files: dict[str, Path]) -> list[bytes]:
    """Return what must be nowhere: the lines of private keys, the signed and the signing part of tokens, the passphrase."""
    found = [PASSPHRASE.encode()]
    for name, file in files.items():
        if name.endswith(".pem"):
            private = file.read_text().split("-----BEGIN PUBLIC KEY-----")[0]
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
        walk.opstrace("status", "local", INSTANCE),
        run(
            *("pulumi", "--non-interactive", "preview", "--debug", "--logtostderr", "-v=11", "--stack", INSTANCE),
            env=walk.shell,
        ),
    ]
    text = "\n".join(done.stdout + done.stderr for done in outputs).encode()
    assert len(text) > 100_000  # the traces are in it
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
    assert len(files) > 50
    assert [file for file in files if any(secret in file.read_bytes() for secret in wanted)] == []


def written(folder: Path) -> Iterator[Path]:
    """Return the files of the user's state folder: the engine's state, logs, the cluster's own; without images."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "containerd"]
        yield from (file for name in names if (file := Path(place, name)).is_file() and not file.is_symlink())
