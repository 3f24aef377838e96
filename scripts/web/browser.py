"""Opening the user's browser. The URL has a token, so it never stands on a command line, which other users can read."""

from __future__ import annotations

import html
import os
import sys
import webbrowser
from typing import TYPE_CHECKING

from localcloud.files import write_whole
from localcloud.folders import state_folder

if TYPE_CHECKING:
    from pathlib import Path

PAGE = '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0;url={url}"><title>Opstrace</title>\n'


def has_screen() -> bool:
    """Tell whether this session can show a browser. Without a screen, `webbrowser` could start one in the terminal."""
    return sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def write_redirect(url: str) -> Path:
    """Return a file of the user alone that leads a browser to `url`. The caller removes it."""
    folder = state_folder() / "ui"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder / f"open-{os.getpid()}.html"
    write_whole(file, PAGE.format(url=html.escape(url)), 0o600)
    return file


def show(file: Path) -> None:
    """Open a file in the user's browser, and wait for nothing."""
    webbrowser.open(file.as_uri())
