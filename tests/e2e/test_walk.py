"""The walk of a new user: the tests run in order, on one instance; real curl, Prometheus, Cortex, Loki and Envoy."""

import itertools
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import dns.resolver
import jwt
import pytest
from ruamel.yaml import YAML

from components.gateway import REPLICAS
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from tests.e2e.walk import DNS_PORT, DOMAIN, INSTANCE, LABELS, STACK_FILE, Walk, held, is_unknown, url
from tests.ports import free_port
from tests.shell import run
from tests.waiting import eventually


def test_without_a_token_nobody_comes_in(walk: Walk) -> None:
    assert walk.curl(url("cortex", "default", LABELS)) == (401, "Authorization header missing or invalid")


def test_the_tenant_s_token_opens_metrics_and_logs(walk: Walk) -> None:
    assert walk.curl(url("cortex", "default", LABELS), token=walk.token("default"))[0] == 200
    assert walk.curl(url("loki", "default", "/loki/api/v1/labels"), token=walk.token("default"))[0] == 200


def test_a_request_is_in_the_gateway_s_log_with_the_token_s_id_alone(walk: Walk) -> None:
    token = walk.token("default")
    token_id = jwt.decode(token, options={"verify_signature": False})["jti"]
    assert walk.curl(url("cortex", "default", f"{LABELS}?token={token}"), token=token)[0] == 200

    def has_it() -> bool:
        found = [line for line in walk.requests_logged() if line["token_id"] == token_id and line["path"] == LABELS]
        return any(line["tenant"] == "default" and line["status"] == 200 for line in found)

    eventually(has_it)
    assert token.split(".")[2] not in walk.gateway_log()


def test_token_files_are_their_owner_s_alone(walk: Walk) -> None:
    for tenant in ("default", "system"):
        assert (walk.folder / f"tenant-api-token-{tenant}").stat().st_mode & 0o777 == 0o600


def test_a_second_create_is_refused(walk: Walk) -> None:
    done = walk.opstrace("create", "local", INSTANCE, "--tenant", "default", check=False)
    assert done.returncode == 1 and "is there already" in done.stderr


def test_a_second_tenant_is_a_line_of_yaml_and_plain_pulumi_up(walk: Walk, trusted_pair: str) -> None:
    token = walk.opstrace("ta-create-token", INSTANCE, "newtenant", trusted_pair).stdout
    (walk.folder / "tenant-api-token-newtenant").write_text(token)
    assert len(walk.opstrace("ta-pubkeys-list", "local", INSTANCE).stdout.split()) == 2
    yaml = YAML()
    content = yaml.load(STACK_FILE.read_text())
    content["config"]["opstrace:tenants"].append({"name": "newtenant"})
    with STACK_FILE.open("w") as file:
        yaml.dump(content, file)
    with held(walk, "default") as answers:
        # As a person does: `create` has selected the stack.
        run("pulumi", "--non-interactive", "up", "--yes", "--skip-preview", env=walk.shell)
        eventually(lambda: walk.curl(url("cortex", "newtenant", LABELS), token=token)[0] == 200)
    assert {*answers} == {200}
    eventually(lambda: walk.curl(url("loki", "newtenant", "/loki/api/v1/labels"), token=token)[0] == 200)


def test_tenants_are_apart(walk: Walk) -> None:
    status, body = walk.curl(url("cortex", "newtenant", LABELS), token=walk.token("default"))
    assert (status, body) == (401, "bad authentication token: unexpected tenant: default")
    assert walk.curl(url("cortex", "nosuch", LABELS), "-k", token=walk.token("default"))[0] == 401
    assert walk.curl(url("cortex", "default", "/config"), token=walk.token("default"))[0] == 404
    assert walk.curl(url("loki", "default", "/metrics"), token=walk.token("default"))[0] == 404


def test_a_tenant_that_does_not_exist_is_404_even_with_a_good_token(walk: Walk, trusted_pair: str) -> None:
    token = walk.opstrace("ta-create-token", INSTANCE, "nosuch", trusted_pair).stdout
    assert walk.curl(url("cortex", "nosuch", LABELS), "-k", token=token) == (404, "no such tenant")


def test_names_are_answered_from_the_hosted_zone(walk: Walk) -> None:
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], DNS_PORT
    for api in ("cortex", "loki"):
        answer = resolver.resolve(f"{api}.newtenant.{DOMAIN}", "A")
        assert answer[0].to_text() == "127.0.0.1"
        assert "elb" in answer.response.to_text()
    assert resolver.resolve(DOMAIN, "A")[0].to_text() == "127.0.0.1"  # an alias, which has no CNAME to show


def test_a_websocket_with_a_token_follows_the_logs(walk: Walk) -> None:
    upgrade = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
    upgrade += ["Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", f"Authorization: Bearer {walk.token('default')}"]
    asked = url("loki", "default", "/loki/api/v1/tail?query=%7Bjob%3D%22followed%22%7D")
    headers = [part for line in upgrade for part in ("-H", line)]
    command = ["curl", "-s", "-N", "--http1.1", "--include", "-m", "30", "--cacert", walk.ca, *headers, asked]
    with tempfile.TemporaryFile() as said, subprocess.Popen(command, stdout=said) as following:

        def has_come(text: bytes) -> bool:
            said.seek(0)
            return text in said.read()

        eventually(lambda: has_come(b"101 Switching Protocols"), 20)
        assert walk.push_line("default", "a line that is followed", walk.token("default"), "followed")[0] == 204
        eventually(lambda: has_come(b"a line that is followed"), 20)
        following.kill()


def test_log_lines_come_back(walk: Walk) -> None:
    line = {"stream": {"job": "walk"}, "values": [[str(time.time_ns()), "hello from the walk"]]}
    push = ["-H", "Content-Type: application/json", "-H", "X-Scope-OrgID: default"]
    token = walk.token("newtenant")
    body = json.dumps({"streams": [line]})
    assert walk.curl(url("loki", "newtenant", "/loki/api/v1/push"), *push, "-d", body, token=token)[0] == 204
    query = url("loki", "newtenant", "/loki/api/v1/query_range?query=%7Bjob%3D%22walk%22%7D")
    eventually(lambda: "hello from the walk" in walk.curl(query, token=token)[1])
    elsewhere = url("loki", "default", "/loki/api/v1/query_range?query=%7Bjob%3D%22walk%22%7D")
    assert "hello" not in walk.curl(elsewhere, token=walk.token("default"))[1]


@pytest.fixture
def prometheus(walk: Walk) -> Iterator[int]:
    """A real Prometheus that scrapes itself and writes to the new tenant; yields its port."""
    port = free_port()
    config = {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": "self", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}],
        "remote_write": [
            {
                "url": url("cortex", "newtenant", "/api/v1/push"),
                "authorization": {"credentials_file": str(walk.folder / "tenant-api-token-newtenant")},
                "tls_config": {"ca_file": walk.ca},
            }
        ],
    }
    (walk.folder / "prometheus.yml").write_text(json.dumps(config))
    hosts = walk.folder / "hosts"
    hosts.write_text(f"127.0.0.1 localhost cortex.newtenant.{DOMAIN}\n")
    program = ensure(catalog.PROMETHEUS) / "prometheus"
    # The system's resolver does not know that names under localhost are this machine; curl does.
    script = f"mount --bind {hosts} /etc/hosts && exec {program} --config.file=prometheus.yml \
        --storage.tsdb.path=tsdb --web.listen-address=127.0.0.1:{port}"
    with (walk.folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(["unshare", "--mount", "sh", "-c", script], cwd=walk.folder, stderr=log, stdout=log)
    yield port
    process.terminate()
    process.wait(90)  # it sends what it has scraped


def test_a_real_prometheus_writes_and_the_samples_come_back(walk: Walk, prometheus: int) -> None:
    query = url("cortex", "newtenant", "/api/v1/query?query=up%7Bjob%3D%22self%22%7D")

    def found() -> bool:
        status, body = walk.curl(query, token=walk.token("newtenant"))
        return status == 200 and len(json.loads(body)["data"]["result"]) == 1

    eventually(found)
    other = url("cortex", "default", "/api/v1/query?query=up%7Bjob%3D%22self%22%7D")
    assert json.loads(walk.curl(other, token=walk.token("default"))[1])["data"]["result"] == []


def test_status_shows_the_tenants(walk: Walk) -> None:
    found = json.loads(walk.opstrace("status", "local", INSTANCE, "--json").stdout)
    assert set(found["tenants"]) == {"default", "newtenant", "system"}
    assert all(facts["gateway"] and facts["applied"] for facts in found["tenants"].values())
    has_all = {"keyIds": found["trustedKeyIds"], "current": True, "refused": False}
    assert [*found["gatewayPods"].values()] == [has_all] * REPLICAS
    assert walk.opstrace("list", "local").stdout.split() == [INSTANCE]


def test_the_stack_s_outputs_are_what_other_programs_need(walk: Walk) -> None:
    found = json.loads(walk.pulumi("stack", "output", "--json"))
    assert (found["instance"], found["domain"]) == (INSTANCE, DOMAIN) and found["nameServers"]
    assert (
        found["trustedKeyIds"]
        == json.loads(walk.opstrace("status", "local", INSTANCE, "--json").stdout)["trustedKeyIds"]
    )
    shown = found["tenants"]["newtenant"]
    assert shown["namespace"] == "newtenant-tenant" and sorted(shown["buckets"].values()) == sorted(
        walk.buckets("newtenant")
    )
    assert url("cortex", "newtenant", "") in shown.values()


def test_nothing_outside_a_tenant_depends_on_one(walk: Walk) -> None:
    resources = walk.resources()
    parents = {entry["urn"]: entry.get("parent") for entry in resources}

    def tenant_of(urn: str | None) -> str | None:
        while urn and "opstrace:tenant:Tenant::" not in urn:
            urn = parents.get(urn)
        return urn

    seen = set()
    for entry in resources:
        by_property = (entry.get("propertyDependencies") or {}).values()
        needs = [*entry.get("dependencies", []), *itertools.chain.from_iterable(by_property)]
        for needed in needs:
            owner = tenant_of(needed)
            seen.add(owner)
            assert owner is None or owner == tenant_of(entry["urn"]), (entry["urn"], needed)
    assert len(seen - {None}) == 3


def test_a_tenant_s_pods_stop_before_it_loses_its_buckets_and_the_right_to_write_to_them(walk: Walk) -> None:
    """What is deleted goes in the order of what depends on what; the right to write is not asked for by moto."""
    resources = {entry["urn"]: entry for entry in walk.resources()}

    def needed(urn: str) -> set[str]:
        entry = resources[urn]
        direct = {*entry.get("dependencies", []), *([entry["parent"]] if entry.get("parent") else [])}
        return direct.union(*map(needed, direct))

    mine = [entry for entry in resources.values() if entry["urn"].rsplit("::", 1)[-1].startswith("tenant-default-")]
    pods = [entry["urn"] for entry in mine if entry["type"] == "kubernetes:apps/v1:StatefulSet"]
    kinds = ("aws:iam/rolePolicy:RolePolicy", "aws:s3/bucket:Bucket")
    kept = {entry["urn"] for entry in mine if entry["type"] in kinds}
    assert (len(pods), len(kept)) == (2, 4)
    for urn in pods:
        assert kept <= needed(urn)


def test_no_token_and_no_private_key_is_in_the_state(walk: Walk) -> None:
    state = walk.pulumi("stack", "export") + STACK_FILE.read_text()
    assert "PRIVATE KEY" not in state
    for tenant in ("default", "newtenant", "system"):
        assert walk.token(tenant).rsplit(".", 1)[-1] not in state


def test_an_up_without_changes_changes_nothing(walk: Walk) -> None:
    done = run("pulumi", "--non-interactive", "preview", "--json", "--stack", INSTANCE, env=walk.shell).stdout
    assert set(json.loads(done[done.index("{") :])["changeSummary"]) == {"same"}


def test_the_engine_keeps_no_log_of_what_it_compares(walk: Walk) -> None:
    logs = Path(walk.shell["PULUMI_HOME"]) / "logs"
    assert logs.is_file() and len(logs.read_text().splitlines()) == 1


def test_a_tenant_alone_can_be_destroyed_and_the_others_never_miss_a_request(walk: Walk) -> None:
    urn = next(entry["urn"] for entry in walk.resources() if entry["urn"].endswith("Tenant::tenant-newtenant"))
    token = walk.token("newtenant")
    for _ in range(10):  # both of the gateway's pods know the tenant's address when it goes
        assert walk.curl(url("cortex", "newtenant", LABELS), token=token)[0] == 200
    with held(walk, "default") as answers:
        walk.pulumi("destroy", "--yes", "--skip-preview", "--target", urn, "--target-dependents")
        eventually(lambda: is_unknown(walk, "newtenant", token))
    assert len(answers) > 20 and {*answers} == {200}
    assert len(walk.buckets("newtenant")) == 3  # retained: that is the default
    assert not [entry for entry in walk.resources() if "tenant-newtenant" in entry["urn"]]
    assert "newtenant" not in walk.kubectl("get", "namespaces", "-o", "name")
    assert not [role for role in walk.aws("iam").list_roles()["Roles"] if "newtenant" in role["RoleName"]]
    zone, *_ = walk.aws("route53").list_hosted_zones()["HostedZones"]
    records = walk.aws("route53").list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"]
    assert len(records) > 4 and not [record for record in records if ".newtenant." in f".{record['Name']}"]
    status = walk.opstrace("status", "aws", INSTANCE).stdout  # the same verbs on the caller's own AWS environment
    assert "tenant newtenant: configured, but not applied" in status
    assert walk.curl(url("cortex", "default", LABELS), token=walk.token("default"))[0] == 200


def test_a_configuration_with_errors_is_refused_whole_by_plain_pulumi(walk: Walk) -> None:
    before = STACK_FILE.read_text()
    STACK_FILE.write_text(before.replace("name: newtenant", "nmae: NEW").replace("opstrace:aws:", "opstrace:awss:"))
    done = run("pulumi", "--non-interactive", "preview", "--stack", INSTANCE, env=walk.shell, check=False)
    STACK_FILE.write_text(before)
    said = done.stdout + done.stderr
    assert "did you mean 'name'" in said and "did you mean 'aws'" in said and "Traceback" not in said
