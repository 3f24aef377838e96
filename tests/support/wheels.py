"""Small Python packages, lock files for them, and a checkout whose command prints its environment."""

import base64
import hashlib
import os
import shutil
import zipfile
from pathlib import Path

from tests.support.shell import ROOT

INSTALLER = "scripts/clients/packages.py"
LOCK_FILES = ("requirements.lock", "localcloud/requirements.lock")


def wheel(folder: Path, package: str = "sample", version: str = "1.0", size: int = 0) -> str:
    """Write the wheel of a package with one module and `size` bytes of zeros; return its SHA-256 in hex."""
    path = folder / f"{package}-{version}-py3-none-any.whl"
    metadata = f"{package}-{version}.dist-info"
    files = {
        f"{package}.py": f"print('this is {package}')\n",
        f"{package}.bin": "\0" * size,
        f"{metadata}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n",
        f"{metadata}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(text)}")
        archive.writestr(f"{metadata}/RECORD", "\n".join([*record, f"{metadata}/RECORD,,"]))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def lock_file(path: Path, *packages: tuple[str, str, str]) -> Path:
    """Write a lock file with the name, the version and the hash of each package."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{name}=={version} \\\n    --hash=sha256:{digest}\n" for name, version, digest in packages]
    path.write_text("--only-binary :all:\n\n" + "".join(lines))
    return path


def small_checkout(folder: Path) -> Path:
    """Make a checkout with the real launcher, empty lock files, and a command that prints `sys.prefix` and its arguments."""
    (folder / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "opstrace", folder)
    (folder / INSTALLER).parent.mkdir()
    for module in (INSTALLER, "scripts/clients/launcher.py"):
        shutil.copy(ROOT / module, folder / module)
    for name in LOCK_FILES:
        lock_file(folder / name)
    (folder / "scripts" / "__main__.py").write_text("import sys\nprint(sys.prefix, *sys.argv[1:])\n")
    return folder


def from_folder(wheels: Path) -> dict[str, str]:
    """Return an environment in which pip finds packages in this folder alone."""
    return _without_pip_settings() | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}


def from_index(url: str) -> dict[str, str]:
    """Return an environment in which pip finds packages at this index alone, and keeps none of them."""
    return _without_pip_settings() | {"PIP_INDEX_URL": url, "PIP_NO_CACHE_DIR": "1", "PIP_RETRIES": "0"}


def _without_pip_settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
