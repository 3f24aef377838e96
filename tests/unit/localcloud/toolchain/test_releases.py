"""Official releases in the layout of each publisher, right and wrong: what is used, what is skipped, what ends the search."""

import hashlib
import json
import os
import re
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

from localcloud.certificate_authority import Authority, write_pair
from localcloud.errors import ToolError
from localcloud.settings import Settings
from localcloud.toolchain import download, pin, releases
from localcloud.toolchain.releases import RECORD, pinned_checksums
from localcloud.toolchain.store import Tool, cached, ensure
from tests.support.ports import free_port
from tests.support.release_server import (
    PAGE,
    PROGRAM,
    RELEASED,
    Releases,
    Sends,
    cut,
    cut_chunks,
    file_of,
    list_of,
    missing,
    redirect,
    release_of,
    serving,
    trickle,
    whole,
)

BUILT = b"#!/bin/sh\necho built\n"
KNOWN = {
    "pulumi-v3.255.0-linux-x64.tar.gz": "cf559568e2c32f7fae56ea3de8ae5fa48973ba8c5aa9dd2b3dc0c8898fe50dba",
    "cortex-linux-amd64": "993f8da3d4c99d9fb82b5e26369502c1a7acf4c2b95e4b87190e608cdb57c649",
}


class Build:
    """A source that comes after the release, as a build from source does."""

    estimate = 1.0

    def __init__(self, programs: tuple[str, ...]) -> None:
        self.programs = programs

    def fingerprint(self) -> str:
        return "build"

    def describe(self) -> str:
        return "building it"

    def provide(self, folder: Path) -> None:
        for name in self.programs:
            (folder / name).write_bytes(BUILT)
            (folder / name).chmod(0o755)


class Shown:
    """Keeps what each source came to."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def note(self, text: str) -> None:
        self.steps.append(text)

    @contextmanager
    def step(self, what: str, estimate: float | None = None) -> Iterator[Any]:
        outcome = SimpleNamespace(text="failed")
        try:
            yield outcome
            outcome.text = "done"
        finally:
            self.steps.append(f"{what}: {outcome.text}")


class Site:
    """One tool of the catalog whose release is on a loopback server; a build comes after it."""

    def __init__(self, server: Releases, tool: Tool, checksums: Path) -> None:
        self.server, self.checksums, self.shown = server, checksums, Shown()
        self.release = server.moved(release_of(tool))
        self.tool = replace(tool, sources=(self.release, Build(tool.programs)), suitable=None)
        self.file = file_of(self.release)
        server.serve(self.release.url, whole(self.file))
        self.pin(None)

    def pin(self, content: bytes | None) -> None:
        """Pin the checksum of `content`, or nothing."""
        pins = {self.release.url: {"sha256": hashlib.sha256(content).hexdigest(), "source": "test"}} if content else {}
        self.checksums.write_text(json.dumps(pins))

    def list(self, sends: Sends) -> None:
        assert self.release.listed
        self.server.serve(self.release.listed, sends)

    def output(self, tool: Tool | None = None) -> str:
        """Provide the tool, and return what its program prints."""
        folder = ensure(tool or self.tool, self.shown)
        for name in self.tool.programs:
            assert os.access(folder / name, os.X_OK), name
        return subprocess.run(
            [folder / self.tool.programs[0]], capture_output=True, text=True, check=True
        ).stdout.strip()

    @property
    def trusted(self) -> str:
        """What the program prints where the user trusts the host."""
        return self.output(self.tool.trusting_hosts())


@pytest.fixture
def server() -> Iterator[Releases]:
    with serving(Releases()) as running:
        yield running


@pytest.fixture(params=RELEASED, ids=[tool.name for tool in RELEASED])
def site(request: pytest.FixtureRequest, server: Releases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(releases, "CHECKSUMS", tmp_path / "checksums.json")
    return Site(server, request.param, tmp_path / "checksums.json")


def kept(folder: Path) -> list[str]:
    """Return what is in the cache of tools."""
    return [path.name for path in (folder / "cache" / "opstrace" / "tools").iterdir() if path.name != ".locks"]


def test_every_release_has_a_list_of_its_publisher_on_the_same_host() -> None:
    assert {tool.name for tool in RELEASED} == {"pulumi", "kubernetes", "coredns", "cortex", "loki"}
    for tool in RELEASED:
        release = release_of(tool)
        assert release.listed and urlsplit(release.listed)[:2] == urlsplit(release.url)[:2] and "https:" in release.url
        assert tool.version in release.listed and tool.version in release.url


def test_the_known_checksums_are_pinned_each_with_its_origin() -> None:
    pins = {url.rsplit("/", 1)[-1]: checksum for url, checksum in pinned_checksums().items()}
    assert pins == KNOWN
    assert {*pinned_checksums()} <= {release_of(tool).url for tool in RELEASED}
    assert all(entry["source"] for entry in json.loads(releases.CHECKSUMS.read_text()).values())


def test_a_pinned_release_is_used_and_nothing_else_is_asked(site: Site) -> None:
    site.pin(site.file)
    site.list(whole(list_of(site.release, b"another file")))  # a pin comes before the publisher's list
    assert site.output() == site.trusted == "official"
    assert site.server.requested == [urlsplit(site.release.url).path]


def test_a_release_without_a_pin_is_skipped_and_never_fetched_even_with_a_list_and_a_signature(site: Site) -> None:
    site.list(whole(list_of(site.release, site.file)))
    for suffix in (".sig", ".cert", ".asc"):
        site.server.serve(site.release.url + suffix, whole(b"MEUCIQ== any signature"))
        site.server.serve(f"{site.release.listed}{suffix}", whole(b"MEUCIQ== any signature"))
    assert site.output() == "built" and site.server.requested == []
    assert site.shown.steps[0].endswith(f": skipped: no pinned checksum for {site.release.url}")


def changed(content: bytes) -> bytes:
    """Return the content with its last bit changed."""
    return content[:-1] + bytes([content[-1] ^ 1])


SKIPPED: dict[str, tuple[Callable[[Site], Sends], str]] = {
    "truncated": (lambda site: cut(site.file), r"ended after \d+ of \d+ bytes"),
    "truncated chunks": (lambda site: cut_chunks(site.file), "ended too early"),
    "missing": (lambda _: missing, "answered 404"),
    "a page": (lambda _: whole(PAGE), "answered with a page of HTML in place of the file"),
    "a redirect in a circle": (lambda site: redirect(site.release.url), "redirects in a circle"),
    "a redirect to nothing": (lambda site: redirect(f"{site.server.url}/none"), "answered 404"),
    "a redirect to a local file": (
        lambda _: redirect("file:///etc/passwd"),
        "redirects in a circle, or to an address that is no HTTP",
    ),
    "a redirect to half an address": (lambda _: redirect("http://[::1"), "redirects to an address that is none"),
    "a redirect to a name that none can have": (
        lambda _: redirect(f"http://{'a' * 64}/"),
        "redirects to an address that is none",
    ),
}


@pytest.mark.parametrize("fault", SKIPPED)
def test_a_pinned_release_that_does_not_arrive_is_skipped_with_the_reason(
    site: Site, fault: str, tmp_path: Path
) -> None:
    sends, reason = SKIPPED[fault]
    site.pin(site.file)
    site.server.serve(site.release.url, sends(site))
    assert site.output() == "built" and len(kept(tmp_path)) == 1
    assert re.search(f": skipped: {re.escape(site.release.url)} .*{reason}", site.shown.steps[0]), site.shown.steps


TRICKLES = {"a body": (b"\r\n", b"x"), "headers": (b"", b"x-one: more\r\n"), "a line": (b"x-one: ", b"x")}


@pytest.mark.parametrize("part", TRICKLES)
def test_a_release_that_trickles_is_skipped_with_the_reason(
    site: Site, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "WINDOW_SECONDS", 0.5)
    site.pin(site.file)
    start, piece = TRICKLES[part]
    site.server.serve(site.release.url, trickle(start, [piece] * 600))  # for 30 s
    started = time.monotonic()
    assert site.output() == "built" and time.monotonic() - started < 5
    assert re.search(
        rf": skipped: {re.escape(site.release.url)} is too slow: \d+ bytes in 0\.5 s, and at least 1048576 are needed",
        site.shown.steps[0],
    ), site.shown.steps


def test_a_release_that_is_slow_but_fast_enough_is_used_whole(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "WINDOW_SECONDS", 0.5)
    monkeypatch.setattr(download, "LEAST_BYTES", 2)
    site.pin(site.file)
    end = [bytes([byte]) for byte in site.file[-20:]]
    site.server.serve(site.release.url, trickle(b"\r\n" + site.file[:-20], end))
    assert site.output() == "official"


def test_a_server_that_does_not_listen_is_skipped_with_the_reason(site: Site) -> None:
    site.pin(site.file)
    closed = site.release.url.replace(str(site.server.server_address[1]), str(free_port()))
    site.checksums.write_text(json.dumps({closed: {"sha256": "0" * 64}}))
    tool = replace(site.tool, sources=(replace(site.release, url=closed), Build(site.tool.programs)))
    assert site.output(tool) == "built" and f"skipped: {closed} cannot be reached: " in site.shown.steps[0]


def test_a_redirect_to_the_file_is_followed(site: Site) -> None:
    site.pin(site.file)
    site.server.serve(site.release.url, redirect(f"{site.server.url}/elsewhere"))
    site.server.serve("/elsewhere", whole(site.file))
    assert site.output() == "official"


def test_a_redirect_from_tls_to_plain_http_is_skipped(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(0, tmp_path)
    settings.pki.mkdir()
    write_pair(tmp_path / "server", Authority.of(settings).issue("server", names=["127.0.0.1"]))
    monkeypatch.setenv("SSL_CERT_FILE", str(settings.ca))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server-key.pem")
    over_tls = Releases(context)
    with serving(over_tls):
        release = over_tls.moved(site.release)
        site.checksums.write_text(json.dumps({release.url: {"sha256": hashlib.sha256(site.file).hexdigest()}}))
        tool = replace(site.tool, sources=(release, Build(site.tool.programs)))
        over_tls.serve(release.url, redirect(site.release.url))
        assert site.output(tool) == "built"
        assert f"redirects to {site.release.url}, which is not https" in site.shown.steps[0]
        over_tls.serve(release.url, redirect(f"{over_tls.url}/elsewhere"))
        over_tls.serve("/elsewhere", whole(site.file))
        assert site.output(replace(tool, version="2")) == "official"


def test_a_release_with_another_checksum_than_the_pinned_one_ends_the_search(site: Site, tmp_path: Path) -> None:
    site.pin(site.file)
    site.server.serve(site.release.url, whole(changed(site.file)))
    for tool in (site.tool, site.tool.trusting_hosts()):
        with pytest.raises(ToolError, match=r"is pinned: the file was changed or damaged .* nothing of it was used"):
            ensure(tool)
    assert kept(tmp_path) == []


def test_a_trusted_host_s_release_is_used_if_it_is_in_the_publisher_s_list(site: Site) -> None:
    site.list(whole(list_of(site.release, site.file)))
    assert site.trusted == "official"
    assert site.shown.steps[0].endswith(f"fetching the release {site.release.name}, without a pinned checksum: done")
    assert site.trusted == "official" and len(site.server.requested) == 2  # it is cached


def test_a_release_that_was_fetched_by_trust_is_built_from_source_in_a_run_without_trust(site: Site) -> None:
    site.list(whole(list_of(site.release, site.file)))
    assert site.trusted == "official"
    site.server.requested.clear()
    assert cached(site.tool) is None and cached(site.tool.trusting_hosts())
    assert site.output() == "built" and "building it: done" in site.shown.steps[-1]
    steps = len(site.shown.steps)
    assert site.output() == site.trusted == "built" and len(site.shown.steps) == steps  # nobody builds it again
    assert site.server.requested == []


def test_a_release_that_was_fetched_by_trust_is_refused_without_trust_where_nothing_else_provides_it(
    site: Site,
) -> None:
    site.list(whole(list_of(site.release, site.file)))
    site.tool = replace(site.tool, sources=(site.release,))
    assert site.trusted == "official"
    site.server.requested.clear()
    for _ in range(2):
        with pytest.raises(ToolError, match=f"no pinned checksum for {re.escape(site.release.url)}"):
            ensure(site.tool)
    assert site.trusted == "official" and site.server.requested == []  # with trust again, nothing is fetched again
    site.pin(site.file)
    assert site.output() == "official" and site.server.requested == []  # nor with its pin


@pytest.mark.parametrize("damaged", ["", "[]", "{}", '{"url": 1}', "{"])
def test_programs_with_a_damaged_record_of_their_origin_are_not_used(site: Site, damaged: str) -> None:
    site.pin(site.file)
    assert site.output() == "official"
    (ensure(site.tool) / RECORD).write_text(damaged)
    assert cached(site.tool) is None and cached(site.tool.trusting_hosts()) is None
    assert site.output() == "official" and len(site.server.requested) == 2


UNLISTED: dict[str, tuple[Callable[[Site], Sends], str]] = {
    "missing": (lambda _: missing, "answered 404"),
    "a page": (lambda _: whole(PAGE), "answered with a page of HTML"),
    "truncated": (lambda site: cut(list_of(site.release, site.file)), "ended after"),
    "of other files": (lambda _: whole(b"%b  another\n" % (b"0" * 64)), "has no SHA-256 of"),
    "of SHA-1": (lambda site: whole(b"%b  %b\n" % (b"0" * 40, site.release.name.encode())), "has no SHA-256 of"),
    "empty": (lambda _: whole(b""), "has no SHA-256 of"),
}


@pytest.mark.parametrize("fault", UNLISTED)
def test_a_trusted_host_s_release_is_skipped_if_its_publisher_s_list_does_not_have_it(site: Site, fault: str) -> None:
    sends, reason = UNLISTED[fault]
    site.list(sends(site))
    assert site.trusted == "built" and site.server.requested == [urlsplit(str(site.release.listed)).path]
    assert f": skipped: {site.release.listed} {reason}" in site.shown.steps[0]


def test_a_trusted_host_s_release_that_differs_from_its_publisher_s_list_ends_the_search(
    site: Site, tmp_path: Path
) -> None:
    site.list(whole(list_of(site.release, site.file)))
    site.server.serve(site.release.url, whole(changed(site.file)))
    with pytest.raises(ToolError, match=f"is in {site.release.listed}: the file was changed or damaged"):
        ensure(site.tool.trusting_hosts())
    assert kept(tmp_path) == []


def test_a_listed_archive_that_cannot_be_unpacked_ends_the_search(site: Site, tmp_path: Path) -> None:
    if "" in site.release.programs.values():  # no archive: whatever is listed is the program
        site.release = site.server.moved(release_of(RELEASED[0]))
        site.tool = replace(RELEASED[0], sources=(site.release,), suitable=None)
    broken = site.file[: len(site.file) // 2] if site.file != PROGRAM else b"no archive"
    site.server.serve(site.release.url, whole(broken))
    site.list(whole(list_of(site.release, broken)))
    with pytest.raises(ToolError, match="cannot be unpacked"):
        ensure(site.tool.trusting_hosts())
    assert kept(tmp_path) == []


def test_a_release_from_a_trusted_host_is_fetched_again_once_another_checksum_is_pinned(site: Site) -> None:
    attack = site.file if site.file != PROGRAM else PROGRAM + b"# other\n"
    site.server.serve(site.release.url, whole(attack))
    site.list(whole(list_of(site.release, attack)))
    assert site.trusted == "official" and cached(site.tool) is None
    site.pin(attack)
    assert cached(site.tool)
    site.pin(attack + b"other")
    assert cached(site.tool) is None and cached(site.tool.trusting_hosts()) is None
    site.server.serve(site.release.url, missing)
    assert site.output() == "built" and not (ensure(site.tool) / RECORD).exists()
    site.pin(attack)
    assert cached(site.tool)  # a build stays valid whatever is pinned


def test_pinning_compares_with_the_publisher_s_list_and_an_earlier_pin(site: Site, tmp_path: Path) -> None:
    def problems() -> list[str]:
        return pin.pin([site.release.url], lambda url: pin.checksum(url, site.release.listed), tmp_path / "new.json")

    assert problems() == [f"{site.release.listed} answered 404"]
    site.list(whole(list_of(site.release, b"another file")))
    assert "find out why" in problems()[0] and str(site.release.listed) in problems()[0]
    site.list(whole(list_of(site.release, site.file)))
    site.pin(b"another file")
    assert "but checksums.json has" in problems()[0] and not (tmp_path / "new.json").exists()
    site.pin(None)
    assert problems() == []
    entry = json.loads((tmp_path / "new.json").read_text())[site.release.url]
    assert entry["sha256"] == hashlib.sha256(site.file).hexdigest() and str(site.release.listed) in entry["source"]
