"""The documentation builds without a warning, and a browser loads every part of the site from the site itself."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.support.shell import ROOT

MOST_BYTES, SHORTEST_DESCRIPTION = 200_000, 40


def build(project: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Build a project's site as `make docs` does, but into another folder."""
    command = [sys.executable, "-P", "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a copy of the documentation that a test may break."""
    shutil.copy(ROOT / "mkdocs.yml", tmp_path / "mkdocs.yml")
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    return tmp_path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the site, built strictly."""
    folder = tmp_path_factory.mktemp("site")
    result = build(ROOT, folder)
    assert result.returncode == 0, result.stderr
    return folder


def test_the_site_has_every_page(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    assert len(pages) > 20
    assert pages <= {path.relative_to(site) for path in site.rglob("*.html")}


def titles(entries: list[Any]) -> dict[str, str]:
    """Return the titles of the navigation by page."""
    found: dict[str, str] = {}
    for entry in entries:
        for title, target in entry.items():
            found |= {target: title} if isinstance(target, str) else titles(target)
    return found


TITLES = titles(YAML(typ="safe").load((ROOT / "mkdocs.yml").read_text())["nav"])
OWN_TITLES = ("index.md", "decisions/")  # the overview; decisions, whose titles in the navigation are shorter


@pytest.mark.parametrize("page", [page for page in TITLES if not page.startswith(OWN_TITLES)])
def test_a_page_has_the_same_title_in_the_navigation(page: str) -> None:
    assert (ROOT / "docs" / page).read_text().splitlines()[0] == f"# {TITLES[page]}"


def test_the_cells_of_a_table_wrap(site: Path) -> None:
    text = (site / "reference" / "gateway-answers.html").read_text()
    assert "css/tables.css" in text
    assert "white-space: normal" in (site / "css" / "tables.css").read_text()


def loaded_from_elsewhere(text: str) -> list[str]:
    """Return the external addresses from which a browser would load a part of a page or of a style sheet."""
    tags = re.findall(r"<(?:script|img|iframe|source|link)\b[^>]*>", text)
    sources_by_tag = [re.findall(r"""(?:src|href)=["']((?:https?:)?//[^"']+)""", tag) for tag in tags]
    return [
        *(source for sources in sources_by_tag for source in sources),
        *re.findall(r"url\(['\"]?((?:https?:)?//[^)]*)", text),
    ]


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://cdn.example.com/a.js"></script>',
        '<link rel="stylesheet" href="//cdn.example.com/a.css">',
        "<img alt='' src='http://example.com/a.png'>",
        "@font-face { src: url('https://example.com/a.woff2') }",
    ],
)
def test_the_scan_finds_what_is_loaded_from_elsewhere(text: str) -> None:
    assert loaded_from_elsewhere(text)


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    files = [path for path in site.rglob("*") if path.suffix in (".html", ".css", ".svg")]
    assert {path.suffix for path in files} == {".html", ".css", ".svg"}
    assert {path.name: sources for path in files if (sources := loaded_from_elsewhere(path.read_text()))} == {}


@pytest.mark.parametrize("picture", sorted((ROOT / "docs" / "images").glob("*.svg")), ids=lambda path: path.name)
def test_a_picture_can_be_read_aloud(picture: Path) -> None:
    text = picture.read_text()
    assert re.search(r'<svg [^>]*role="img" aria-labelledby="title desc"', text)
    assert re.search(r'<title id="title">[^<]+</title>', text)
    assert re.search(r'<desc id="desc">[^<]+</desc>', text)


@pytest.mark.parametrize("picture", sorted((ROOT / "docs" / "images").glob("*.png")), ids=lambda path: path.name)
def test_a_screenshot_is_small_and_described_where_it_is_shown(picture: Path) -> None:
    pages = "\n".join(page.read_text() for page in (ROOT / "docs" / "how-to").glob("*.md"))
    shown = re.findall(rf"^!\[(.*?)\]\(\.\./images/{re.escape(picture.name)}\)$", pages, re.MULTILINE)
    assert shown and all(len(text) > SHORTEST_DESCRIPTION for text in shown)
    assert picture.stat().st_size < MOST_BYTES


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[a page](no-such-page.md)", "no-such-page.md"),
        ("[an anchor](reference/glossary.md#no-such-term)", "no-such-term"),
        ("[a file beside docs](../README.md)", "README.md"),
        ("[an absolute link](/reference/glossary.md)", "absolute"),
    ],
)
def test_a_broken_link_fails_the_build(project: Path, text: str, complaint: str) -> None:
    with (project / "docs" / "index.md").open("a") as page:
        page.write(f"\n{text}\n")
    result = build(project, project / "site")
    assert result.returncode != 0
    assert complaint in result.stderr


def test_a_page_outside_of_the_navigation_fails_the_build(project: Path) -> None:
    (project / "docs" / "orphan.md").write_text("# Orphan\n")
    result = build(project, project / "site")
    assert result.returncode != 0
    assert "orphan.md" in result.stderr


def mentions() -> set[str]:
    """Return the pages of docs/ that files of the project name, in code, comments, examples and other documents."""
    folders = ("components", "scripts", "localcloud", "supplychain", "bench", "reference", "stacks", "tests", "docs")
    files = [
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".lua", ".md", ".yaml")
    ]
    files += [*ROOT.glob("*.md"), ROOT / "Makefile"]
    return {name for path in files for name in re.findall(r"(?<![\w./-])docs/[\w./-]+\.(?:md|svg)", path.read_text())}


def test_each_page_that_a_file_names_exists() -> None:
    assert len(mentions()) > 10
    assert [name for name in sorted(mentions()) if not (ROOT / name).is_file()] == []
