"""Options that several commands for keys and tokens share."""

import click

from components.core.public_keys import MAXIMUM_BITS, MINIMUM_BITS
from scripts.tokens.key_files import KEY_BITS
from scripts.ui.durations import Duration

EXPIRES_IN = click.option(
    "--expires-in",
    "seconds",
    type=Duration(),
    default="1y",
    show_default=True,
    help="Life of the token: 12h, 90d or 1y, at most 10y. A year has 365.25 days.",
)

BITS = click.option(
    "--bits",
    type=click.IntRange(MINIMUM_BITS, MAXIMUM_BITS),
    default=KEY_BITS,
    show_default=True,
    help="Size of the key in bits.",
)
