"""Connecting clients: the commands that the page shows are commands that work, and they have no key and no token."""

import html
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from scripts.cli.integrations.write import write
from scripts.integrations.catalog import FORMATS
from scripts.integrations.request import Request
from scripts.web.views.connect import write_command
from tests.support.page import Site


def copied(page: str) -> list[str]:
    """Return the commands that buttons copy."""
    return [html.unescape(text) for text in re.findall(r'data-copy="([^"]*)"', page)]


def test_a_tenant_has_the_token_step_and_a_command_for_each_format(site: Site) -> None:
    browser = site.browser()
    commands = copied(browser.get("/tenants/default"))
    assert commands == copied(browser.get("/tenants/default/connect"))
    token, *integrations = commands
    assert token == "./opstrace ta-create-token showdown default KEYPAIR_FILE --out default.jwt"
    assert [command.split()[6] for command in integrations] == [*FORMATS]
    assert all(command.startswith("./opstrace integrations write local showdown default ") for command in integrations)


@pytest.mark.parametrize("name", FORMATS)
def test_each_command_is_one_that_the_command_line_takes(name: str) -> None:
    program, group, verb, *arguments = shlex.split(write_command("local", "showdown", "shop", FORMATS[name]))
    assert (program, group, verb) == ("./opstrace", "integrations", "write")
    found: dict[str, Any] = write.make_context("write", arguments).params
    assert (found["tenant"], found["format_name"]) == ("shop", name)
    Request(
        provider=found["provider_name"],
        instance=found["instance"],
        tenant=found["tenant"],
        format=FORMATS[name],
        output=Path("/") / found["output"],
        create_token=found["create_token"],
        seconds=found["seconds"],
        secret=found["secret"],
    ).require_valid()


def test_the_urls_are_those_of_the_tenant(site: Site) -> None:
    page = site.browser().get("/tenants/default/connect")
    assert "https://cortex.default.showdown.example.com" in page and "https://loki.default.showdown.example.com" in page


def test_nobody_has_nothing_to_connect(site: Site) -> None:
    assert "There is no tenant nobody" in site.browser().get("/tenants/nobody/connect", 404)
