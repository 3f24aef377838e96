"""Stand-in for the `aws` plugin: the resource types of `resource_types.py`, over boto3."""

import copy
import difflib
import json
from collections.abc import Callable, Sequence
from typing import Any

import tenacity
from botocore.exceptions import BotoCoreError, ClientError

from components.core.resource_names import GET_NODE_GROUP, RECORD_TYPE
from localcloud.plugins.aws import eks
from localcloud.plugins.aws.api import AwsApi, ResourceType, error_code, keeping_id, provider_error
from localcloud.plugins.aws.resource_types import TYPES
from localcloud.plugins.provider import Call, Change, Live, Properties, ProviderError, main, polling
from localcloud.plugins.values import UNKNOWN, changed_paths

# AWS removes parts of a deleted resource later, such as a load balancer's network interfaces.
STILL_USED = ("DependencyViolation", "ResourceInUse", "ResourceInUseException")
COMMON = ("region",)  # an input of every resource since version 7 of the official plugin


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
        """Use `region`, `endpoints`, `profile`, the keys, `s3UsePathStyle` and `allowedAccountIds`; ignore other settings.

        Like the official plugin, it refuses credentials of an account that is not allowed, whatever the operation.
        """
        decoded = {key: _from_text(value) for key, value in config.items()}
        self._api = AwsApi(decoded)
        if allowed := decoded.get("allowedAccountIds"):
            _require_account(self._api, allowed)

    @property
    def functions(self) -> dict[str, Callable[[Properties], Properties]]:
        """The functions that programs can call, by token."""
        return {GET_NODE_GROUP: lambda arguments: self._called(eks.node_group, arguments)}

    def _called(self, function: Callable[[AwsApi, Properties], Properties], arguments: Properties) -> Properties:
        try:
            return function(self._api, arguments)
        except (ClientError, BotoCoreError) as error:
            raise provider_error(error) from error

    def check(
        self, call: Call, old: Properties, new: Properties, seed: bytes
    ) -> tuple[Properties, list[tuple[str, str]]]:
        """Fill in the name and the defaults; report inputs that are missing or unknown."""
        entry = _type(call.type)
        inputs = dict(entry.defaults) | copy.deepcopy(new)
        if entry.auto_name and entry.auto_name not in inputs:
            suffix = f"-{seed.hex()[:7]}"
            fresh = call.name[: entry.auto_name_length - len(suffix)] + suffix
            inputs[entry.auto_name] = old.get(entry.auto_name, fresh)
        failures = [(name, "is required") for name in entry.required if inputs.get(name) in (None, "")]
        for name in inputs:
            if name not in (*entry.inputs, *COMMON):
                near = difflib.get_close_matches(name, entry.inputs, 1)
                hint = f"; did you mean {near[0]}?" if near else "; use the official plugin"
                failures.append((name, f"is unknown to the stand-in for {call.type}{hint}"))
        return inputs, failures

    def diff(self, call: Call, old_inputs: Properties, old_state: Properties, new: Properties) -> Change:
        """Compare the inputs; JSON documents by content."""
        entry = _type(call.type)
        before = dict(old_inputs)
        for name in entry.documents:
            if name in before and _same_document(before[name], new.get(name)):
                before[name] = new.get(name)
        paths = changed_paths(before, new)
        fixed = [path for path in paths if path.split(".")[0].split("[")[0] in entry.fixed]
        # Only one resource at a time can have the name.
        keeps_name = bool(entry.auto_name) and before.get(entry.auto_name) == new.get(entry.auto_name)
        return Change(paths, fixed, delete_first=keeps_name or call.type == RECORD_TYPE)

    def preview(self, call: Call, inputs: Properties, old_state: Properties) -> Properties:
        """Return the inputs with the computed outputs: unknown ones for a new resource, else the old ones."""
        outputs = {name: old_state.get(name, UNKNOWN) for name in _type(call.type).computed}
        if "tags" in _type(call.type).optional:
            outputs["tagsAll"] = inputs.get("tags", {})
        return outputs | {"id": old_state.get("id", UNKNOWN)} | inputs

    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        """Create the resource and read it back."""
        entry = _type(call.type)
        try:
            identity = entry.create(self._api, inputs, call.timeout)
            with keeping_id(identity, inputs):
                return identity, self._state(entry, identity, inputs)
        except (ClientError, BotoCoreError) as error:
            raise provider_error(error) from error

    def _state(self, entry: ResourceType, identity: str, inputs: Properties) -> Properties:
        live = entry.read(self._api, identity, inputs)
        if live is None:
            raise ProviderError(f"{identity} was created, but cannot be read back")
        return inputs | live | {"id": identity}

    def read(self, call: Call, identity: str, inputs: Properties, state: Properties) -> Live | None:
        """Return the live resource; its inputs have AWS's present values for the names in `inputs`."""
        entry = _type(call.type)
        try:
            live = entry.read(self._api, identity, inputs or state)
        except (ClientError, BotoCoreError) as error:
            raise provider_error(error) from error
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
        return Live(identity, state | now | live | {"id": identity}, now)

    def update(
        self, call: Call, identity: str, old_state: Properties, old_inputs: Properties, new: Properties
    ) -> Properties:
        """Change the resource in place and read it back."""
        entry = _type(call.type)
        changed = {path.split(".")[0].split("[")[0] for path in changed_paths(old_inputs, new)}
        try:
            # An update without a change completes a resource whose creation failed halfway.
            if not changed or not changed <= {*entry.write_only}:
                if entry.update is None and changed:
                    raise ProviderError(f"{call.type} cannot be changed in place")
                if entry.update:
                    entry.update(self._api, identity, old_inputs, new)
            return self._state(entry, identity, new)
        except (ClientError, BotoCoreError) as error:
            raise provider_error(error) from error

    def delete(self, call: Call, identity: str, state: Properties) -> None:
        """Delete the resource; a missing resource is no error. Waits for the end of other resources that use it."""
        try:
            polling(tenacity.retry_if_exception(_is_still_used), call.timeout)(
                _type(call.type).delete, self._api, identity, state
            )
        except (ClientError, BotoCoreError) as error:
            raise provider_error(error) from error


def _require_account(api: AwsApi, allowed: Sequence[str]) -> None:
    try:
        account = api.account()
    except (ClientError, BotoCoreError) as error:
        raise provider_error(error) from error
    if account not in allowed:
        raise ProviderError(f"AWS account ID not allowed: {account}")


def _is_still_used(error: BaseException) -> bool:
    return isinstance(error, ClientError) and error_code(error) in STILL_USED


def _from_text(value: Any) -> Any:
    """Return the value of a provider's setting, which the engine may send as JSON text."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        return json.loads(value)
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


if __name__ == "__main__":
    main(Aws())
