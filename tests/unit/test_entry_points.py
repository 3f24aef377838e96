"""No entry point runs Python code from the working directory, where another user could have put it."""

import ast
import importlib.metadata
import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import struct_pb2
from pulumi.runtime.proto import language_pb2 as pb

from localcloud.files import is_script
from localcloud.plugins import install, language_host
from localcloud.toolchain.engine_plugins import PLUGINS
from tests.support.shell import ROOT
from tests.support.wheels import small_checkout

SAFE = ("-P", "-I")  # both keep the working directory and the script's folder out of the module path
FOLDERS = [top for top in ROOT.iterdir() if top.name == ".ci" or not (top.name.startswith(".") or top.name == "docs")]
SOURCES = sorted(path for top in FOLDERS for path in [top, *top.rglob("*")] if path.is_file())
# Only these words make the scan find a start of Python. To search the syntax trees of all modules takes 10 s.
WORDS = re.compile(r"python|executable|candidate", re.IGNORECASE)
CODE = [path for path in SOURCES if path.suffix == ".py" and path != Path(__file__) and WORDS.search(path.read_text())]
SCRIPTS = [path for path in SOURCES if path.name == "Makefile" or is_script(path)]
# A program whose name contains `python`, or a variable of the launcher, and its first argument.
NAME = r"\$?\{?(?:[\w.]*python[\w.]*|candidate|sys\.executable)[\"')}]*\s+(-\S+)"
CALL = re.compile(rf"(?:^|[\s\"'/@{{=(]){NAME}", re.MULTILINE)
# In texts of Python code, `python -m …` alone is an instruction to the reader, in the project's folder.
CALL_IN_TEXT = re.compile(rf"(?:exec\s+|[\"'/@{{=(]){NAME}")


def flat(elements: list[ast.expr]) -> Iterator[ast.expr]:
    """Yield the elements of a list of arguments, with those inside of `*(…)`."""
    for element in elements:
        if isinstance(element, ast.Starred) and isinstance(element.value, (ast.List, ast.Tuple)):
            yield from flat(element.value.elts)
        else:
            yield element


def is_python(node: ast.expr) -> bool:
    """Return whether an argument names a Python interpreter."""
    if isinstance(node, ast.Call):
        inner = node.args[0] if ast.unparse(node.func) == "str" and node.args else node.func
        return is_python(inner)
    if isinstance(node, ast.BinOp):
        return is_python(node.right)
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and re.search(r"(^|/)python[\d.]*$", node.value) is not None
    return re.search(r"(^|\.|_)(executable|python)$", ast.unparse(node), re.IGNORECASE) is not None


def unsafe_commands(tree: ast.AST) -> Iterator[str]:
    """Yield the commands of a module that start Python without a safe option."""
    for node in ast.walk(tree):
        elements = flat(node.args if isinstance(node, ast.Call) else getattr(node, "elts", []))
        for program, following in itertools.pairwise(elements):
            if not is_python(program) or ast.unparse(following) in map(repr, SAFE):
                continue
            if not isinstance(node, ast.Call) or isinstance(following, ast.Constant):
                yield ast.unparse(node)


def unsafe_texts(tree: ast.AST) -> Iterator[str]:
    """Yield the texts of a module, without docstrings, that start Python without a safe option."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, documented)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            text = ast.unparse(node) if isinstance(node, ast.JoinedStr) else str(node.value)
            if text not in docstrings and any(option not in SAFE for option in CALL_IN_TEXT.findall(text)):
                yield text


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_starts_python_with_the_working_directory_on_its_path(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert [*unsafe_commands(tree), *unsafe_texts(tree)] == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_script_starts_python_with_the_working_directory_on_its_path(path: Path) -> None:
    text = path.read_text()
    if definition := re.search(r"^PYTHON := (.*)$", text, re.M):
        text = text.replace("$(PYTHON)", definition[1])
    options = CALL.findall(text)
    assert [option for option in options if option not in SAFE] == []
    assert options or "python" not in text


@pytest.mark.parametrize(
    ("code", "option"),
    [
        ('run([sys.executable, ~"-m", "pip"])', '"-I", '),
        ('run([python, ~"-c", given])', '"-P", '),
        ('Service("x", [*("setpriv", "x"), *(_python(info), ~"-u", script)])', '"-P", '),
        ('run("python3", ~"-m", "venv")', '"-P", '),
        ('[str(folder / "bin" / "python"), ~script]', '"-P", '),
        ("""x = f'exec "{sys.executable}" ~-m localcloud'""", "-P "),
        ("x = f'exec {quote(sys.executable)} ~-m localcloud'", "-P "),
        ("x = '.venv/bin/python ~-m scripts'", "-I "),
    ],
)
def test_the_scan_tells_an_unsafe_start_from_a_safe_one(code: str, option: str) -> None:
    unsafe, safe = ast.parse(code.replace("~", "")), ast.parse(code.replace("~", option))
    assert [*unsafe_commands(unsafe), *unsafe_texts(unsafe)] != []
    assert [*unsafe_commands(safe), *unsafe_texts(safe)] == []


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a file for each module that Python could import; the file records that it ran.

    The user's PYTHONPATH has an empty entry, which means the working directory.
    """
    folder = tmp_path / "trap"
    folder.mkdir()
    # Without the modules that Python imports before the file could be opened.
    first = subprocess.run(
        [sys.executable, "-I", "-c", "import sys; print(*sys.modules)"], check=True, capture_output=True, text=True
    )
    code = f"open({str(folder / 'ran')!r}, 'a').write(__name__ + '\\n')\n"
    names = {*sys.stdlib_module_names, *importlib.metadata.packages_distributions(), "sitecustomize", "usercustomize"}
    for name in filter(str.isidentifier, names.difference(first.stdout.split())):
        (folder / f"{name}.py").write_text(code)
    for name in (top.name for top in FOLDERS if (top / "__init__.py").exists()):
        (folder / name).mkdir()
        for file in ("__init__", "__main__"):
            (folder / name / f"{file}.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", os.pathsep)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    monkeypatch.chdir(folder)
    return folder


def ran(trap: Path) -> list[str]:
    """Return the modules of the trap that ran."""
    return (trap / "ran").read_text().split() if (trap / "ran").exists() else []


@pytest.mark.parametrize("variable", [os.pathsep, ""])
def test_the_trap_sees_what_runs(trap: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv("PYTHONPATH", variable)
    subprocess.run([sys.executable, "-m", "scripts"], check=False, capture_output=True, timeout=60)
    assert ran(trap)


@pytest.mark.parametrize("arguments", [("--help",), ("ta-create-keypair", "pair.pem"), ("env", "local")])
def test_the_command_runs_nothing_of_the_working_directory(trap: Path, arguments: tuple[str, ...]) -> None:
    done = subprocess.run([ROOT / "opstrace", *arguments], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 or "the embedded cloud does not run" in done.stderr, done
    assert ran(trap) == []


def test_the_first_run_makes_its_environment_with_nothing_of_the_working_directory(trap: Path) -> None:
    """The real launcher, venv and pip; the lock file is empty, so that pip fetches nothing."""
    root = small_checkout(trap.parent / "project")
    done = subprocess.run([root / "opstrace"], check=False, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, f"{root / '.venv'}\n"), done
    assert ran(trap) == []


@pytest.mark.parametrize("plugin", [*PLUGINS, "language_host"])
def test_a_plugin_runs_nothing_of_the_working_directory(trap: Path, plugin: str) -> None:
    launcher = trap.parent / "launcher"
    launcher.write_text(install._launcher(plugin))
    launcher.chmod(0o700)
    with subprocess.Popen([launcher, "127.0.0.1:1"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout and int(process.stdout.readline())  # prints its port when it serves
        finally:
            process.kill()
    assert ran(trap) == []


def test_the_program_runs_nothing_but_the_project_s_own(trap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No module comes from the engine's working directory or from the folder of the official host's script."""
    script = trap / "script"
    script.write_text(f"import json, sys\nopen({str(trap / 'path')!r}, 'w').write(json.dumps(sys.path))\n")
    monkeypatch.setenv("OPSTRACE_LANGUAGE_EXEC", str(script))
    options = struct_pb2.Struct()
    options.update({"virtualenv": ".venv"})
    info: Any = pb.ProgramInfo(root_directory=str(ROOT), program_directory=str(ROOT), options=options)
    host = language_host._Host("127.0.0.1:1")
    assert host.Run(pb.RunRequest(project="opstrace", stack="a", info=info), None).error == ""
    path = json.loads((trap / "path").read_text())
    assert str(trap) not in path and "" not in path and ran(trap) == []
