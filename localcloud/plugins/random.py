"""Stand-in for the `random` plugin, with the one resource type in use: `random:index/randomId:RandomId`."""

import base64
import secrets

from components.core.resource_names import RANDOM_ID_TYPE
from localcloud.plugins.provider import Call, Change, Live, Properties, ProviderError, main
from localcloud.plugins.values import UNKNOWN, changed_paths


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
    """Random values, which exist only in the engine's state: reading returns that state."""

    name = "random"
    package = "pulumi-random"
    place: tuple[str, ...] = ()

    def configure(self, config: Properties) -> None:
        """Do nothing: the plugin has no configuration."""

    def check(
        self, call: Call, old: Properties, new: Properties, seed: bytes
    ) -> tuple[Properties, list[tuple[str, str]]]:
        """Accept `byteLength`, `prefix` and `keepers` of a RandomId."""
        if call.type != RANDOM_ID_TYPE:
            raise ProviderError(f"the stand-in for pulumi-random has no {call.type}; use the official plugin")
        valid = isinstance(new.get("byteLength"), int) and new["byteLength"] > 0
        return new, [] if valid else [("byteLength", "must be an integer above 0")]

    def diff(self, call: Call, old_inputs: Properties, old_state: Properties, new: Properties) -> Change:
        """Return every change as a replacement."""
        paths = changed_paths(old_inputs, new)
        return Change(paths, paths)

    def preview(self, call: Call, inputs: Properties, old_state: Properties) -> Properties:
        """Return the inputs, with every form of the value unknown."""
        return inputs | dict.fromkeys(("hex", "dec", "b64Url", "b64Std"), UNKNOWN)

    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        """Create the random bytes; the id is their URL-safe base64 form."""
        data = secrets.token_bytes(inputs["byteLength"])
        return base64.urlsafe_b64encode(data).decode().rstrip("="), _state(inputs, data)

    def read(self, call: Call, identity: str, inputs: Properties, state: Properties) -> Live | None:
        """Return the value, which is in the id in URL-safe base64; so it can be imported."""
        data = base64.urlsafe_b64decode(identity + "=" * (-len(identity) % 4))
        declared = inputs or {"byteLength": len(data)}
        return Live(identity, _state(declared, data), declared)

    def update(
        self, call: Call, identity: str, old_state: Properties, old_inputs: Properties, new: Properties
    ) -> Properties:
        """Raise `ProviderError`: every change is a replacement."""
        raise ProviderError("a RandomId cannot be changed")

    def delete(self, call: Call, identity: str, state: Properties) -> None:
        """Do nothing: nothing exists outside of the state."""


if __name__ == "__main__":
    main(Random())
