"""The answers that a browser gets, from the file into which it records them."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

NOT_THE_STREAM = re.compile(r"^http://[^/]+/(?!events)")  # that has names of events alone, and no end
TOKEN = "eyJ"  # how each JWT begins: `{"` in base64


def recording(file: Path) -> dict[str, Any]:
    """Return the options of a browser that records all answers but the stream into a file."""
    return {"record_har_path": file, "record_har_url_filter": NOT_THE_STREAM}


def require_no_token(file: Path, *asked: str) -> None:
    """Fail if an answer in the file has a tenant API token, or if there is none with a text for one of these paths."""
    found = [
        (urlsplit(one["request"]["url"]).path, one["response"])
        for one in json.loads(file.read_text())["log"]["entries"]
    ]
    with_text = {path for path, answer in found if answer["content"].get("text")}
    assert {*asked} <= with_text, with_text
    assert [path for path, answer in found if TOKEN in json.dumps(answer)] == []
