"""The software bill of materials: everything that is installed, built or run, in the CycloneDX format: `make sbom`."""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from components.core.images import DIGESTS, IMAGES
from localcloud.toolchain import catalog
from localcloud.toolchain.engine_plugins import PLATFORMS, PLUGINS, plugin_url
from localcloud.toolchain.package_sources import DebianPackages, PythonPackage
from localcloud.toolchain.registry import Reference
from localcloud.toolchain.releases import Release, pinned_checksums
from localcloud.toolchain.sources import GoModule
from localcloud.toolchain.store import Tool
from supplychain import vendored
from supplychain.locks import COMMAND, LOCAL, LOCKS, ROOT

FILE = ROOT / "sbom.cdx.json"
TOOLS: tuple[Tool, ...] = (
    *catalog.ENGINE,
    *catalog.NODE,
    *catalog.SERVICES,
    *catalog.LATER,
    *catalog.MAINTENANCE,
    catalog.WRK,
)
REQUIRED = re.compile(r"^(?:require\s+)?([^\s()]+) (v\S+)(?: // indirect)?$")
REPLACED = re.compile(r"^(?:replace\s+)?(\S+)(?: v\S+)? => (\S+) (v\S+)$")


def required_modules(go_mod: str) -> dict[str, tuple[str, str]]:
    """Return, by the name of each required module in a go.mod, the module and version in use: itself or its replacement."""
    lines = [line.strip() for line in go_mod.splitlines()]
    required = {match[1]: (match[1], match[2]) for line in lines if (match := REQUIRED.match(line))}
    replaced = {match[1]: (match[2], match[3]) for line in lines if (match := REPLACED.match(line))}
    return {name: replaced.get(name, module) for name, module in required.items()}


def _component(kind: ComponentType, url: PackageURL, *, scope: ComponentScope = ComponentScope.REQUIRED) -> Component:
    return Component(
        type=kind,
        name="/".join(part for part in (url.namespace, url.name) if part),
        version=url.version,
        purl=url,
        bom_ref=url.to_string(),
        scope=scope,
    )


def python_packages() -> dict[str, Component]:
    """Return every locked Python package by name; packages only for tests and builds have the scope `excluded`."""
    needed = COMMAND.packages() | LOCAL.packages()
    entries = {name: entry for lock in LOCKS for name, entry in lock.packages().items()}
    return {
        name: _component(
            ComponentType.LIBRARY,
            PackageURL("pypi", None, name, entry.get_pinned_version),
            scope=ComponentScope.REQUIRED if name in needed else ComponentScope.EXCLUDED,
        )
        for name, entry in entries.items()
    }


def _go_url(module: str, release: str) -> PackageURL:
    namespace, _, name = module.rpartition("/")
    return PackageURL("golang", namespace or None, name, release)


def _tool(tool: Tool, python: dict[str, Component]) -> tuple[Component, list[Component]]:
    """Return a tool, and the parts of all its sources."""
    scope = ComponentScope.EXCLUDED if tool in (*catalog.MAINTENANCE, catalog.WRK) else ComponentScope.REQUIRED
    release = None if tool.version == "debian" else tool.version
    component = _component(ComponentType.APPLICATION, PackageURL("generic", None, tool.name, release), scope=scope)
    parts: list[Component] = []
    for source in tool.sources:
        if isinstance(source, GoModule):
            modules = required_modules((source.directory / "go.mod").read_text()).values()
            urls = sorted({_go_url(*module) for module in modules}, key=str)
            parts += [_component(ComponentType.LIBRARY, url, scope=scope) for url in urls]
        elif isinstance(source, DebianPackages):  # the version depends on the machine's package lists
            urls = [PackageURL("deb", "debian", name) for name in source.packages]
            parts += [_component(ComponentType.APPLICATION, url, scope=scope) for url in urls]
        elif isinstance(source, PythonPackage):
            parts.append(python[source.package])
        elif isinstance(source, Release) and (checksum := pinned_checksums().get(source.url)):
            component.properties.add(Property(name=f"sha256 of {source.url}", value=checksum))
    return component, parts


def images() -> Iterator[Component]:
    """Yield the images, each with its digest where one is pinned."""
    for image in IMAGES:
        reference = Reference.parsed(image)
        repository = image.rsplit(":", 1)[0]
        digest = DIGESTS.get(image)
        url = PackageURL(
            "oci",
            None,
            reference.repository.rsplit("/", 1)[-1],
            digest,
            {"repository_url": repository, "tag": reference.tag},
        )
        component = _component(ComponentType.CONTAINER, url)
        component.version = reference.tag
        if digest:
            component.hashes.add(HashType(alg=HashAlgorithm.SHA_256, content=digest.removeprefix("sha256:")))
        yield component


def plugins() -> Iterator[Component]:
    """Yield the engine's plugins with the pinned checksums of their archives."""
    for name in PLUGINS:
        release = version(f"pulumi-{name}")
        url = PackageURL("github", "pulumi", f"pulumi-{name}", f"v{release}")
        component = _component(ComponentType.APPLICATION, url)
        component.properties = (
            Property(name=f"sha256 of the archive for {platform}", value=checksum)
            for platform in PLATFORMS
            if (checksum := pinned_checksums().get(plugin_url(name, platform)))
        )
        yield component


def front_end() -> Iterator[Component]:
    """Yield the npm packages whose files the page has, and those that check the page in tests."""
    for place, scope in ((vendored.TESTS, ComponentScope.EXCLUDED), (vendored.PAGE, ComponentScope.REQUIRED)):
        for package in place.packages():
            namespace, _, name = package.name.rpartition("/")
            url = PackageURL("npm", namespace or None, name, package.version)
            yield _component(ComponentType.LIBRARY, url, scope=scope)


def _commit() -> str | None:
    result = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return result.stdout.strip() or None


def bill() -> Bom:
    """Return the bill of materials of this tree."""
    root = Component(type=ComponentType.APPLICATION, name="opstrace", version=_commit(), bom_ref="opstrace")
    bom = Bom()
    bom.metadata.component = root
    python = python_packages()
    tools = [_tool(tool, python) for tool in TOOLS]
    direct = [*python.values(), *(tool for tool, _ in tools), *images(), *plugins(), *front_end()]
    by_url: dict[str, Component] = {}

    def listed(parts: Iterable[Component]) -> list[Component]:
        """Return the bill's only component for each part; a component with a required part is required."""
        unique = [by_url.setdefault(str(part.purl), part) for part in parts]
        for part, component in zip(parts, unique, strict=True):
            if part.scope == ComponentScope.REQUIRED:
                component.scope = ComponentScope.REQUIRED
        return unique

    dependencies = [(root, listed(direct)), *((tool, listed(parts)) for tool, parts in tools)]
    bom.components = by_url.values()
    for component, parts in dependencies:
        bom.register_dependency(component, parts)
    return bom


def as_json() -> str:
    """Return the bill of materials as JSON; raises `ValueError` where it does not match CycloneDX's schema."""
    text = JsonV1Dot6(bill()).output_as_string(indent=2)
    if problem := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise ValueError(f"the bill of materials does not match the schema of CycloneDX 1.6: {problem.data.message}")
    return text


def main() -> None:
    """Write the bill of materials to a file."""
    options = argparse.ArgumentParser(prog="python -P -m supplychain.sbom", description=__doc__)
    options.add_argument("--out", type=Path, default=FILE, help="The file to write.")
    out = options.parse_args().out
    out.write_text(as_json() + "\n")
    print(f"{out} is written", file=sys.stderr)


if __name__ == "__main__":
    main()
