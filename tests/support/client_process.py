"""A client of the gateway as a process with its own /etc/hosts."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

STOP_SECONDS = 90  # a client sends what it has first


@contextmanager
def running(words: Sequence[str], folder: Path, log: Path, hosts: str = "") -> Iterator[None]:
    """Run a program in `folder` until the block ends, with its output at the end of `log`.

    `hosts` is the content of its /etc/hosts: the system's resolver does not resolve names under localhost. Fails if the
    program has ended before the block, or if it does not end with 0.
    """
    if hosts:
        (folder / "hosts").write_text(hosts)
        script = f"mount --bind hosts /etc/hosts && exec {' '.join(words)}"
        words = ["unshare", "--mount", "sh", "-c", script]
    with log.open("a") as output:
        process = subprocess.Popen([*words], cwd=folder, stdout=output, stderr=output)
    try:
        yield
        assert process.poll() is None, log.read_text()[-3000:]
        process.terminate()
        assert process.wait(STOP_SECONDS) == 0, log.read_text()[-3000:]
    finally:
        process.kill()
        process.wait()
