"""What an update does with tenants, in one line; for the command, and for the program's previews."""

from collections.abc import Collection


def headline(**tenants: Collection[str]) -> str:
    """Return, as in '1 tenant to add (a), 2 to delete (b, c)', which tenants an update does what with; '' for none."""
    parts = [f"{len(names)} to {what} ({', '.join(sorted(names))})" for what, names in tenants.items() if names]
    if not parts:
        return ""
    count, _, rest = parts[0].partition(" ")
    return ", ".join([f"{count} {'tenant' if count == '1' else 'tenants'} {rest}", *parts[1:]])
