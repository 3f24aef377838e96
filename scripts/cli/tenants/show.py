"""`tenants list` and `tenants show`."""

import io
from typing import Any

import click

from scripts.cli.options import pass_context
from scripts.cli.output.newest_data import ages_in_words, note_reasons
from scripts.clients.providers import PROVIDER
from scripts.context.context import Context
from scripts.stackfile.file import round_trip
from scripts.tenants.reports.list_and_show import list_tenants, show_tenant
from scripts.ui.durations import age_in_words
from scripts.ui.sizes import in_units
from scripts.ui.terminal import JSON_ARRAY, JSON_OBJECT, note, show_columns, stdout_json

COLUMNS = ("NAME", "STATE", "AGE", "RETENTION", "STORED", "SERIES", "METRICS", "LOGS")


def _row(facts: dict[str, Any]) -> list[str]:
    """Return the cells of a tenant in the order of `COLUMNS`."""
    series, size = facts.get("activeSeries"), facts.get("storedBytes")
    return [
        facts["name"],
        facts["state"],
        age_in_words(facts.get("ageSeconds")),
        "/".join(facts.get("retention", {"-": "-"}).values()),
        "-" if size is None else in_units(size),
        "-" if series is None else f"{series:,}",
        facts["cortex"],
        facts["loki"],
    ]


@click.command("list", short_help="List an instance's tenants.")
@PROVIDER
@click.argument("instance")
@JSON_ARRAY
@pass_context
def list_(context: Context, provider_name: str, instance: str, as_json: bool) -> None:
    """List the tenants of INSTANCE with state, age, retention, contents and URLs.

    For the tenant system, a line on standard error says how old the newest data of the collectors is.
    """
    tenants = list_tenants(context, provider_name, instance)
    if as_json:
        stdout_json(tenants)
        return
    show_columns(COLUMNS, map(_row, tenants))
    for facts in tenants:
        for reason in facts.get("reasons", []):
            note(f"{facts['name']}: {reason}")
        if newest := facts.get("newestData"):
            note(f"{facts['name']}: {ages_in_words(newest)}")
            note_reasons(newest)


@click.command(short_help="Show one tenant with the limits in force.")
@PROVIDER
@click.argument("instance")
@click.argument("tenant")
@JSON_OBJECT
@pass_context
def show(context: Context, provider_name: str, instance: str, tenant: str, as_json: bool) -> None:
    """Show all settings of TENANT in INSTANCE, its contents, and the limits in force in its back ends."""
    facts = show_tenant(context, provider_name, instance, tenant)
    if as_json:
        stdout_json(facts)
        return
    text = io.StringIO()
    round_trip().dump(facts, text)
    click.echo(text.getvalue(), nl=False)
