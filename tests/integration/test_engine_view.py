"""What commands read in a stack file is what the real engine hands to the program."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from components.config.data_api import DataApiConfig
from components.config.engine_values import engine_value, setting_name
from components.core.errors import ConfigError
from components.core.resource_names import PROJECT
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from scripts.stackfile.file import StackFile
from tests.support.shell import run

DEFAULTS = """\
config:
  tags: '{"from": "project"}'
  opstrace:domain: project.example
  opstrace:aws.parentZoneId: {value: Z1}
  opstrace:aws.region: {default: eu-west-1}
  allowed: {type: array, items: {type: string}, default: [a, b]}
  aws:region: us-east-1
"""
VALUES = """\
    plain: [1, -1, 0, 1.5, 1e3, .5, 1_000, 0x1F, 0o17, 0b11, +12, true, false, yes, no, on, ~, null]
    texts: ["1", '010', 1:20, 190:20:30, "", "a\\nb", !!str 12, =, "*x"]
    block: |
      two
      lines
"""
FILES = {
    "a YAML file": f"config:\n  opstrace:domain: example.com\n  opstrace:tags:\n{VALUES}",
    "JSON texts": """\
config:
  opstrace:domain: '12'
  opstrace:tenants: '[{"name": "default", "n": 1.0, "b": true}]'
  opstrace:tags: '{"a": "010"}'
  opstrace:other: not JSON
  opstrace:n: 12
  opstrace:f: 1.5
  opstrace:t: true
""",
    "names without a prefix": "config:\n  domain: 12\n  opstrace:config:tags: {a: b}\n  aws:region: x\n",
    "parts of what the project has": "config:\n  opstrace:aws: {region: us-west-2}\n  opstrace:tags: {a: b}\n",
    "nothing": "config: {}\n",
    "a name with a dot": "config:\n  opstrace:tags.a: b\n  opstrace:tenants[0].name: c\n",
    "aliases": "config:\n  opstrace:tags: &t {a: b, c: d}\n  opstrace:more: {<<: *t, a: e}\n  opstrace:all: [*t]\n",
    "what stands above": "# c\n%YAML 1.1\n---\nconfig:\n  opstrace:tags: {a: yes, b: 1:20}\n",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "stacks").mkdir()
    head = f"name: {PROJECT}\nruntime: python\nstackConfigDir: stacks\n"
    (folder / "Pulumi.yaml").write_text(head + DEFAULTS)
    run("pulumi", "stack", "init", "showdown", cwd=folder, env=environment(folder))
    return folder


def environment(folder: Path) -> dict[str, str]:
    return dict(os.environ) | {
        "PATH": f"{ensure(catalog.PULUMI)}:{os.environ['PATH']}",
        "PULUMI_HOME": str(folder / "home"),
        "PULUMI_BACKEND_URL": f"file://{folder}",
        "PULUMI_CONFIG_PASSPHRASE": "test",
    }


def by_engine(folder: Path, text: str) -> dict[str, Any]:
    """Write a stack file; return its settings as the engine hands them to the program."""
    path = folder / "stacks" / "Pulumi.showdown.yaml"
    salt = next(line for line in path.read_text().splitlines() if line.startswith("encryptionsalt:"))
    path.write_text(f"{text}{salt}\n")
    told = json.loads(run("pulumi", "config", "--json", cwd=folder, env=environment(folder)).stdout)
    names = {key: setting_name(key) for key in told}
    return {name: engine_value(name, told[key]["value"]) for key, name in names.items() if name}


@pytest.mark.parametrize("text", FILES.values(), ids=FILES.keys())
def test_commands_read_what_the_engine_hands_over(folder: Path, text: str) -> None:
    expected = by_engine(folder, text)
    assert StackFile("showdown", folder / "stacks").settings() == expected


TIMES = [
    "2099-01-01T00:00:00Z",
    "2099-01-01 10:20:30.5 +02:00",
    "2099-01-01t00:00:00-09:30",
    "2099-01-01 10:20:30",
    "2099-01-01",
    "'2099-01-01T00:00:00Z'",
]


def test_timestamps_without_quotes_are_the_same_instant(folder: Path) -> None:
    """The engine hands them over in Go's form."""
    revoked = "".join(f"      token-000{number}: {time}\n" for number, time in enumerate(TIMES))
    expected = by_engine(folder, f"config:\n  opstrace:dataApi:\n    publicKeys: {{}}\n    revokedTokens:\n{revoked}")
    given = StackFile("showdown", folder / "stacks").settings()
    read = [DataApiConfig.model_validate(each["dataApi"]).revoked_tokens for each in (given, expected)]
    assert read[0] == read[1] and len(read[0]) == len(TIMES)


def test_the_engine_reads_another_number_where_commands_refuse_one(folder: Path) -> None:
    assert by_engine(folder, "config:\n  opstrace:tags: {a: 010}\n")["tags"] == {"a": 8}
    with pytest.raises(ConfigError, match="the engine reads 8"):
        StackFile("showdown", folder / "stacks")
