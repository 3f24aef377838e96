"""`integrations write`: one clear error before anything is written, tokens of its own, and updates in place."""

import os
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import jwt
import pytest
from click.testing import Result

from components.core.errors import UserError
from components.core.public_keys import canonical_pem, key_id
from scripts.cli.integrations.list import list_
from scripts.cli.integrations.write import write
from scripts.clients.gateway.reach import Obstacle
from scripts.clients.providers import Provider
from scripts.integrations.catalog import FORMATS
from scripts.integrations.formats.text import id_in
from scripts.tokens.issued import entries
from scripts.tokens.key_files import new_key, read_key_pair, write_key_pair
from scripts.tokens.parse import token_in
from scripts.tokens.signing import Grant, Signer
from tests.support.contexts import FakeContext, invoke
from tests.support.factories import PAIR
from tests.unit.scripts.integrations.conftest import MakeToken

TLS = Obstacle("TLS", "the certificate is not trusted", "name another CA")
SILENT = Obstacle("DNS", "the name has no address here", "check DNS")


def call(context: FakeContext, out: Path, format_name: str, *options: object, tenant: str = "payments") -> Result:
    return invoke(context, write, "aws", "showdown", tenant, format_name, "--output", out, *options)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "conf"


def refused(result: Result, out: Path, message: str) -> None:
    """Fail unless the command was refused with this message, and wrote nothing."""
    assert isinstance(result.exception, UserError), result.output
    assert str(result.exception) == message
    assert not out.exists() or not [*out.iterdir()]
    assert entries() == ([], 0)


@pytest.mark.parametrize("name", [name for name, one in FORMATS.items() if not one.in_kubernetes])
def test_every_format_is_written_with_a_new_id(context: FakeContext, out: Path, token: MakeToken, name: str) -> None:
    file = token("payments")
    done = call(context, out, name, "--token-file", file)
    assert done.exit_code == 0, done.exception
    text = (out / FORMATS[name].file).read_text()
    assert id_in(text) == done.stdout.strip()
    assert str(file) in text or f"path: {file.parent}\n" in text
    assert file.read_text() not in text and file.read_text() not in done.output
    assert [path.name for path in out.iterdir()] == [FORMATS[name].file]


@pytest.mark.parametrize("name", [name for name, one in FORMATS.items() if one.in_kubernetes])
def test_kubernetes_needs_a_secret_and_no_token_of_ours(context: FakeContext, out: Path, name: str) -> None:
    needed = f"the format {name} needs --secret NAME, the Kubernetes Secret for the token files"
    refused(call(context, out, name), out, needed)
    done = call(context, out, name, "--secret", "opstrace-token", "--namespace-map", "team-a=checkout")
    assert done.exit_code == 0, done.exception
    sources = "opstrace-token --from-file=payments.jwt=FILE --from-file=checkout.jwt=FILE --dry-run=client"
    assert f"create secret generic {sources}" in done.stderr
    assert "secretName: opstrace-token" in (out / FORMATS[name].file).read_text()
    assert sorted(path.name for path in out.iterdir()) == sorted(FORMATS[name].files)


def test_each_tenant_of_a_cluster_gets_its_own_token_and_the_command_makes_the_secret_of_them(
    context: FakeContext, out: Path, key_pair: Path, ca_file: Path
) -> None:
    options = ["--create-token", key_pair, "--secret", "tokens", "--namespace", "shop", "--ca-file", ca_file]
    done = call(context, out, "kubernetes", *options, "--namespace-map", "team-b=checkout")
    assert done.exit_code == 0, done.exception
    files = [f"--from-file={one}.jwt={out / one}.kubernetes.jwt" for one in ("payments", "checkout")]
    command = f"--namespace shop create secret generic tokens {' '.join(files)} --from-file={out / 'ca.pem'} "
    assert command in done.stderr
    text = (out / "collector.yaml").read_text()
    for tenant in ("payments", "checkout"):
        file = out / f"{tenant}.kubernetes.jwt"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert token_in(str(file)).claims["sub"] == f"tenant-{tenant}"
        assert file.read_text() not in text + done.output
    assert "namespace: shop\n" in text and "--namespace shop" in text and "--create-token" not in text


def test_a_file_of_the_user_beside_ours_is_not_replaced_without_force(context: FakeContext, out: Path) -> None:
    options = ["--secret", "opstrace-token"]
    first = call(context, out, "kubernetes", *options).stdout.strip()
    assert call(context, out, "kubernetes", *options, "--id", first, "--namespace", "shop").exit_code == 0
    (out / "kustomization.yaml").write_text("resources: []\n")
    result = call(context, out, "kubernetes", *options, "--id", first)
    assert "kustomization.yaml exists already" in str(result.exception) and "--force" in str(result.exception)
    assert (out / "kustomization.yaml").read_text() == "resources: []\n"
    assert call(context, out, "kubernetes", *options, "--id", first, "--force").exit_code == 0


MISREAD = "has characters other than letters, digits and . _ / + @ -, which some formats misread"
FOLDERS = "name another folder, or that on the client's machine with --client-folder"
NAMES = "use a-z, 0-9 and '-'"
PROXY, TARGET = "write it as http://HOST:PORT", "write it as HOST:PORT or JOB=HOST:PORT, such as app=127.0.0.1:8080"
PASSWORD = "--proxy has a user name or a password, which would be in the configuration; use a proxy without"
NOBODY = "there is no tenant nobody in Pulumi.showdown.yaml; there are default, payments, checkout"
GIVE_TOKEN = "name its file with --token-file, or use --create-token KEYPAIR_FILE"
NEEDS_SECRET = "the format kubernetes needs --secret NAME, the Kubernetes Secret for the token files"


def takes_no(name: str, option: str, why: str) -> str:
    return f"the format {name} does not take {option}: {why}"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["prometheus"], f"there is no token for payments; {GIVE_TOKEN}"),
        (["prometheus", "--proxy", "http://u:hunter2@proxy:3128"], PASSWORD),
        (["prometheus", "--proxy", "u:hunter2@proxy:3128"], PASSWORD),
        (["prometheus", "--proxy", "http://[u:hunter2@proxy"], PASSWORD),
        (["prometheus", "--proxy", "http://[proxy"], f"--proxy 'http://[proxy': {PROXY}"),
        (["prometheus", "--proxy", "http://proxy:0"], f"--proxy 'http://proxy:0': {PROXY}"),
        (["prometheus", "--token-file", "-"], "--token-file -: the client reads the token from a file; name that file"),
        (["prometheus", "--proxy", "proxy:3128"], f"--proxy 'proxy:3128': {PROXY}"),
        (["prometheus", "--proxy", "http://proxy:65536"], f"--proxy 'http://proxy:65536': {PROXY}"),
        (["prometheus", "--scrape", "nonsense"], f"--scrape 'nonsense': {TARGET}"),
        (["prometheus", "--scrape", "app:65536"], f"--scrape 'app:65536': {TARGET}"),
        (["prometheus", "--scrape", "app:0"], f"--scrape 'app:0': {TARGET}"),
        (["prometheus", "--log-file", "/a.log"], takes_no("prometheus", "--log-file", "it follows no log files")),
        (
            ["prometheus", "--namespace-map", "a=checkout"],
            takes_no("prometheus", "--namespace-map", "it sends to one tenant alone"),
        ),
        (["prometheus", "--secret", "s"], takes_no("prometheus", "--secret", "it reads token files of its machine")),
        (
            ["prometheus", "--id", "UPPER"],
            "--id 'UPPER': use 8 to 64 characters of a-z, 0-9 and '-', as `write` prints it",
        ),
        (
            ["prometheus", "--client-folder", "relative"],
            "the path 'relative' on the client's machine is not absolute; begin it with /",
        ),
        (
            ["prometheus", "--client-folder", ""],
            "the path '' on the client's machine is not absolute; begin it with /",
        ),
        (["prometheus", "--client-folder", "/with space"], f"the path /with space {MISREAD}; {FOLDERS}"),
        (
            ["fluentd", "--proxy", "http://proxy:3128"],
            takes_no("fluentd", "--proxy", "set it in the environment of Fluentd with fluent-plugin-grafana-loki"),
        ),
        (
            ["otel", "--log-file", "relative.log"],
            "--log-file 'relative.log': use an absolute path of letters, digits and . _ / + @ - * ?",
        ),
        (
            ["otel", "--namespace-map", "a=checkout,a=payments"],
            "--namespace-map: a is mapped twice; map it to one tenant",
        ),
        (["otel", "--namespace-map", "a"], "--namespace-map 'a': write it as NAMESPACE=TENANT,NAMESPACE=TENANT"),
        (
            ["otel", "--namespace-map", "Team=checkout"],
            f"--namespace-map: 'Team' is no name of a Kubernetes namespace; {NAMES}",
        ),
        (["otel", "--namespace-map", "a=nobody"], NOBODY),
        (["otel", "--namespace-map", "a=checkout"], f"there is no token for payments, checkout; {GIVE_TOKEN}"),
        (
            ["helm", "--secret", "s", "--client-folder", "/srv"],
            takes_no("helm", "--client-folder", "its files are in a Secret and a ConfigMap"),
        ),
        (
            ["helm", "--secret", "s", "--namespace", "shop"],
            takes_no("helm", "--namespace", "it does not fix its namespace"),
        ),
        (["otel", "--namespace", "shop"], takes_no("otel", "--namespace", "it does not fix its namespace")),
        (["kubernetes"], NEEDS_SECRET),
        *(
            (
                ["kubernetes", "--secret", name],
                f"--secret {name!r} is no name of a Kubernetes Secret; {NAMES} or '.'",
            )
            for name in ("A B", "a..b", "a.-b", "a\n", "a" * 254)
        ),
        (
            ["kubernetes", "--secret", "s", "--namespace", "Shop"],
            f"--namespace 'Shop' is no name of a Kubernetes namespace; {NAMES}",
        ),
        (
            ["kubernetes", "--secret", "s", "--namespace", "opstrace-collectors"],
            "--namespace opstrace-collectors: an instance's own collectors have this namespace; name another",
        ),
        (
            ["kubernetes", "--secret", "s", "--namespace-map", "a=checkout,a=payments"],
            "--namespace-map: a is mapped twice; map it to one tenant",
        ),
        (["kubernetes", "--secret", "s", "--namespace-map", "a=nobody"], NOBODY),
        (
            ["kubernetes", "--secret", "s", "--scrape", "10.0.0.1:80"],
            takes_no("kubernetes", "--scrape", "it takes no targets by their names"),
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_bad_option_is_refused(context: FakeContext, out: Path, options: list[str], message: str) -> None:
    refused(call(context, out, *options), out, message)


def test_standard_output_is_no_folder(context: FakeContext, token: MakeToken, tmp_path: Path) -> None:
    why = "--output -: the command writes files into a folder; name that folder"
    refused(call(context, Path("-"), "prometheus", "--token-file", token("payments")), tmp_path / "-", why)


@pytest.mark.parametrize("format_name", ["prometheus", "kubernetes"])
def test_a_path_that_would_end_the_comment_of_the_file_is_refused(
    context: FakeContext, out: Path, token: MakeToken, ca_file: Path, format_name: str
) -> None:
    good, bad = token("payments"), token("payments", name="a\nb: c.jwt")
    ca = ca_file.rename(ca_file.with_name("a\nca.pem"))
    folder = out.with_name("a\nconf")
    where = ["--secret", "s"] if format_name == "kubernetes" else ["--client-folder", "/etc/prometheus"]
    why = "has characters that cannot be printed, and it is in the comments of the file; rename it"
    for path, options in {bad: ["--token-file", bad], ca: ["--token-file", good, "--ca-file", ca]}.items():
        refused(call(context, out, format_name, *where, *options), out, f"the path {str(path)!r} {why}")
    assert f"the path {str(folder)!r} {why}" in str(
        call(context, folder, format_name, *where, "--token-file", good).exception
    )
    assert not folder.exists()


def test_every_bad_option_is_named_at_once(context: FakeContext, out: Path) -> None:
    message = f"{NEEDS_SECRET}; --namespace 'Shop' is no name of a Kubernetes namespace; {NAMES}"
    refused(call(context, out, "kubernetes", "--namespace", "Shop"), out, message)


def test_an_unknown_tenant_is_refused(context: FakeContext, out: Path, token: MakeToken) -> None:
    refused(call(context, out, "prometheus", "--token-file", token("nobody"), tenant="nobody"), out, NOBODY)


ANOTHER = "name another token, or use --create-token KEYPAIR_FILE"


@pytest.mark.parametrize(
    ("tenant", "scopes", "changes", "message"),
    [
        (
            "checkout",
            (),
            {},
            "{} is a token of checkout, but this integration is for payments; name a token of that tenant",
        ),
        *(
            (
                "payments",
                scopes,
                {},
                "the token in {} lacks metrics:write; make one with `./opstrace ta-create-token … --scope metrics:write`, "
                "or use --create-token KEYPAIR_FILE",
            )
            for scopes in (("logs:write",), ("metrics:read",))
        ),
        (
            "payments",
            (),
            {"instance": "other"},
            "showdown refuses the token in {}: it is for 'opstrace-cluster-other' (aud), not for "
            f"'opstrace-cluster-showdown'; {ANOTHER}",
        ),
        (
            "payments",
            (),
            {"issued": 1_600_000_000, "seconds": 60},
            f"showdown refuses the token in {{}}: it ended at 2020-09-13T12:27:40Z; {ANOTHER}",
        ),
    ],
)
def test_a_token_that_will_not_do_is_refused(  # noqa: PLR0913, PLR0917 the cases are arguments
    context: FakeContext,
    out: Path,
    token: MakeToken,
    tenant: str,
    scopes: tuple[str, ...],
    changes: dict[str, Any],
    message: str,
) -> None:
    file = token(tenant, *scopes, **changes)
    refused(call(context, out, "prometheus", "--token-file", file), out, message.format(file))


def test_tokens_of_a_secret_are_checked_where_their_files_are_named_and_a_note_says_so_where_not(
    context: FakeContext, out: Path, token: MakeToken
) -> None:
    ended = token("payments", issued=1_600_000_000, seconds=60)
    message = f"showdown refuses the token in {ended}: it ended at 2020-09-13T12:27:40Z; {ANOTHER}"
    refused(call(context, out, "kubernetes", "--secret", "s", "--token-file", ended), out, message)
    note = "The tokens in the Secret s were not checked: this command does not read your cluster."
    assert note in call(context, out, "kubernetes", "--secret", "s").stderr
    good = token("payments", name="good.jwt")
    done = call(context, out, "kubernetes", "--secret", "s", "--token-file", good, "--force")
    assert done.exit_code == 0 and "were not checked" not in done.stderr


@pytest.mark.parametrize("name", ["prometheus", "kubernetes", "fluent-bit", "fluentd"])
@pytest.mark.parametrize(
    ("before", "after", "is_taken"),
    [("", "\n", "unless bare"), ("", "\r\n", "unless bare"), ("\n", "", "never"), (" ", "", "never")],
)
def test_white_space_that_a_client_would_send_with_the_token_is_refused(  # noqa: PLR0913, PLR0917 the cases are arguments
    context: FakeContext, out: Path, token: MakeToken, name: str, before: str, after: str, is_taken: str
) -> None:
    file, chosen = token("payments"), FORMATS[name]
    file.write_text(f"{before}{file.read_text()}{after}")
    secret = ["--secret", "s"] if chosen.in_kubernetes else []
    done = call(context, out, name, "--token-file", file, *secret)
    if is_taken == "unless bare" and not chosen.bare_token:
        assert done.exit_code == 0, done.exception
        return
    place = "beside" if chosen.bare_token else "before"
    why = f"has a line break or a blank {place} the token, which {chosen.program} takes for a part of it"
    refused(done, out, f"{file} {why}; write the token alone into the file")


@pytest.mark.parametrize("subject", ["payments", "tenant-a\n\x1b[31merror: all is lost", None])
def test_a_token_of_no_tenant_shows_its_subject_without_its_control_characters(
    context: FakeContext, out: Path, tmp_path: Path, subject: str | None
) -> None:
    file = tmp_path / "forged.jwt"
    file.write_text(jwt.encode({} if subject is None else {"sub": subject}, PAIR, "RS256"))
    owner = f"the subject {subject or ''!r}"
    message = f"{file} is a token of {owner}, but this integration is for payments; name a token of that tenant"
    refused(call(context, out, "prometheus", "--token-file", file), out, message)


def test_a_token_of_a_key_that_is_not_trusted_is_refused(context: FakeContext, out: Path, tmp_path: Path) -> None:
    (tmp_path / "forged").write_text(Signer(new_key()).token(Grant(instance="showdown", tenant="payments")))
    kid = token_in(str(tmp_path / "forged")).kid
    why = f"its header names the key {kid!r}, which is not among publicKeys"
    message = f"showdown refuses the token in {tmp_path / 'forged'}: {why}; {ANOTHER}"
    refused(call(context, out, "prometheus", "--token-file", tmp_path / "forged"), out, message)


def test_two_tokens_of_a_tenant_and_both_ways_to_name_one_are_refused(
    context: FakeContext, out: Path, token: MakeToken, key_pair: Path
) -> None:
    first, second = token("payments"), token("payments", name="second.jwt")
    options = ["--token-file", first, "--token-file", second]
    both = f"{first} and {second} are both tokens of payments; name one of them"
    refused(call(context, out, "prometheus", *options), out, both)
    exclude = "--token-file and --create-token exclude each other; give one of them"
    refused(call(context, out, "prometheus", *options[:2], "--create-token", key_pair), out, exclude)


def test_two_files_with_one_path_on_the_machine_of_the_client_are_refused(
    context: FakeContext, out: Path, token: MakeToken, tmp_path: Path, ca_file: Path
) -> None:
    (tmp_path / "other").mkdir()
    first, second = token("payments"), token("checkout").rename(tmp_path / "other" / "payments.jwt")
    there = ["--client-folder", "/etc/otel"]
    why = "would be two files on the client's machine; give the token files other names"
    done = call(
        context, out, "otel", "--token-file", first, "--token-file", second, "--namespace-map", "a=checkout", *there
    )
    refused(done, out, f"/etc/otel/payments.jwt {why}")
    for name in ("ca.pem", "otelcol.yaml"):
        file = token("payments", name=name)
        done = call(context, out, "otel", "--token-file", file, "--ca-file", ca_file, *there)
        refused(done, out, f"/etc/otel/{name} {why}")


def test_vector_refuses_a_file_name_that_its_secrets_cannot_have(
    context: FakeContext, out: Path, token: MakeToken
) -> None:
    result = call(context, out, "vector", "--token-file", token("payments", name="pay-ments.jwt"))
    form = "Vector takes names of secrets of letters, digits, '_' and '.' alone"
    refused(result, out, f"{form}; rename the token file pay-ments.jwt")


def test_a_token_is_made_with_the_scopes_of_the_format_and_an_end(
    context: FakeContext, out: Path, key_pair: Path
) -> None:
    done = call(context, out, "prometheus", "--create-token", key_pair, "--expires-in", "90d")
    assert done.exit_code == 0, done.exception
    file = out / "payments.prometheus.jwt"
    claims = token_in(str(file)).claims
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (claims["scope"], claims["sub"]) == ("metrics:write", "tenant-payments")
    assert claims["exp"] - claims["iat"] == 90 * 86400
    assert file.read_text() not in done.output
    (entry,) = entries()[0]
    assert entry["id"] == claims["jti"] and entry["name"] == f"prometheus integration {done.stdout.strip()}"
    text = (out / "prometheus.yml").read_text()
    assert f"credentials_file: {file}" in text and f"--token-file {file}" in text and "--create-token" not in text


def test_each_tenant_of_a_map_gets_its_own_token(context: FakeContext, out: Path, key_pair: Path) -> None:
    done = call(context, out, "otel", "--create-token", key_pair, "--namespace-map", "a=payments,b=checkout")
    assert done.exit_code == 0, done.exception
    for tenant in ("payments", "checkout"):
        claims = token_in(str(out / f"{tenant}.otel.jwt")).claims
        assert (claims["sub"], claims["scope"]) == (f"tenant-{tenant}", "metrics:write logs:write")


@pytest.mark.parametrize("name", ["prometheus", "grafana"])
def test_the_command_that_checks_the_data_is_shown(
    context: FakeContext, out: Path, token: MakeToken, ca_file: Path, name: str
) -> None:
    file = token("payments")
    done = call(context, out, name, "--token-file", file, "--ca-file", ca_file)
    command = f"./opstrace integrations check aws showdown payments --id {done.stdout.strip()}"
    assert done.stderr.splitlines()[-1] == (
        f"When the client runs, check it: {command} --token-file {file} --ca-file {ca_file}{'' if name == 'prometheus' else ' --reads'}"
    )


def test_data_sources_get_a_token_that_only_reads(context: FakeContext, out: Path, key_pair: Path) -> None:
    assert call(context, out, "grafana", "--create-token", key_pair).exit_code == 0
    assert token_in(str(out / "payments.grafana.jwt")).claims["scope"] == "metrics:read logs:read"


def test_a_key_pair_that_is_not_trusted_makes_no_token(context: FakeContext, out: Path, tmp_path: Path) -> None:
    write_key_pair(tmp_path / "other.pem")
    kid = key_id(read_key_pair(tmp_path / "other.pem").public_key())
    why = f"its header names the key {kid!r}, which is not among publicKeys"
    remedy = "use another key pair, or let the instance trust this one with `./opstrace ta-pubkeys-add`"
    message = f"showdown would refuse a token of the key pair {tmp_path / 'other.pem'}: {why}; {remedy}"
    refused(call(context, out, "prometheus", "--create-token", tmp_path / "other.pem"), out, message)


def test_a_key_pair_that_is_limited_to_other_scopes_makes_no_token(
    context: FakeContext, out: Path, key_pair: Path
) -> None:
    file = context.file_to_edit("showdown")
    key = canonical_pem(PAIR.public_key())
    file.set("dataApi", {"publicKeys": {key_id(PAIR.public_key()): {"pem": key, "scopes": ["logs:write"]}}})
    file.write()
    message = f"the key pair {key_pair} is limited to scopes without metrics:write; use another key pair"
    refused(call(context, out, "otel", "--create-token", key_pair), out, message)


def test_the_same_id_updates_in_place(context: FakeContext, out: Path, token: MakeToken) -> None:
    file = token("payments")
    first = call(context, out, "prometheus", "--token-file", file).stdout.strip()
    again = call(context, out, "prometheus", "--token-file", file, "--id", first, "--scrape", "10.0.0.1:80")
    assert again.exit_code == 0 and again.stdout.strip() == first
    text = (out / "prometheus.yml").read_text()
    assert "10.0.0.1:80" in text and id_in(text) == first


def test_a_file_of_another_integration_is_not_replaced_without_force(
    context: FakeContext, out: Path, token: MakeToken
) -> None:
    file = token("payments")
    first = call(context, out, "prometheus", "--token-file", file).stdout.strip()
    before = (out / "prometheus.yml").read_text()
    for options in ([], ["--id", "another-id-of-mine"]):
        result = call(context, out, "prometheus", "--token-file", file, *options)
        assert str(result.exception) == (
            f"{out / 'prometheus.yml'} exists already; to update the integration there, use --id {first}; to replace it, "
            "use --force; or name another --output"
        )
        assert (out / "prometheus.yml").read_text() == before
    forced = call(context, out, "prometheus", "--token-file", file, "--force")
    assert forced.exit_code == 0 and forced.stdout.strip() != first


def test_a_terminal_is_asked(
    context: FakeContext, out: Path, token: MakeToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    out.mkdir()
    (out / "prometheus.yml").write_text("global: {}\n")
    asked: list[str] = []

    def confirm(text: str, *, abort: bool, err: bool) -> None:
        asked.append(text)
        raise click.Abort

    monkeypatch.setattr("scripts.integrations.files.click.confirm", confirm)
    monkeypatch.setattr("scripts.integrations.files.sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True)))
    assert call(context, out, "prometheus", "--token-file", token("payments")).exit_code == 1
    assert asked == [f"{out / 'prometheus.yml'} exists already. Replace it?"]
    assert (out / "prometheus.yml").read_text() == "global: {}\n"


def test_a_link_is_not_followed(context: FakeContext, out: Path, token: MakeToken, tmp_path: Path) -> None:
    out.mkdir()
    (out / "prometheus.yml").symlink_to(tmp_path / "elsewhere")
    result = call(context, out, "prometheus", "--token-file", token("payments"), "--force")
    assert "is no regular file" in str(result.exception) and not (tmp_path / "elsewhere").exists()


def test_new_tokens_replace_those_before_and_the_command_tells_how_to_revoke_them(
    context: FakeContext, out: Path, key_pair: Path
) -> None:
    first = call(context, out, "prometheus", "--create-token", key_pair).stdout.strip()
    before = token_in(str(out / "payments.prometheus.jwt")).claims["jti"]
    again = call(context, out, "prometheus", "--create-token", key_pair, "--id", first)
    assert again.exit_code == 0, again.exception
    assert f"./opstrace ta-revoke-token aws showdown {before}" in again.stderr
    assert token_in(str(out / "payments.prometheus.jwt")).claims["jti"] != before
    assert len(entries()[0]) == 2


def test_commands_to_copy_quote_what_a_shell_would_run(
    context: FakeContext, out: Path, token: MakeToken, key_pair: Path
) -> None:
    done = call(context, out, "kubernetes", "--secret", "s", "--token-file", token("payments", name="a; b.jwt"))
    (command,) = [line for line in done.stderr.splitlines() if line.startswith("Make or replace the Secret")]
    assert f"'--from-file=payments.jwt={out.parent}/a; b.jwt'" in command
    (out / "payments.prometheus.jwt").write_text(jwt.encode({"jti": "a; b"}, PAIR, "RS256"))
    done = call(context, out, "prometheus", "--create-token", key_pair, "--force")
    assert "./opstrace ta-revoke-token aws showdown 'a; b'" in done.stderr


def test_a_format_whose_program_has_reached_its_end_is_written_with_a_warning(
    context: FakeContext, out: Path, token: MakeToken
) -> None:
    done = call(context, out, "promtail", "--token-file", token("payments"))
    warning = "Promtail reached its end of life on 2026-03-02. Use Alloy for new installations."
    assert done.exit_code == 0 and warning in done.stderr.splitlines()
    assert f"# {warning}\n" in (out / "promtail.yaml").read_text()


def test_a_folder_that_cannot_be_written_is_refused(
    context: FakeContext, out: Path, token: MakeToken, key_pair: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out.write_text("a file")
    result = call(context, out / "below", "prometheus", "--create-token", key_pair)
    assert "cannot be made" in str(result.exception) and entries() == ([], 0)
    out.unlink()
    out.mkdir()
    monkeypatch.setattr("scripts.ui.new_files.os.access", lambda _, mode: mode == os.R_OK)  # root may write
    message = f"the folder {out} cannot be written; allow it for your user, or name another with --output"
    refused(call(context, out, "prometheus", "--create-token", key_pair), out, message)


def test_a_ca_of_the_user_is_copied_and_named(context: FakeContext, out: Path, token: MakeToken, ca_file: Path) -> None:
    done = call(context, out, "otel", "--token-file", token("payments"), "--ca-file", ca_file)
    assert done.exit_code == 0, done.exception
    assert (out / "ca.pem").read_bytes() == ca_file.read_bytes()
    assert f"ca_file: {out / 'ca.pem'}" in (out / "otelcol.yaml").read_text()
    assert done.stderr.splitlines()[0] == f"Written: {out / 'otelcol.yaml'}, {out / 'ca.pem'}"


def test_a_private_key_in_the_file_of_the_ca_is_not_copied(
    context: FakeContext, out: Path, token: MakeToken, ca_file: Path, key_pair: Path
) -> None:
    certificate = ca_file.read_text()
    ca_file.write_text(f"# our own\n{key_pair.read_text()}{certificate}")
    assert call(context, out, "otel", "--token-file", token("payments"), "--ca-file", ca_file).exit_code == 0
    assert (out / "ca.pem").read_text() == certificate


def test_a_ca_that_does_not_fit_is_refused(context: FakeContext, out: Path, token: MakeToken, ca_file: Path) -> None:
    context.found_obstacle = TLS
    options = ["--token-file", token("payments"), "--ca-file", ca_file]
    message = f"--ca-file {ca_file} does not fit: the certificate is not trusted; name another CA"
    refused(call(context, out, "prometheus", *options), out, message)
    context.found_obstacle = SILENT
    done = call(context, out, "prometheus", *options)
    assert done.exit_code == 0 and SILENT.reason in done.stderr


def test_a_gateway_that_is_not_trusted_without_a_ca_is_told(context: FakeContext, out: Path, token: MakeToken) -> None:
    context.found_obstacle = TLS
    done = call(context, out, "prometheus", "--token-file", token("payments"))
    said = f"This machine does not trust the gateway, and the client may not either: {TLS.in_words()}"
    assert done.exit_code == 0 and said in done.stderr.splitlines()
    context.found_obstacle = SILENT
    done = call(context, out, "prometheus", "--token-file", token("payments", name="second.jwt"), "--force")
    assert done.exit_code == 0 and SILENT.reason not in done.stderr


@pytest.mark.parametrize("content", [b"", b"no certificate", b"\xff\xfe"])
def test_a_file_without_a_certificate_is_no_ca(
    context: FakeContext, out: Path, token: MakeToken, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "bad.pem").write_bytes(content)
    result = call(context, out, "prometheus", "--token-file", token("payments"), "--ca-file", tmp_path / "bad.pem")
    why = "it has no certificate in PEM form; name a file with the CA's"
    refused(result, out, f"--ca-file {tmp_path / 'bad.pem'}: {why}")


def test_the_local_cloud_fills_in_its_ca_and_port(stack: Path, out: Path, token: MakeToken, ca_file: Path) -> None:
    context = FakeContext(stack.parent, provider=Provider({}, ca_file=ca_file, is_local=True))
    done = call(context, out, "prometheus", "--token-file", token("payments"), "--client-folder", "/etc/prometheus")
    assert done.exit_code == 0, done.exception
    text = (out / "prometheus.yml").read_text()
    assert "ca_file: /etc/prometheus/ca.pem" in text and "credentials_file: /etc/prometheus/payments.jwt" in text
    assert (out / "ca.pem").read_bytes() == ca_file.read_bytes()
    assert "/etc/hosts" in done.stderr


def test_the_list_has_every_format_and_its_mark(context: FakeContext) -> None:
    lines = invoke(context, list_).stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [*FORMATS]
    assert [line.rstrip().endswith("not run by us") for line in lines[1:]] == [
        not one.tested for one in FORMATS.values()
    ]
