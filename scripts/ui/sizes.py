"""Sizes as the command prints them."""

UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
UNIT = 1000


def in_units(size: int) -> str:
    """Return a number of bytes in powers of 1000, such as `1.2 GB`.

    `rich.filesize.decimal` writes other text for the same size (`500 bytes`), and the tables of stdout stay as they are.
    """
    number, unit = float(size), 0
    while number >= UNIT and unit < len(UNITS) - 1:
        number, unit = number / UNIT, unit + 1
    return f"{number:.0f} B" if unit == 0 else f"{number:.1f} {UNITS[unit]}"
