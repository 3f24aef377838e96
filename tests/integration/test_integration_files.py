"""The files of integrations, checked by the programs that read them: promtool, and the OpenTelemetry Collector."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from scripts.integrations.catalog import FORMATS
from tests.support.integration_files import full, plain
from tests.support.shell import run

VARIANTS = {"plain": plain, "full": full}


def written(name: str, variant: str, folder: Path) -> Path:
    """Write a format's file in a folder that stands for the client's, with the files that it names."""
    integration = VARIANTS[variant](FORMATS[name])
    file = folder / FORMATS[name].file
    file.write_text(FORMATS[name].content(integration).replace(integration.folder, str(folder)))
    for path in (*(one.token_path for one in integration.destinations), integration.ca_path):
        if path:
            (folder / Path(path).name).write_text("")
    return file


@pytest.mark.parametrize("variant", VARIANTS)
def test_promtool_accepts_the_configuration_of_prometheus(tmp_path: Path, variant: str) -> None:
    file = written("prometheus", variant, tmp_path)
    promtool = str(ensure(catalog.PROMETHEUS) / "promtool")
    done = run(promtool, "check", "config", str(file), check=False)
    assert done.returncode == 0, done.stderr
    file.write_text(file.read_text().replace("credentials_file", "credential_file"))
    assert run(promtool, "check", "config", str(file), check=False).returncode == 1


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", ["otel", "helm"])
def test_the_collector_accepts_its_configuration(tmp_path: Path, name: str, variant: str) -> None:
    file = written(name, variant, tmp_path)
    config: Any = YAML(typ="safe").load(file.read_text())
    file.write_text(json.dumps(config.get("alternateConfig", config)))
    environment = os.environ | {"MY_POD_IP": "127.0.0.1"}
    program = str(ensure(catalog.OTELCOL) / "otelcol")
    done = run(program, "validate", f"--config={file}", check=False, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    file.write_text(file.read_text().replace("max_elapsed_time", "max_elapsed_times"))
    assert run(program, "validate", f"--config={file}", check=False, env=environment).returncode != 0
