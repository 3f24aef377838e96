"""The files of all formats: as the golden files have them, without tokens, and with what each option stands for."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from scripts.integrations.catalog import FORMATS
from scripts.integrations.formats.text import id_in, yaml_text
from tests.support.integration_files import DOMAIN, GOLDEN, ID, contents, full, golden_file, plain

CONTENTS = contents()
YAML_FORMATS = [name for name, one in FORMATS.items() if one.file.endswith((".yaml", ".yml"))]


def documents(text: str) -> list[Any]:
    """Return the documents of a file in YAML 1.1, which most programs read."""
    yaml = YAML(typ="safe")
    yaml.version = (1, 1)
    return list(yaml.load_all(text))


def loaded(text: str) -> Any:
    """Return the content of a file with one document."""
    (document,) = documents(text)
    return document


def manifests(variant: str) -> dict[str, Any]:
    """Return the manifests of the format `kubernetes` by their kinds."""
    return {one["kind"]: one for one in documents(CONTENTS[f"kubernetes.{variant}"])}


def collector_configurations() -> Iterator[Any]:
    """Yield the configuration of the Collector in each format and variant that has one."""
    for variant in ("plain", "full"):
        yield loaded(CONTENTS[f"otel.{variant}"])
        yield loaded(CONTENTS[f"helm.{variant}"])["alternateConfig"]
        yield loaded(manifests(variant)["ConfigMap"]["data"]["config.yaml"])


@pytest.mark.parametrize("name", CONTENTS)
def test_a_file_is_as_its_golden_file(name: str) -> None:
    assert CONTENTS[name] == golden_file(name).read_text(), "if it is meant: python -m tests.support.integration_files"


def test_there_is_no_other_golden_file() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {golden_file(name).name for name in CONTENTS}


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_tells_its_id_its_maker_and_whether_we_run_it(name: str) -> None:
    text = CONTENTS[f"{name}.plain"]
    assert id_in(text) == ID
    header = [line for line in text.splitlines() if line.startswith((f"{FORMATS[name].comment} ", "#!"))]
    assert any("./opstrace integrations write aws showdown payments" in line for line in header)
    assert any("Token: " in line for line in header)
    assert ("not run by us" in text) == (not FORMATS[name].tested)
    assert (FORMATS[name].documentation in text) == (not FORMATS[name].tested)


def test_a_file_of_another_program_has_no_id() -> None:
    assert id_in("") is None and id_in("global: {}\n# integration ID: of-somebody-else\n") is None


@pytest.mark.parametrize("name", FORMATS)
def test_every_option_that_a_format_takes_is_in_its_file(name: str) -> None:
    chosen, text = FORMATS[name], CONTENTS[f"{name}.full"]
    given = full(chosen)
    expected = [ID] if chosen.writes else []
    expected += [one.rpartition("/")[2] for one in (given.ca_path, given.main.token_path) if one]
    expected += [given.proxy] if given.proxy else []
    expected += [target for targets in given.scrape.values() for target in targets]
    expected += [*given.log_files, *given.namespaces]
    expected += [f"{api}.{one.tenant}.{DOMAIN}" for one in given.destinations for api in apis(name)]
    body = text.partition("Token: ")[2]
    if FORMATS[name].in_kubernetes:
        assert given.ca_path is not None and given.ca_path in body
    assert [value for value in expected if value not in body] == []


def apis(name: str) -> list[str]:
    """Return the APIs whose hosts a format's file has."""
    return [{"metrics": "cortex", "logs": "loki"}[kind] for kind in FORMATS[name].kinds]


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_without_options_has_none_of_them_in_its_file(name: str) -> None:
    text = CONTENTS[f"{name}.plain"].partition("Token: ")[2]
    assert plain(FORMATS[name]).ca_path is None
    assert not re.search(r"proxy_url|--proxy|ca_file|ca\.pem|cacert|routing/", text)


@pytest.mark.parametrize("name", YAML_FORMATS)
def test_a_yaml_file_is_read_without_aliases(name: str) -> None:
    for variant in ("plain", "full"):
        text = CONTENTS[f"{name}.{variant}"]
        assert all(isinstance(one, dict) for one in documents(text)) and "&id" not in text


@pytest.mark.parametrize(
    "word", ["y", "Yes", "on", "n", "NO", "off", "true", "null", "~", "", "12345678", "0b101010", "1e5", "2026-11-30"]
)
def test_words_are_texts_in_every_version_of_yaml(word: str) -> None:
    text = yaml_text({word: [word]})
    assert loaded(text) == YAML(typ="safe").load(text) == {word: [word]}


def test_a_namespace_and_a_secret_may_have_names_that_are_booleans_in_yaml_1_1() -> None:
    chosen = replace(plain(FORMATS["kubernetes"]), namespace="on", secret="yes")
    found = {one["kind"]: one for one in documents(FORMATS["kubernetes"].contents(chosen)["collector.yaml"])}
    volumes = found["DaemonSet"]["spec"]["template"]["spec"]["volumes"]
    (secret,) = [one["secret"]["secretName"] for one in volumes if one["name"] == "tokens"]
    assert (found["Namespace"]["metadata"]["name"], secret) == ("on", "yes")


def test_labels_of_blocks_are_identifiers_of_alloy_whatever_the_names_of_jobs() -> None:
    chosen = replace(plain(FORMATS["alloy"]), scrape={"my-app": ["10.0.0.1:80"], "my_app": ["10.0.0.2:80"]})
    text = FORMATS["alloy"].contents(chosen)["config.alloy"]
    blocks = re.findall(r'^([a-z._]+) "(.*)" \{$', text, re.M)
    assert blocks and all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", label) for _, label in blocks)
    assert len({*blocks}) == len(blocks)
    for job, target in {"my-app": "10.0.0.1:80", "my_app": "10.0.0.2:80"}.items():
        assert f'{{"__address__" = "{target}", "job" = "{job}"}}' in text


def test_each_tenant_of_a_collector_has_its_own_token_and_pipelines() -> None:
    config = loaded(CONTENTS["otel.full"])
    for tenant in ("payments", "checkout"):
        extension = f"bearertokenauth/{tenant}"
        assert config["extensions"][extension] == {"filename": f"/srv/otel/{tenant}.jwt"}
        for kind, api in (("metrics", "cortex"), ("logs", "loki")):
            exporter = config["exporters"][f"otlp_http/{kind}-{tenant}"]
            assert exporter["auth"] == {"authenticator": extension}
            assert exporter["endpoint"].startswith(f"https://{api}.{tenant}.{DOMAIN}/")
            assert config["service"]["pipelines"][f"{kind}/{tenant}"] == {
                "receivers": [f"routing/{kind}"],
                "exporters": [f"otlp_http/{kind}-{tenant}"],
            }


@pytest.mark.parametrize("kind", ["metrics", "logs"])
def test_namespaces_go_to_their_tenants_and_all_else_to_the_first(kind: str) -> None:
    router = loaded(CONTENTS["otel.full"])["connectors"][f"routing/{kind}"]
    routes = {row["condition"]: row["pipelines"] for row in router["table"]}
    assert routes == {
        'attributes["k8s.namespace.name"] == "team-a"': [f"{kind}/payments"],
        'attributes["k8s.namespace.name"] == "team-b"': [f"{kind}/checkout"],
        'attributes["k8s.namespace.name"] == "team-c"': [f"{kind}/checkout"],
    }
    assert router["default_pipelines"] == [f"{kind}/payments"]


def test_all_pipelines_of_a_collector_name_components_that_it_has() -> None:
    for config in collector_configurations():
        connectors = {*config.get("connectors", {})}
        for pipeline in config["service"]["pipelines"].values():
            assert {*pipeline["receivers"]} <= {*config["receivers"]} | connectors
            assert {*pipeline.get("processors", [])} <= {*config["processors"]}
            assert {*pipeline["exporters"]} <= {*config["exporters"]} | connectors
        assert config["service"]["extensions"] == [*config["extensions"]]


def test_no_collector_gives_up_or_drops_what_waits() -> None:
    for config in collector_configurations():
        for name, exporter in config["exporters"].items():
            assert exporter["retry_on_failure"]["max_elapsed_time"] == "0s"
            queue = exporter["sending_queue"]
            assert (queue["storage"], queue["block_on_overflow"]) == ("file_storage", "/logs-" in name)
        for name, receiver in config["receivers"].items():
            assert name != "file_log" or receiver["retry_on_failure"]["max_elapsed_time"] == "0s"


def test_series_of_the_cluster_go_to_tenants_by_their_label_and_lines_by_the_path_of_their_file() -> None:
    connectors = loaded(manifests("full")["ConfigMap"]["data"]["config.yaml"])["connectors"]
    rows = {name: [(row["context"], row["condition"]) for row in one["table"]] for name, one in connectors.items()}
    team_a = {name: conditions[0] for name, conditions in rows.items()}
    assert team_a == {
        "routing/metrics": ("datapoint", 'attributes["namespace"] == "team-a"'),
        "routing/logs": ("resource", 'attributes["k8s.namespace.name"] == "team-a"'),
    }


def test_the_manifests_have_no_secret_no_crd_and_rights_to_read_alone() -> None:
    found = manifests("full")
    assert [*found] == ["Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "ConfigMap", "DaemonSet"]
    verbs = {verb for rule in found["ClusterRole"]["rules"] for verb in rule["verbs"]}
    assert verbs == {"get", "list", "watch"}
    assert {one["metadata"].get("namespace", "shop-telemetry") for one in found.values()} == {"shop-telemetry"}
    assert found["ClusterRoleBinding"]["subjects"][0]["name"] == found["ServiceAccount"]["metadata"]["name"]
    kustomization = loaded(CONTENTS["kubernetes.full.kustomization.yaml"])
    assert kustomization["resources"] == [FORMATS["kubernetes"].file]


def test_the_pods_read_the_tokens_of_the_secret_and_keep_their_queue_on_the_node() -> None:
    pod = manifests("full")["DaemonSet"]["spec"]["template"]["spec"]
    volumes = {one["name"]: one for one in pod["volumes"]}
    secret = volumes["tokens"]["secret"]
    assert (secret["secretName"], secret["defaultMode"]) == ("opstrace-token", 0o400)
    assert [one["key"] for one in secret["items"]] == ["payments.jwt", "checkout.jwt", "ca.pem"]
    assert volumes["queue"]["hostPath"]["path"].endswith("/shop-telemetry/node-collector")
    (container,) = pod["containers"]
    mounts = {one["name"]: one for one in container["volumeMounts"]}
    assert "subPath" not in mounts["tokens"]
    assert mounts["queue"]["mountPath"] == "/var/lib/otelcol" and mounts["logs"]["readOnly"]


def test_another_configuration_replaces_the_pods() -> None:
    hashes = {
        manifests(variant)["DaemonSet"]["spec"]["template"]["metadata"]["annotations"]["opstrace/config"]
        for variant in ("plain", "full")
    }
    assert len(hashes) == 2


def test_the_script_of_curl_sends_a_sample_and_a_line_and_shows_no_token(tmp_path: Path) -> None:
    (tmp_path / "payments.jwt").write_text("the-token")
    record = tmp_path / "record"
    curl = tmp_path / "curl"
    curl.write_text(f'#!/bin/sh\n{{ printf "%s\\n" "$@"; printf "stdin:"; cat; echo; }} >> {record}\n')
    curl.chmod(0o755)
    script = tmp_path / "send.sh"
    script.write_text(CONTENTS["curl.full"].replace("/srv/curl", str(tmp_path)))
    shell = shutil.which("sh")
    assert shell
    subprocess.run([shell, str(script)], check=True, env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    said = record.read_text()
    assert said.count("stdin:Authorization: Bearer the-token\n") == 2 == said.count("the-token")
    assert len(re.findall(r'"timeUnixNano": "\d{19}"', said)) == 1
    assert len(re.findall(r'"values": \[\["\d{19}", "sent by curl"\]\]', said)) == 1
