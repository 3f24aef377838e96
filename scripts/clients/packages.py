"""The Python packages of `.venv`, installed for a purpose from its lock file.

The launcher runs this file before `.venv` exists, so it needs the standard library alone:

    python3 -I scripts/clients/packages.py CHECKOUT [PURPOSE …]

Without a purpose, it installs what the command needs, and renews what was installed before for other purposes.
"""

import contextlib
import errno
import fcntl
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

# The lock file of each purpose. A copy of it in `.venv`, the stamp, says that its packages are installed.
LOCK_FILES = {
    "command": "requirements.lock",
    "local": "localcloud/requirements.lock",
    "tests": "tests/requirements.lock",
}
STAMPS = {"command": ".pinned", "local": ".pinned-local", "tests": ".pinned-tests"}
OF_PURPOSE = {"command": "the command", "local": "the embedded cloud", "tests": "the tests"}
LOCAL_MACHINE = ("Linux", "x86_64")
INSTALLING = b"installing\n"  # content of the lock while packages change; a killed run leaves it
OLDEST_PYTHON = (3, 11)
SPACE = "about 1 GB"  # of all packages
LITTLE_SPACE = 32 << 20  # bytes
REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "free some space"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "let your user write there"),
}
FULL = re.compile(r"No space left on device|Disk quota exceeded|No usable temporary directory")
NO_FILE = re.compile(r"No matching distribution found for (\S+)")
# What pip prints about its progress; everything else is about a failure.
PROGRESS = re.compile(
    r"(Collecting|Requirement already|Looking in|Processing|Installing|Successfully|Downloading|Using cached|Saved)\b"
)
FOUND = re.compile(r"Collecting|Requirement already satisfied")
INTERRUPTED_STATUS = 130
# Against the user's configuration files of pip, which may name another place.
INTO_ENVIRONMENT = ("--no-user", "--target=")
# The variables with settings of pip that are needed to reach an index. Others, such as PIP_DRY_RUN, would change what pip does.
REACHING = (
    *("INDEX_URL", "PYPI_URL", "EXTRA_INDEX_URL", "NO_INDEX", "FIND_LINKS", "TRUSTED_HOST", "CERT", "CLIENT_CERT"),
    *("PROXY", "NO_PROXY_ENV", "TIMEOUT", "DEFAULT_TIMEOUT", "RETRIES", "RESUME_RETRIES", "KEYRING_PROVIDER"),
    *("CACHE_DIR", "NO_CACHE_DIR", "CONFIG_FILE", "LOG", "USE_FEATURE", "USE_DEPRECATED"),
)


class InstallError(Exception):
    """Packages cannot be installed. The text has the value, the reason and the remedy."""


@dataclass(frozen=True)
class Environment:
    """The virtual environment `.venv` of a checkout; a link stands for the folder that it names."""

    checkout: Path

    @property
    def folder(self) -> Path:
        """The folder of the environment."""
        return (self.checkout / ".venv").resolve()

    @property
    def python(self) -> str:
        """The path of its interpreter."""
        return str(self.folder / "bin" / "python")

    def has_packages_of_its_python(self) -> bool:
        """Tell whether the interpreter runs, is new enough, and finds a folder of packages for its version."""
        return _runs(
            self, f"sys.version_info < {OLDEST_PYTHON} or not any('site-packages' in path for path in sys.path)"
        )

    def is_running(self) -> bool:
        """Tell whether this process runs in the environment."""
        return Path(sys.prefix).resolve() == self.folder

    def lock_file(self, purpose: str) -> Path:
        """Return the path of a purpose's lock file."""
        return self.checkout / LOCK_FILES[purpose]

    def stamp(self, purpose: str) -> Path:
        """Return the path of a purpose's stamp."""
        return self.folder / STAMPS[purpose]

    def is_current(self, purpose: str) -> bool:
        """Tell whether the packages of a purpose were installed from its lock file as it is."""
        stamp = self.stamp(purpose)
        return stamp.exists() and stamp.read_bytes() == self.lock_file(purpose).read_bytes()

    def installed(self) -> list[str]:
        """Return the purposes with a stamp, current or not."""
        return [purpose for purpose in STAMPS if self.stamp(purpose).exists()]


def machine_without_cloud() -> str | None:
    """Return system and processor of this machine if the embedded cloud cannot run there, else None."""
    machine = (platform.system(), platform.machine())
    return None if machine == LOCAL_MACHINE else " on ".join(machine)


def install(environment: Environment, purposes: Iterable[str]) -> None:
    """Install the packages of some purposes; whatever is installed already stays. Progress goes to stderr.

    Raises `InstallError` if that fails.
    """
    try:
        with _locked(environment.folder.with_name(f"{environment.folder.name}.lock")) as lock:
            _install(environment, purposes, lock)
    except OSError as error:
        place = error.filename or environment.folder
        remedy = REMEDIES.get(error.errno or 0, "correct this")
        raise InstallError(f"{place}: {error.strerror}; {remedy}, then run this again") from error


def _install(environment: Environment, purposes: Iterable[str], lock: int) -> None:
    wanted = [*dict.fromkeys([*purposes, *environment.installed()])]
    interrupted = os.pread(lock, len(INSTALLING), 0) == INSTALLING
    if interrupted or not environment.has_packages_of_its_python():
        if not interrupted:
            _require_replaceable(environment)
        _write_mark(lock, INSTALLING)
        _create(environment, lock)
    if not _runs(environment, "not importlib.util.find_spec('pip')"):
        _write_mark(lock, INSTALLING)
        _checked([environment.python, "-I", "-m", "ensurepip"], environment, lock)
    needed = [purpose for purpose in wanted if not environment.is_current(purpose)]
    if needed and not _are_satisfied(environment, needed):
        _change(environment, needed, lock)
    _write_mark(lock, b"")
    for purpose in needed:
        _write_stamp(environment, purpose, environment.lock_file(purpose).read_bytes())


def _write_stamp(environment: Environment, purpose: str, content: bytes) -> None:
    """Write a stamp that each user of the machine can read, as the packages themselves."""
    environment.stamp(purpose).write_bytes(content)
    environment.stamp(purpose).chmod(0o644)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Hold the lock. The kernel releases it when this process and the ones that it started have ended, also by a kill."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("  waiting for another ./opstrace, which installs packages")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
    finally:
        os.close(lock)


def _write_mark(lock: int, mark: bytes) -> None:
    os.truncate(lock, 0)
    os.pwrite(lock, mark, 0)


def _runs(environment: Environment, failure: str) -> bool:
    """Tell whether the environment's interpreter runs, and an expression of its `sys` and `importlib` is false."""
    code = f"import importlib.util, sys; sys.exit(bool({failure}))"
    try:
        return not subprocess.run([environment.python, "-I", "-c", code], capture_output=True, check=False).returncode
    except OSError:  # none, or a link to an interpreter that was uninstalled
        return False


def _require_replaceable(environment: Environment) -> None:
    """Raise `InstallError` where the folder has files, but none of `venv`: they are the user's, and would be removed."""
    folder = environment.folder
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "pyvenv.cfg").exists():
        raise InstallError(f"{folder} has files, but is no virtual environment; move it away, then run this again")


def _create(environment: Environment, lock: int) -> None:
    """Make the environment anew, empty. pip comes in a step of its own, because `venv` hides why that fails."""
    if environment.is_running():
        raise InstallError(
            f"an installation into {environment.folder} was interrupted; run ./opstrace once, it completes it"
        )
    if not importlib.util.find_spec("ensurepip"):
        raise InstallError(
            f"{sys.executable} has no module ensurepip, so it cannot make {environment.folder}; install the module "
            "(on Debian and Ubuntu: apt install python3-venv), or put another Python 3.11 or newer first on PATH"
        )
    _say(f"  making {environment.folder}")
    _checked(
        [sys.executable, "-I", "-m", "venv", "--clear", "--without-pip", str(environment.folder)], environment, lock
    )


def _are_satisfied(environment: Environment, purposes: Iterable[str]) -> bool:
    """Tell whether every package is there in the version of the lock files, whatever settings of pip the user has.

    This reads no index and changes nothing.
    """
    command = _pip(environment, "--dry-run", "--no-index", *_requirements(environment, purposes))
    without_settings = _variables() | {"PIP_CONFIG_FILE": os.devnull}
    result = subprocess.run(command, env=without_settings, capture_output=True, text=True, check=False)
    return not result.returncode and "Would install" not in result.stdout


def _change(environment: Environment, purposes: list[str], lock: int) -> None:
    """Install packages with pip. Where pip fails before it changes any, the environment counts as before."""
    stamps = {purpose: environment.stamp(purpose).read_bytes() for purpose in environment.installed()}
    before = _packages(environment)
    _write_mark(lock, INSTALLING)
    for purpose in stamps:
        environment.stamp(purpose).unlink()
    total = sum(_count(environment.lock_file(purpose)) for purpose in purposes)
    names = " and ".join(OF_PURPOSE[purpose] for purpose in purposes)
    _say(f"  installing the Python packages of {names}, about 2 min")
    try:
        _checked(_pip(environment, *_requirements(environment, purposes)), environment, lock, total)
        if not _are_satisfied(environment, purposes):
            raise InstallError(
                f"pip reported no error, but did not install all packages into {environment.folder}; remove settings such as "
                f"dry-run that `{environment.python} -I -m pip config list` shows, then run this again"
            )
    except BaseException:
        if _packages(environment) == before:
            _write_mark(lock, b"")
            for purpose, content in stamps.items():
                _write_stamp(environment, purpose, content)
        raise
    for purpose in {*stamps} - {*purposes}:
        _write_stamp(environment, purpose, stamps[purpose])


def _pip(environment: Environment, *arguments: str) -> list[str]:
    command = [environment.python, "-I", "-u", "-m", "pip", "install", "--require-hashes", *INTO_ENVIRONMENT]
    return [*command, "--disable-pip-version-check", "--progress-bar", "off", *arguments]


def _variables(*taken: str) -> dict[str, str]:
    """Return the variables of this process, of those with settings of pip only the ones with the `taken` names."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith("PIP_") or name[4:].upper() in taken
    }


def _requirements(environment: Environment, purposes: Iterable[str]) -> list[str]:
    return [part for purpose in purposes for part in ("-r", str(environment.lock_file(purpose)))]


def _packages(environment: Environment) -> set[str]:
    return {path.name for path in environment.folder.glob("lib/python*/site-packages/*")}


def _count(lock_file: Path) -> int:
    return len(re.findall(r"^[\w.-]+==", lock_file.read_text(), re.MULTILINE))


def _checked(command: list[str], environment: Environment, lock: int, total: int = 0) -> None:
    """Run a program that holds the lock too, and count the packages that it finds; raises `InstallError` if it fails."""
    found, lines = 0, []
    # The umask of the command is 077, but packages are for all users of the checkout.
    with subprocess.Popen(
        command,
        env=_variables(*REACHING),
        pass_fds=(lock,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        umask=0o022,
    ) as process:
        try:
            for line in process.stdout or ():
                if FOUND.match(line):
                    found += 1
                    _show(f"  {min(found, total)} of {total} packages")
                elif not PROGRESS.match(line.strip()):
                    lines.append(line.rstrip())
        except KeyboardInterrupt:
            process.wait()  # the terminal has interrupted it too
            raise
        finally:
            _show("")
    if process.returncode:
        raise InstallError(_reason(lines, environment))


def _reason(lines: list[str], environment: Environment) -> str:
    """Return the error for a program that failed after it printed `lines`."""
    folder, text = environment.folder, "\n".join(lines)
    temporary = Path(os.environ.get("TMPDIR") or "/tmp")  # noqa: S108 pip's own default; nothing is written here
    if FULL.search(text) or any(_free(place) < LITTLE_SPACE for place in (folder.parent, temporary)):
        return (
            f"no space is left for the Python packages: {folder} needs {SPACE}, and pip needs space in {temporary} or "
            "$TMPDIR; free some, then run this again"
        )
    if missing := NO_FILE.search(text):
        python = platform.python_version()
        return (
            f"the package index has no file of {missing[1]} for Python {python} on {platform.system()} "
            f"{platform.machine()}; check that the index can be reached. There are files for Linux (x86-64, arm64; glibc "
            "2.31) and for macOS 11 on arm64"
        )
    return f"{text}\nthe Python packages cannot be installed into {folder}; correct what is said above, then run this again"


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free if folder.exists() else LITTLE_SPACE


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _show(text: str) -> None:
    """Show a text in the current line of a terminal; pipes and logs get none."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def main(checkout: str, *purposes: str) -> int:
    """Install the packages; return the exit status. An error is one line on stderr."""
    machine = machine_without_cloud()
    if machine and "local" in purposes:
        _say(f"  skipped: the Python packages of the embedded cloud, which does not run on {machine}")
        purposes = tuple(purpose for purpose in purposes if purpose != "local")
    try:
        install(Environment(Path(checkout).absolute()), purposes or ("command",))
    except InstallError as error:
        _say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        _say("error: interrupted. Run this again: it installs what is missing")
        return INTERRUPTED_STATUS
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
