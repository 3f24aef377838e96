"""The steps of a new user, in order, on one instance: real curl, Prometheus, Cortex, Loki and Envoy."""

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

from components.core.resource_names import (
    BUCKET_TYPE,
    ROLE_POLICY_TYPE,
    STATEFUL_SET_TYPE,
    TENANT_TYPE,
    logical_name,
    type_token,
)
from components.gateway.gateway import REPLICAS
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from scripts.tokens.key_files import write_secret
from tests.support.polling import eventually
from tests.support.ports import free_port
from tests.support.user_session import (
    CREATE,
    DESTROY,
    DNS_PORT,
    DOMAIN,
    INSTANCE,
    LABELS,
    PORT,
    UserSession,
    blocks,
    commands,
    is_unknown,
    steady_requests,
    unseen,
    url,
)

FIRST, SECOND = "tutorials/first-instance.md", "tutorials/first-tenant.md"


def test_the_commands_of_the_first_tutorial_do_what_it_says(walk: UserSession) -> None:
    create, *others, destroy = (block.replace("showdown", INSTANCE) for block in commands(FIRST))
    assert create == f"./opstrace {' '.join(CREATE)}\n"
    assert destroy == f"./opstrace {' '.join(DESTROY)}\n./opstrace local down\n"
    assert len(others) == 4
    _, output = walk.follow(["exec 2>&1\n", *others], walk.folder / "tenant-api-token-default")
    assert unseen(FIRST, "", walk.created + output) == []
    assert '{"status":"success","data":[' in output


def test_requests_without_a_token_are_refused(walk: UserSession) -> None:
    assert walk.curl(url("cortex", "default", LABELS)) == (401, "Authorization header missing or invalid")


def test_the_tenant_s_token_opens_metrics_and_logs(walk: UserSession) -> None:
    assert walk.curl(url("cortex", "default", LABELS), token=walk.token("default"))[0] == 200
    assert walk.curl(url("loki", "default", "/loki/api/v1/labels"), token=walk.token("default"))[0] == 200


def test_a_request_is_in_the_gateway_s_log_with_the_token_s_id_alone(walk: UserSession) -> None:
    token = walk.token("default")
    token_id = jwt.decode(token, options={"verify_signature": False})["jti"]
    assert walk.curl(url("cortex", "default", f"{LABELS}?token={token}"), token=token)[0] == 200

    def has_it() -> bool:
        lines = [line for line in walk.requests_logged() if line["token_id"] == token_id and line["path"] == LABELS]
        return any(line["tenant"] == "default" and line["status"] == 200 for line in lines)

    eventually(has_it)
    assert token.split(".")[2] not in walk.gateway_log()


def test_token_files_are_their_owner_s_alone(walk: UserSession) -> None:
    for tenant in ("default", "system"):
        assert (walk.folder / f"tenant-api-token-{tenant}").stat().st_mode & 0o777 == 0o600


def test_a_second_create_is_refused(walk: UserSession) -> None:
    done = walk.opstrace("create", "local", INSTANCE, "--tenant", "default", check=False)
    assert done.returncode == 1 and "exists already" in done.stderr


def test_create_waits_for_targets_that_the_load_balancer_registers(walk: UserSession) -> None:
    balancers = walk.aws("elbv2")
    arn = balancers.describe_target_groups()["TargetGroups"][0]["TargetGroupArn"]
    (target,) = balancers.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    nodes = {"TargetGroupArn": arn, "Targets": [{"Id": target["Target"]["Id"]}]}
    labels, before = url("cortex", "default", LABELS), walk.stack_path.read_text()
    balancers.deregister_targets(**nodes)
    eventually(lambda: walk.curl(labels)[0] == 0, detail=lambda: "the load balancer has its target still")
    command = [walk.project.launcher, "create", "local", INSTANCE]
    with subprocess.Popen(command, cwd=walk.folder, env=walk.shell, stderr=subprocess.PIPE, text=True) as waiting:
        assert waiting.stderr
        lines = []
        for line in waiting.stderr:
            lines.append(line)
            if "missing: the load balancer has no targets" in line:
                balancers.register_targets(**nodes)
    assert waiting.returncode == 0, lines
    assert [line for line in lines if "missing: targets of the load balancer: 0 of 1 healthy; 1 initial" in line]
    assert walk.curl(labels, token=walk.token("default"))[0] == 200 and walk.stack_path.read_text() == before


def test_a_second_tenant_is_a_line_of_yaml_and_plain_pulumi_up(walk: UserSession, trusted_pair: str) -> None:
    token = walk.opstrace("ta-create-token", INSTANCE, "newtenant", trusted_pair).stdout
    (walk.folder / "tenant-api-token-newtenant").write_text(token)
    assert len(walk.opstrace("ta-pubkeys-list", "local", INSTANCE).stdout.split()) == 2
    yaml = YAML()
    content = yaml.load(walk.stack_path.read_text())
    content["config"]["opstrace:tenants"].append({"name": "newtenant"})
    with walk.stack_path.open("w") as file:
        yaml.dump(content, file)
    with steady_requests(walk, "default") as answers:
        # Without --stack, like a person: `create` has selected the stack.
        walk.in_project("pulumi", "--non-interactive", "up", "--yes", "--skip-preview")
        eventually(lambda: walk.curl(url("cortex", "newtenant", LABELS), token=token)[0] == 200)
    assert {*answers} == {200}
    eventually(lambda: walk.curl(url("loki", "newtenant", "/loki/api/v1/labels"), token=token)[0] == 200)


def test_tenants_are_apart(walk: UserSession) -> None:
    status, body = walk.curl(url("cortex", "newtenant", LABELS), token=walk.token("default"))
    assert (status, body) == (401, "bad authentication token: unexpected tenant: default")
    assert walk.curl(url("cortex", "nosuch", LABELS), "-k", token=walk.token("default"))[0] == 401
    assert walk.curl(url("cortex", "default", "/config"), token=walk.token("default"))[0] == 404
    assert walk.curl(url("loki", "default", "/metrics"), token=walk.token("default"))[0] == 404


def test_a_tenant_that_does_not_exist_is_404_even_with_a_good_token(walk: UserSession, trusted_pair: str) -> None:
    token = walk.opstrace("ta-create-token", INSTANCE, "nosuch", trusted_pair).stdout
    assert walk.curl(url("cortex", "nosuch", LABELS), "-k", token=token) == (404, "no such tenant")


def test_names_are_answered_from_the_hosted_zone(walk: UserSession) -> None:
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], DNS_PORT
    for api in ("cortex", "loki"):
        answer = resolver.resolve(f"{api}.newtenant.{DOMAIN}", "A")
        assert answer[0].to_text() == "127.0.0.1"
        assert "elb" in answer.response.to_text()
    assert resolver.resolve(DOMAIN, "A")[0].to_text() == "127.0.0.1"  # an alias record has no CNAME


def test_a_websocket_with_a_token_follows_the_logs(walk: UserSession) -> None:
    upgrade = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
    upgrade += ["Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="]
    secret = walk.folder / "websocket-header"
    write_secret(secret, f"Authorization: Bearer {walk.token('default')}\n".encode())
    address = url("loki", "default", "/loki/api/v1/tail?query=%7Bjob%3D%22followed%22%7D")
    headers = [part for line in [*upgrade, f"@{secret}"] for part in ("-H", line)]
    command = ["curl", "-s", "-N", "--http1.1", "--include", "-m", "30", "--cacert", walk.ca, *headers, address]
    with tempfile.TemporaryFile() as output, subprocess.Popen(command, stdout=output) as following:

        def has_come(text: bytes) -> bool:
            output.seek(0)
            return text in output.read()

        eventually(lambda: has_come(b"101 Switching Protocols"), 20)
        assert walk.push_line("default", "a line that is followed", walk.token("default"), "followed")[0] == 204
        eventually(lambda: has_come(b"a line that is followed"), 20)
        following.kill()


def test_log_lines_come_back(walk: UserSession) -> None:
    line = {"stream": {"job": "walk"}, "values": [[str(time.time_ns()), "hello from the walk"]]}
    push = ["-H", "Content-Type: application/json", "-H", "X-Scope-OrgID: default"]
    token = walk.token("newtenant")
    body = json.dumps({"streams": [line]})
    assert walk.curl(url("loki", "newtenant", "/loki/api/v1/push"), *push, "-d", body, token=token)[0] == 204
    query = url("loki", "newtenant", "/loki/api/v1/query_range?query=%7Bjob%3D%22walk%22%7D")
    eventually(lambda: "hello from the walk" in walk.curl(query, token=token)[1])
    elsewhere = url("loki", "default", "/loki/api/v1/query_range?query=%7Bjob%3D%22walk%22%7D")
    assert "hello" not in walk.curl(elsewhere, token=walk.token("default"))[1]


def shown_to_prometheus(walk: UserSession, port: int) -> tuple[str, str, str]:
    """Return what the second tutorial shows of Prometheus, with this port: its configuration and two commands.

    The commands add a name to /etc/hosts and start Prometheus. The files that the configuration names are put beside it.
    """
    (walk.folder / f"token-{INSTANCE}-newtenant.jwt").symlink_to("tenant-api-token-newtenant")
    (walk.folder / "ca.pem").symlink_to(walk.ca)
    ((config,), (shell,)) = (blocks(SECOND, "Connect Prometheus", language) for language in ("yaml", "sh"))
    config, shell = (text.replace("showdown", INSTANCE).replace(":8443", f":{PORT}") for text in (config, shell))
    add_name, start = shell.splitlines()
    return config.replace(":9090", f":{port}"), add_name, start


@pytest.fixture
def prometheus(walk: UserSession) -> Iterator[int]:
    """The Prometheus of the tutorial, which scrapes itself and writes to the new tenant; yields its port."""
    port = free_port()
    config, add_name, start = shown_to_prometheus(walk, port)
    (walk.folder / "prometheus.yml").write_text(config)
    hosts = walk.folder / "hosts"
    hosts.write_text("127.0.0.1 localhost\n")
    program, *options = start.split()
    assert program == "prometheus"
    options += ["--storage.tsdb.path=tsdb", f"--web.listen-address=127.0.0.1:{port}"]
    # The system's resolver does not resolve names under localhost; curl does.
    script = f"mount --bind {hosts} /etc/hosts && {add_name} && exec {ensure(catalog.PROMETHEUS) / program} {' '.join(options)}"
    with (walk.folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(["unshare", "--mount", "sh", "-c", script], cwd=walk.folder, stderr=log, stdout=log)
    yield port
    process.terminate()
    process.wait(90)  # it sends its samples first


def test_a_real_prometheus_writes_and_the_samples_come_back(walk: UserSession, prometheus: int) -> None:
    query = url("cortex", "newtenant", "/api/v1/query?query=up%7Bjob%3D%22prometheus%22%7D")

    def has_one_series() -> bool:
        status, body = walk.curl(query, token=walk.token("newtenant"))
        return status == 200 and len(json.loads(body)["data"]["result"]) == 1

    eventually(has_one_series)
    default_query = url("cortex", "default", "/api/v1/query?query=up%7Bjob%3D%22prometheus%22%7D")
    assert json.loads(walk.curl(default_query, token=walk.token("default"))[1])["data"]["result"] == []


def test_status_shows_the_tenants(walk: UserSession) -> None:
    status = json.loads(walk.opstrace("status", "local", INSTANCE, "--json").stdout)
    assert set(status["tenants"]) == {"default", "newtenant", "system"}
    assert all(facts["gateway"] and facts["applied"] for facts in status["tenants"].values())
    has_all = {"keyIds": status["trustedKeyIds"], "current": True, "refused": False}
    assert [*status["gatewayPods"].values()] == [has_all] * REPLICAS
    assert walk.opstrace("list", "local").stdout.split() == [INSTANCE]


def test_the_stack_s_outputs_are_what_other_programs_need(walk: UserSession) -> None:
    outputs = json.loads(walk.pulumi("stack", "output", "--json"))
    assert (outputs["instance"], outputs["domain"]) == (INSTANCE, DOMAIN) and outputs["nameServers"]
    assert (
        outputs["trustedKeyIds"]
        == json.loads(walk.opstrace("status", "local", INSTANCE, "--json").stdout)["trustedKeyIds"]
    )
    shown = outputs["tenants"]["newtenant"]
    assert shown["namespace"] == "newtenant-tenant" and sorted(shown["buckets"].values()) == sorted(
        walk.buckets("newtenant")
    )
    assert url("cortex", "newtenant", "") in shown.values()


def test_nothing_outside_a_tenant_depends_on_one(walk: UserSession) -> None:
    resources = walk.resources()
    parents = {entry["urn"]: entry.get("parent") for entry in resources}

    def tenant_of(urn: str | None) -> str | None:
        while urn and type_token(urn) != TENANT_TYPE:
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


def test_a_tenant_s_pods_stop_before_it_loses_its_buckets_and_the_right_to_write_to_them(walk: UserSession) -> None:
    """Deletion follows dependencies; moto does not check the right to write, so the state is compared."""
    resources = {entry["urn"]: entry for entry in walk.resources()}

    def needed(urn: str) -> set[str]:
        entry = resources[urn]
        direct = {*entry.get("dependencies", []), *([entry["parent"]] if entry.get("parent") else [])}
        return direct.union(*map(needed, direct))

    mine = [entry for entry in resources.values() if logical_name(entry["urn"]).startswith("tenant-default-")]
    pods = [entry["urn"] for entry in mine if entry["type"] == STATEFUL_SET_TYPE]
    kinds = (ROLE_POLICY_TYPE, BUCKET_TYPE)
    kept = {entry["urn"] for entry in mine if entry["type"] in kinds}
    assert (len(pods), len(kept)) == (2, 4)
    for urn in pods:
        assert kept <= needed(urn)


def test_no_token_and_no_private_key_is_in_the_state(walk: UserSession) -> None:
    state = walk.pulumi("stack", "export") + walk.stack_path.read_text()
    assert "PRIVATE KEY" not in state
    for tenant in ("default", "newtenant", "system"):
        assert walk.token(tenant).rsplit(".", 1)[-1] not in state


def test_an_up_without_changes_changes_nothing(walk: UserSession) -> None:
    done = walk.in_project("pulumi", "--non-interactive", "preview", "--json", "--stack", INSTANCE).stdout
    assert set(json.loads(done[done.index("{") :])["changeSummary"]) == {"same"}


def test_the_engine_keeps_no_log_of_what_it_compares(walk: UserSession) -> None:
    logs = Path(walk.shell["PULUMI_HOME"]) / "logs"
    assert logs.is_file() and len(logs.read_text().splitlines()) == 1


def test_a_tenant_alone_can_be_destroyed_and_the_others_never_miss_a_request(walk: UserSession) -> None:
    urn = next(entry["urn"] for entry in walk.resources() if logical_name(entry["urn"]) == "tenant-newtenant")
    token = walk.token("newtenant")
    for _ in range(10):  # so that both pods of the gateway have resolved the tenant's name
        assert walk.curl(url("cortex", "newtenant", LABELS), token=token)[0] == 200
    with steady_requests(walk, "default") as answers:
        walk.pulumi("destroy", "--yes", "--skip-preview", "--target", urn, "--target-dependents")
        eventually(lambda: is_unknown(walk, "newtenant", token))
    assert len(answers) > 20 and {*answers} == {200}
    assert len(walk.buckets("newtenant")) == 3  # the default is to retain them
    assert not [entry for entry in walk.resources() if "tenant-newtenant" in entry["urn"]]
    assert "newtenant" not in walk.kubectl("get", "namespaces", "-o", "name")
    assert not [role for role in walk.aws("iam").list_roles()["Roles"] if "newtenant" in role["RoleName"]]
    zone, *_ = walk.aws("route53").list_hosted_zones()["HostedZones"]
    records = walk.aws("route53").list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"]
    assert len(records) > 4 and not [record for record in records if ".newtenant." in f".{record['Name']}"]
    status = walk.opstrace("status", "aws", INSTANCE).stdout  # the provider `aws`, with the shell's AWS environment
    assert "tenant newtenant: configured, but not applied" in status
    assert walk.curl(url("cortex", "default", LABELS), token=walk.token("default"))[0] == 200


def test_a_configuration_with_errors_is_refused_whole_by_plain_pulumi(walk: UserSession) -> None:
    before = walk.stack_path.read_text()
    walk.stack_path.write_text(
        before.replace("name: newtenant", "nmae: NEW").replace("opstrace:aws:", "opstrace:awss:")
    )
    done = walk.in_project("pulumi", "--non-interactive", "preview", "--stack", INSTANCE, check=False)
    walk.stack_path.write_text(before)
    output = done.stdout + done.stderr
    assert "did you mean 'name'" in output and "did you mean 'aws'" in output and "Traceback" not in output
