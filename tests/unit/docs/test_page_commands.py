"""A test follows every page with commands, and every command on a page exists with the options shown."""

import re
from pathlib import Path

import click
import pytest
from ruamel.yaml import YAML

from components.config.load import from_settings
from scripts.cli.main import opstrace
from tests.support.factories import settings
from tests.support.shell import ROOT
from tests.support.user_session import blocks, commands

TUTORIALS = ("tutorials/first-instance.md", "tutorials/first-tenant.md")
# Page to the test that runs its commands.
FOLLOWED = {
    "tutorials/first-instance.md": "e2e/test_walk.py",
    "tutorials/first-tenant.md": "e2e/test_tenants.py",
    "how-to/manage-tenants.md": "e2e/test_tenants.py",
    "how-to/retained-data.md": "e2e/test_tenants.py",
    "reference/json-output.md": "e2e/test_tenants.py",
    "how-to/tenant-stack.md": "e2e/test_tenant_alone.py",
    "how-to/many-tenants.md": "integration/test_up.py",
    "how-to/give-a-team-a-key.md": "e2e/test_tokens.py",
    "how-to/revoke-a-token.md": "e2e/test_tokens.py",
    "how-to/rotate-a-key.md": "e2e/test_tokens.py",
    "how-to/rules.md": "e2e/test_rules.py",
    "how-to/alerts.md": "e2e/test_alerts.py",
    "how-to/watch-the-cluster.md": "e2e/test_collectors.py",
    "how-to/dashboards.md": "e2e/test_dashboards.py",
    "reference/metrics.md": "e2e/test_metrics.py",
    "how-to/integrations.md": "e2e/test_integrations.py",
}
# Page to the test that does the same in a browser.
WALKED = dict.fromkeys(TUTORIALS, "e2e/test_page_walk.py")
# Page to the test that runs equivalent commands, where no test can run the page's own.
NOT_FOLLOWED = {
    "how-to/install.md": "needs a Mac; test_launcher.py does the same with the tools of one",
    "how-to/aws.md": "needs an AWS account; test_walk.py does the same on the embedded cloud",
    "how-to/connect-clients.md": "needs logcli, which is not built here; test_collector.py runs the OpenTelemetry Collector of the page",
    "how-to/own-cluster.md": "stops the cloud of other tests; test_a_context.py does the same in another slot",
    "how-to/recover-from-a-crash.md": "needs a crash; test_crash.py and test_plain_recovery.py do the same after one",
    "how-to/tenants-page.md": "does not end; test_server.py serves the page, and ends it; test_page_walk.py uses it",
    "reference/access-log.md": "does not end; test_walk.py reads the same log",
    "how-to/upgrade.md": "needs an earlier version; test_walk_again.py does the same with one version",
}
README = ROOT / "README.md"
PAGES = sorted((ROOT / "docs").rglob("*.md"))


def name_of(page: Path) -> str:
    """Return a page's path below docs/."""
    return str(page.relative_to(ROOT / "docs"))


def fenced(text: str, language: str = "") -> list[str]:
    """Return the lines of all fenced blocks of a language."""
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [line for name, content in fences if name == language for line in content.splitlines()]


def shown(page: Path) -> list[list[str]]:
    """Return the words of each `./opstrace` command that a page has in a block or in a line of text."""
    text = page.read_text()
    spans = [
        span.replace("\n", " ")
        for span in re.findall(r"`(\./opstrace [^`]*)`", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S))
    ]
    return [
        words.split() for line in fenced(text) + spans for words in re.findall(r"\./opstrace ([a-z][^|>;)#…]+)", line)
    ]


ALL = [(path.name if path == README else name_of(path), words) for path in (README, *PAGES) for words in shown(path)]


def test_every_page_with_commands_is_followed_or_says_why_not() -> None:
    guides = [page for page in PAGES if page.parent.name in ("tutorials", "how-to", "reference")]
    with_commands = {name_of(page) for page in guides if commands(name_of(page))}
    assert with_commands == FOLLOWED.keys() | NOT_FOLLOWED.keys()
    assert not FOLLOWED.keys() & NOT_FOLLOWED.keys()


@pytest.mark.parametrize("page", FOLLOWED)
def test_the_test_that_follows_a_page_names_it(page: str) -> None:
    assert f'"{page}"' in (ROOT / "tests" / FOLLOWED[page]).read_text()


@pytest.mark.parametrize("page", WALKED)
def test_the_test_that_walks_a_page_in_a_browser_names_it(page: str) -> None:
    assert page in (ROOT / "tests" / WALKED[page]).read_text()


def test_the_commands_of_all_pages_are_found() -> None:
    assert len(ALL) > 60 and {name for name, _ in ALL} >= {"README.md", *TUTORIALS, *NOT_FOLLOWED}


@pytest.mark.parametrize(("page", "words"), ALL, ids=lambda value: value if isinstance(value, str) else " ".join(value))
def test_a_command_that_a_page_shows_has_these_options(page: str, words: list[str]) -> None:
    command: click.Command = opstrace
    rest = words
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        inner = command.get_command(click.Context(command), rest[0])
        assert inner, f"{page}: no command {rest[0]}"
        command, rest = inner, rest[1:]
    names = {name for option in command.params if isinstance(option, click.Option) for name in option.opts} | {"--help"}
    assert {word for word in rest if word.startswith("--")} <= names, f"{page}: {words}"


def test_the_readme_shows_commands_of_the_tutorials_alone() -> None:
    followed = {line for page in TUTORIALS for block in commands(page) for line in block.splitlines()}
    own = fenced(README.read_text())
    assert len(own) == 10
    assert [line for line in own if line not in followed] == ["make test"]
    readme = "\n".join(fenced(README.read_text(), "yaml"))
    (tutorial,) = blocks("tutorials/first-tenant.md", "Connect Prometheus", "yaml")
    shown = YAML(typ="safe").load(tutorial)
    assert YAML(typ="safe").load(readme) == {"remote_write": shown["remote_write"]}


def test_the_page_on_clients_connects_prometheus_as_the_tutorial_does() -> None:
    def remote_write(page: str, under: str) -> dict[str, object]:
        (block,) = blocks(page, under, "yaml")
        (entry,) = YAML(typ="safe").load(block)["remote_write"]
        return dict(entry)

    shown = remote_write("how-to/connect-clients.md", "Prometheus")
    assert shown.pop("queue_config") == {"retry_on_http_429": True}
    tested = remote_write("tutorials/first-tenant.md", "Connect Prometheus")
    assert shown.keys() == tested.keys() and shown["tls_config"] == tested["tls_config"]
    assert shown["url"] == str(tested["url"]).replace("newtenant", "default")


def test_the_limits_that_the_page_on_rate_limits_shows_are_valid() -> None:
    (shown_file,) = blocks("how-to/rate-limits.md", "", "yaml")
    ((name, values),) = YAML(typ="safe").load(shown_file)["config"].items()
    assert name == "opstrace:dataApi"
    tenants = [{"name": tenant} for tenant in ("default", *values["tenants"])]
    config = from_settings(settings(tenants=tenants, dataApi={"publicKeys": {}, **values}), "showdown")
    assert config.data_api.tenants.keys() == {"checkout"}
