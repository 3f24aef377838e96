"""The OpenTelemetry Collector that is built: its version, and the components that configurations may name."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from localcloud.toolchain import catalog
from localcloud.toolchain.sources import GoModule
from localcloud.toolchain.store import ensure
from tests.support.shell import run

# With the older names of those that were renamed.
COMPONENTS = {
    "receivers": {"file_log", "filelog", "k8s_cluster", "kubeletstats", "otlp", "prometheus"},
    "processors": {"k8s_attributes", "k8sattributes", "resource", "transform"},
    "exporters": {"debug", "otlp_http", "otlphttp", "prometheusremotewrite"},
    "connectors": {"routing"},
    "extensions": {"bearertokenauth", "file_storage", "health_check"},
}


@pytest.fixture(scope="module")
def program() -> str:
    return str(ensure(catalog.OTELCOL) / "otelcol")


def validated(program: str, folder: Path, **changed: Any) -> subprocess.CompletedProcess[str]:
    """Let the Collector check a configuration that differs from a usual one."""
    usual = {
        "receivers": {"otlp": {"protocols": {"http": {}}}},
        "exporters": {"debug": {}},
        "service": {"pipelines": {"metrics": {"receivers": ["otlp"], "exporters": ["debug"]}}},
    }
    (folder / "otelcol.yaml").write_text(json.dumps(usual | changed))
    return run(program, "validate", f"--config={folder}/otelcol.yaml", check=False)


def test_the_collector_names_its_version_which_is_that_of_its_components(program: str) -> None:
    version = catalog.OTELCOL.version
    assert run(program, "--version").stdout.strip() == f"otelcol version {version}"
    (source,) = catalog.OTELCOL.sources
    assert isinstance(source, GoModule)
    required = (source.directory / "go.mod").read_text().partition("require (")[2].partition(")")[0]
    contributed = re.findall(r"opentelemetry-collector-contrib/\S+ (v\S+)", required)
    assert len(contributed) == 12 and {*contributed} == {f"v{version}"}


def test_a_configuration_that_is_valid_passes(program: str, tmp_path: Path) -> None:
    done = validated(program, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("kind", COMPONENTS)
def test_the_collector_has_the_components_that_are_meant_to_be_in_it(program: str, tmp_path: Path, kind: str) -> None:
    """It names them where a configuration has another one."""
    done = validated(program, tmp_path, **{kind: {"another": {}}})
    (names,) = re.findall(rf"'{kind}' unknown type: \"another\" .*valid values: \[(.*)\]", done.stderr)
    assert {*names.split()} == COMPONENTS[kind]


@pytest.mark.parametrize(
    ("discovery", "has_it"),
    [
        ({"kubernetes_sd_configs": [{"role": "pod", "api_server": "https://127.0.0.1"}]}, True),
        ({"dns_sd_configs": [{"names": ["app.localhost"], "type": "A", "port": 80}]}, True),
        ({"ec2_sd_configs": [{"region": "us-west-2"}]}, False),  # each cloud would bring its SDK
    ],
)
def test_targets_are_discovered_in_kubernetes_and_dns_alone(
    program: str, tmp_path: Path, discovery: dict[str, Any], has_it: bool
) -> None:
    scrape = {"prometheus": {"config": {"scrape_configs": [{"job_name": "app", **discovery}]}}}
    pipelines = {"metrics": {"receivers": ["prometheus"], "exporters": ["debug"]}}
    done = validated(program, tmp_path, receivers=scrape, service={"pipelines": pipelines})
    assert (done.returncode == 0) == has_it, done.stderr
    assert has_it or "ec2_sd_configs" in done.stderr
