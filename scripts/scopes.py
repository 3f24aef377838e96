"""The option --scope, as several verbs take it."""

import click

from components.access import SCOPES, Scope


class Scopes(click.ParamType[tuple[Scope, ...]]):
    """An option's value that names scopes, with commas between them."""

    name = "scopes"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Scope, ...]:
        """Return the scopes; an unknown one is wrong usage, for it would limit more than was meant."""
        names = str(value).split(",") if isinstance(value, str) else list(value)  # type: ignore[call-overload]
        unknown = [name for name in names if name not in SCOPES]
        if unknown:
            self.fail(f"{', '.join(map(repr, unknown))}: there are {', '.join(SCOPES)}", param, ctx)
        return tuple(scope for scope in SCOPES if scope in names)


SCOPE = click.option(
    "--scope", "scopes", type=Scopes(), metavar="NAMES", help=f"Only these, with commas between: {', '.join(SCOPES)}."
)
