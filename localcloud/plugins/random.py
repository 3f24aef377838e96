"""Stand-in for the `random` plugin: `random:index/randomId:RandomId`, the one type in use."""

import base64
import secrets

from localcloud.plugins.provider import Call, Change, Found, Properties, ProviderError, main
from localcloud.plugins.values import UNKNOWN, changed_paths

RANDOM_ID = "random:index/randomId:RandomId"


def _state(inputs: Properties, data: bytes) -> Properties:
    prefix = inputs.get("prefix", "")
    url = base64.urlsafe_b64encode(data).decode().rstrip("=")
    return inputs | {
        "hex": prefix + data.hex(),
        "dec": f"{prefix}{int.from_bytes(data, 'big')}",
        "b64Url": prefix + url,
        "b64Std": prefix + base64.b64encode(data).decode(),
    }


class Random:
    """Random values live in the engine's state alone: to read is to return what it holds."""

    name = "random"
    package = "pulumi-random"
    place: tuple[str, ...] = ()

    def configure(self, config: Properties) -> None:
        """Take nothing: the plugin has no configuration."""

    def check(
        self, call: Call, old: Properties, new: Properties, seed: bytes
    ) -> tuple[Properties, list[tuple[str, str]]]:
        """Accept `byteLength`, `prefix` and `keepers` of a RandomId."""
        if call.type != RANDOM_ID:
            raise ProviderError(f"the stand-in for pulumi-random has no {call.type}; use the official plugin")
        valid = isinstance(new.get("byteLength"), int) and new["byteLength"] > 0
        return new, [] if valid else [("byteLength", "a whole number above 0 is required")]

    def diff(self, call: Call, old_inputs: Properties, old_state: Properties, new: Properties) -> Change:
        """Every change makes a new value."""
        paths = changed_paths(old_inputs, new)
        return Change(paths, paths)

    def preview(self, call: Call, inputs: Properties, old_state: Properties) -> Properties:
        """Return the inputs, and every form of the value as unknown."""
        return inputs | dict.fromkeys(("hex", "dec", "b64Url", "b64Std"), UNKNOWN)

    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        """Draw the bytes."""
        data = secrets.token_bytes(inputs["byteLength"])
        return base64.urlsafe_b64encode(data).decode().rstrip("="), _state(inputs, data)

    def read(self, call: Call, identity: str, inputs: Properties, state: Properties) -> Found | None:
        """Return what is held; on import the id is the value, in URL-safe base64."""
        data = base64.urlsafe_b64decode(identity + "=" * (-len(identity) % 4))
        known = inputs or {"byteLength": len(data)}
        return Found(identity, _state(known, data), known)

    def update(
        self, call: Call, identity: str, old_state: Properties, old_inputs: Properties, new: Properties
    ) -> Properties:
        """Never called: every change replaces."""
        raise ProviderError("a RandomId cannot be changed")

    def delete(self, call: Call, identity: str, state: Properties) -> None:
        """Do nothing: there is nothing outside the state."""


if __name__ == "__main__":
    main(Random())
