"""The option --scope, which several commands have."""

import click

from components.core.scopes import SCOPES, Scope


class Scopes(click.ParamType[tuple[Scope, ...]]):
    """The type of an option with names of scopes, separated by commas."""

    name = "scopes"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Scope, ...]:
        """Return the scopes. An unknown name is a usage error."""
        names = str(value).split(",") if isinstance(value, str) else list(value)  # type: ignore[call-overload]  # click passes a text, or scopes that are converted already
        unknown = [name for name in names if name not in SCOPES]
        if unknown:
            self.fail(f"{', '.join(map(repr, unknown))}: there are {', '.join(SCOPES)}", param, ctx)
        return tuple(scope for scope in SCOPES if scope in names)


SCOPE = click.option(
    "--scope",
    "scopes",
    type=Scopes(),
    metavar="NAMES",
    help=f"Allow only these scopes, separated by commas: {', '.join(SCOPES)}.",
)
