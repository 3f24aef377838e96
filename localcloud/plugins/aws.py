"""Stand-in for the `aws` plugin: the resource types of the table, over boto3."""

import copy
import difflib
import json
import time
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.plugins import aws_network, aws_storage
from localcloud.plugins.aws_api import POLL_SECONDS, AwsApi, ResourceType, error_code, explained, made
from localcloud.plugins.provider import Call, Change, Found, Properties, ProviderError, cancelled, main
from localcloud.plugins.values import UNKNOWN, changed_paths

TYPES = aws_storage.TYPES | aws_network.TYPES
# What was deleted before is taken off some time later: a load balancer's network interfaces, for one.
STILL_USED = ("DependencyViolation", "ResourceInUse", "ResourceInUseException")
EVERYWHERE = ("region",)  # an input of every resource since version 7 of the official plugin


def _type(name: str) -> ResourceType:
    if name not in TYPES:
        raise ProviderError(f"the stand-in for pulumi-aws has no {name}; use the official plugin")
    return TYPES[name]


def _same_document(left: Any, right: Any) -> bool:
    try:
        return bool(json.loads(left) == json.loads(right))
    except (TypeError, ValueError):
        return bool(left == right)


class Aws:
    """One provider resource of the program: one account and region."""

    name = "aws"
    package = "pulumi-aws"
    place: tuple[str, ...] = ("region",)

    def configure(self, config: Properties) -> None:
        """Take `region`, `endpoints`, `profile`, keys and `s3UsePathStyle`; other settings have no meaning here."""
        decoded = {key: _from_text(value) for key, value in config.items()}
        self._api = AwsApi(decoded)

    def check(
        self, call: Call, old: Properties, new: Properties, seed: bytes
    ) -> tuple[Properties, list[tuple[str, str]]]:
        """Fill in the name and the defaults; report inputs that are missing or that the table does not have."""
        entry = _type(call.type)
        inputs = dict(entry.defaults) | copy.deepcopy(new)
        if entry.auto_name and entry.auto_name not in inputs:
            suffix = f"-{seed.hex()[:7]}"
            fresh = call.name[: entry.auto_name_length - len(suffix)] + suffix
            inputs[entry.auto_name] = old.get(entry.auto_name, fresh)
        failures = [(name, "is required") for name in entry.required if inputs.get(name) in (None, "")]
        for name in inputs:
            if name not in (*entry.inputs, *EVERYWHERE):
                near = difflib.get_close_matches(name, entry.inputs, 1)
                hint = f"; did you mean {near[0]}?" if near else "; use the official plugin"
                failures.append((name, f"is not known to the stand-in for {call.type}{hint}"))
        return inputs, failures

    def diff(self, call: Call, old_inputs: Properties, old_state: Properties, new: Properties) -> Change:
        """Compare the inputs, JSON documents by their content."""
        entry = _type(call.type)
        before = dict(old_inputs)
        for name in entry.documents:
            if name in before and _same_document(before[name], new.get(name)):
                before[name] = new.get(name)
        paths = changed_paths(before, new)
        fixed = [path for path in paths if path.split(".")[0].split("[")[0] in entry.fixed]
        # A name that stays the same can belong to one resource at a time.
        named = bool(entry.auto_name) and before.get(entry.auto_name) == new.get(entry.auto_name)
        return Change(paths, fixed, delete_first=named or call.type == "aws:route53/record:Record")

    def preview(self, call: Call, inputs: Properties, old_state: Properties) -> Properties:
        """Return the inputs, and what only AWS can tell as unknown or, of a resource that stays, as it was."""
        known = {name: old_state.get(name, UNKNOWN) for name in _type(call.type).computed}
        if "tags" in _type(call.type).optional:
            known["tagsAll"] = inputs.get("tags", {})
        return known | {"id": old_state.get("id", UNKNOWN)} | inputs

    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        """Make the resource and read it back."""
        entry = _type(call.type)
        try:
            identity = entry.create(self._api, inputs, call.timeout)
            with made(identity, inputs):
                return identity, self._state(entry, identity, inputs)
        except (ClientError, BotoCoreError) as error:
            raise explained(error) from error

    def _state(self, entry: ResourceType, identity: str, inputs: Properties) -> Properties:
        live = entry.read(self._api, identity, inputs)
        if live is None:
            raise ProviderError(f"{identity} was made but cannot be read back")
        return inputs | live | {"id": identity}

    def read(self, call: Call, identity: str, inputs: Properties, state: Properties) -> Found | None:
        """Return the live resource; its inputs are what AWS has now for those that were given."""
        entry = _type(call.type)
        try:
            live = entry.read(self._api, identity, inputs or state)
        except (ClientError, BotoCoreError) as error:
            raise explained(error) from error
        if live is None:
            return None
        names = inputs or {name: None for name in entry.inputs if live.get(name) not in (None, "", {}, [])}
        now = {name: live.get(name, inputs.get(name)) for name in names}
        for name in entry.write_only:
            if name in inputs:
                now[name] = inputs[name]
        for name in entry.documents:
            if name in inputs and _same_document(inputs[name], now.get(name)):
                now[name] = inputs[name]
        return Found(identity, state | now | live | {"id": identity}, now)

    def update(
        self, call: Call, identity: str, old_state: Properties, old_inputs: Properties, new: Properties
    ) -> Properties:
        """Change the resource in place and read it back."""
        entry = _type(call.type)
        changed = {path.split(".")[0].split("[")[0] for path in changed_paths(old_inputs, new)}
        try:
            # Without any change it is an update that finishes what a create could not.
            if not changed or not changed <= {*entry.write_only}:
                if entry.update is None and changed:
                    raise ProviderError(f"{call.type} cannot be changed in place")
                if entry.update:
                    entry.update(self._api, identity, old_inputs, new)
            return self._state(entry, identity, new)
        except (ClientError, BotoCoreError) as error:
            raise explained(error) from error

    def delete(self, call: Call, identity: str, state: Properties) -> None:
        """Remove the resource; one that is gone already is no error."""
        deadline = time.monotonic() + call.timeout
        while True:
            try:
                return _type(call.type).delete(self._api, identity, state)
            except (ClientError, BotoCoreError) as error:
                waits = isinstance(error, ClientError) and error_code(error) in STILL_USED
                if not waits or cancelled.is_set() or time.monotonic() > deadline:
                    raise explained(error) from error
            time.sleep(POLL_SECONDS)


def _from_text(value: Any) -> Any:
    """Return a provider's setting, which the engine may send as JSON text."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        return json.loads(value)
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


if __name__ == "__main__":
    main(Aws())
