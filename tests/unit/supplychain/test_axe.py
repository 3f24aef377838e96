"""The files of axe-core, which tests alone use, are those of their lock file."""

import base64
import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from supplychain.locks import AXE
from tests.support.shell import run

ABOUT = json.loads(AXE.read_text())


def test_the_files_are_those_of_the_lock_file() -> None:
    files = [path for path in AXE.parent.iterdir() if path != AXE]
    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files} == ABOUT["files"]


@pytest.mark.nightly
def test_npm_gives_the_same_files_byte_for_byte(tmp_path: Path) -> None:
    version = f"{ABOUT['name']}@{ABOUT['version']}"
    run("npm", "pack", version, "--pack-destination", str(tmp_path), cwd=tmp_path)
    (archive,) = tmp_path.iterdir()
    digest = hashlib.sha512(archive.read_bytes()).digest()
    assert f"sha512-{base64.b64encode(digest).decode()}" == ABOUT["integrity"]
    with tarfile.open(archive) as opened:
        for name in ABOUT["files"]:
            member = opened.extractfile(f"package/{name}")
            assert member and member.read() == (AXE.parent / name).read_bytes()
