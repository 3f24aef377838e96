"""Owners of an object's fields (`metadata.managedFields`), of which the official plugin takes some over before an update.

These are kubectl's own edits and applies (provider/pkg/await/await.go, `fixCSAFieldManagers`). It does not take over
subresources, as `kubectl scale` writes them. Their fields are conflicts, unless an apply uses force.
"""

from typing import Any

Entry = dict[str, Any]

# Managers whose name begins like this, by the kind of their operation.
TAKEN_OVER = (("kubectl", "Apply"), ("kubectl", "Update"), ("before-first-apply", "Update"))


def _union(left: Entry, right: Entry) -> Entry:
    """Return the fields of both sets in the form `fieldsV1`; in a set with children, `.` stands for the field itself."""
    if not left or not right:
        return {".": {}, **left, **right} if left or right else {}
    shared = {key: _union(left[key], right[key]) for key in left if key in right}
    return left | right | shared


def _is_taken_over(entry: Entry) -> bool:
    name, operation = entry.get("manager", ""), entry.get("operation")
    return not entry.get("subresource") and any(
        name.startswith(prefix) and operation == kind for prefix, kind in TAKEN_OVER
    )


def taken_over(entries: list[Entry], manager: str) -> list[Entry] | None:
    """Return the entries after `manager` has taken over fields of others for its applies; None if there are none."""
    others = [entry for entry in entries if _is_taken_over(entry)]
    if not others:
        return None
    own = [entry for entry in entries if entry.get("manager") == manager and entry.get("operation") == "Apply"]
    kept = [entry for entry in entries if entry not in own and entry not in others]
    first, *more = [*own, *others]
    fields = first["fieldsV1"]
    for entry in more:
        fields = _union(fields, entry["fieldsV1"])
    return [*kept, first | {"manager": manager, "operation": "Apply", "fieldsV1": fields}]
