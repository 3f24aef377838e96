"""Classes of the page: each that a template or a script sets has a style, and each style has a user."""

import re
from pathlib import Path
from typing import get_args

from scripts.web.changes.conversation import Kind
from scripts.web.page import FOLDER

ATTRIBUTE = re.compile(r'class="((?:\{\{.*?\}\}|[^"{])*)"')
EXPRESSION = re.compile(r"\{\{.*?\}\}")
COMPARED = re.compile(r"(==|>=) '[^']*'|'[^']*':")  # what an expression compares with, and keys of a mapping
OF_SCRIPTS = re.compile(r'className: "([^"]*)"')
OF_UPLOT = "uplot"


def _own(pattern: str) -> list[Path]:
    return [path for path in FOLDER.rglob(pattern) if "vendor" not in path.parts]


def _used() -> set[str]:
    names = set[str]()
    for path in _own("*.html"):
        for value in ATTRIBUTE.findall(path.read_text()):
            names |= {*EXPRESSION.sub(" ", value).split()}
            for expression in EXPRESSION.findall(value):
                names |= {*re.findall(r"'(\w+)'", COMPARED.sub("", expression))}
                names |= {*get_args(Kind)} if "entry.kind" in expression else set()
    for path in _own("*.js"):
        names |= {name for value in OF_SCRIPTS.findall(path.read_text()) for name in value.split()}
    return names


def test_each_class_has_a_style_and_each_style_a_class() -> None:
    sheets = "".join(re.sub(r"/\*.*?\*/|url\([^)]*\)", "", path.read_text(), flags=re.DOTALL) for path in _own("*.css"))
    styled = {*re.findall(r"\.([a-z][\w-]*)", sheets)} - {OF_UPLOT}
    assert _used() == styled
