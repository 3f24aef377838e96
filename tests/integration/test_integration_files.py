"""The files of integrations, checked by the programs that read them: promtool, and the OpenTelemetry Collector."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from components.collectors.log_files import SYNCHRONOUS
from components.collectors.settings import QUEUE_FOLDER, SERVICE_ACCOUNT_FOLDER
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from tests.support.cluster_collector import VARIABLES
from tests.support.integration_files import VARIANTS, written
from tests.support.shell import run


@pytest.mark.parametrize("variant", VARIANTS)
def test_promtool_accepts_the_configuration_of_prometheus(tmp_path: Path, variant: str) -> None:
    file = written("prometheus", variant, tmp_path)
    promtool = str(ensure(catalog.PROMETHEUS) / "promtool")
    done = run(promtool, "check", "config", str(file), check=False)
    assert done.returncode == 0, done.stderr
    file.write_text(file.read_text().replace("credentials_file", "credential_file"))
    assert run(promtool, "check", "config", str(file), check=False).returncode == 1


def configuration(file: Path) -> Any:
    """Return the Collector's configuration in a file: the whole file, a value of the chart, or in a ConfigMap."""
    (*manifests, last) = YAML(typ="safe").load_all(file.read_text())
    for one in manifests:
        if one["kind"] == "ConfigMap":
            return YAML(typ="safe").load(one["data"]["config.yaml"])
    return last.get("alternateConfig", last)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", ["otel", "helm", "kubernetes"])
def test_the_collector_accepts_its_configuration(tmp_path: Path, name: str, variant: str) -> None:
    file = written(name, variant, tmp_path)
    text = json.dumps(configuration(file))
    for folder in (QUEUE_FOLDER, SERVICE_ACCOUNT_FOLDER):
        text = text.replace(folder, str(tmp_path))
    file.write_text(text)
    (tmp_path / "token").touch()  # of the service account
    environment = os.environ | {"MY_POD_IP": "127.0.0.1"} | VARIABLES
    program = str(ensure(catalog.OTELCOL) / "otelcol")
    words = [program, "validate", f"--config={file}", f"--feature-gates={SYNCHRONOUS}"]
    done = run(*words, check=False, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    file.write_text(file.read_text().replace("max_elapsed_time", "max_elapsed_times"))
    assert run(*words, check=False, env=environment).returncode != 0
