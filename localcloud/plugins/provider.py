"""The engine's provider protocol (pulumi/proto/provider.proto) over a plain Python interface, for all stand-ins."""

import gc
import json
import operator
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable
from concurrent import futures
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import grpc
import tenacity
from google.protobuf import any_pb2, empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2_grpc, status_pb2
from pulumi.runtime.proto import provider_pb2 as pb

from components.core.resource_names import logical_name, type_token
from localcloud.plugins.values import changed_paths, decode, encode

Properties = dict[str, Any]
PARENT_POLL_SECONDS = 0.5
FIRST_POLL_SECONDS, POLL_SECONDS = 0.1, 0.5  # between two checks, at first and at last: most waits are short
WORKERS = 64  # a call that waits for a workload occupies one
DEFAULT_TIMEOUT_SECONDS = 600.0
ANSWER_SECONDS = 30  # for an answer of a cloud's API, before the request is repeated

cancelled = threading.Event()
"""Set when the engine asks to stop: waiting calls then end with an error that names the unmet condition."""


def polling(retry: Any, seconds: float) -> tenacity.Retrying:
    """Return a caller that repeats a function while `retry` is true, for `seconds` or until the engine asks to stop.

    Most operations wait for a plugin's start. tenacity adds 4 ms to the 200 ms that the AWS stand-in needs.
    """
    return tenacity.Retrying(
        retry=retry,
        stop=tenacity.stop_after_delay(seconds) | tenacity.stop_when_event_set(cancelled),
        wait=tenacity.wait_exponential(multiplier=FIRST_POLL_SECONDS, max=POLL_SECONDS),
        sleep=tenacity.sleep_using_event(cancelled),
        reraise=True,
    )


def until(check: Callable[[], bool], seconds: float) -> bool:
    """Call `check` until it is true; return False after `seconds`, or when the engine asks to stop."""
    retrying = polling(tenacity.retry_if_result(operator.not_), seconds)
    return bool(retrying.copy(retry_error_callback=lambda _: False)(check))


class ProviderError(Exception):
    """The call failed; the engine shows the text beside the resource."""


class NotReadyError(ProviderError):
    """The resource exists but is not ready; the engine stores its state, and the next update tries again."""

    def __init__(self, identity: str, state: Properties, inputs: Properties, reasons: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.identity, self.state, self.inputs, self.reasons = identity, state, inputs, reasons


@dataclass(frozen=True)
class Call:
    """A call for one resource, without its properties.

    `custom_timeout` is the resource's own (`customTimeouts`), 0 if it has none. Timeouts are in seconds.
    """

    type: str
    name: str
    urn: str
    custom_timeout: float = 0

    @property
    def timeout(self) -> float:
        """The resource's own timeout, or the default."""
        return self.custom_timeout or DEFAULT_TIMEOUT_SECONDS


@dataclass
class Change:
    """The paths of changed properties. Those in `replaces` need a new resource; `delete_first` deletes the old one first."""

    paths: list[str] = field(default_factory=list)
    replaces: list[str] = field(default_factory=list)
    delete_first: bool = False


@dataclass(frozen=True)
class Live:
    """A live resource: its state, and the inputs that would produce it."""

    identity: str
    state: Properties
    inputs: Properties


class Provider(Protocol):
    """The interface of a plugin; every method may raise `ProviderError`.

    `place` are the provider's settings that determine where resources are: a change of one setting replaces all
    resources.
    """

    name: str
    place: tuple[str, ...]
    package: str

    def configure(self, config: Properties) -> None:
        """Use the inputs of the provider resource; called before all other methods."""

    def check(
        self, call: Call, old: Properties, new: Properties, seed: bytes
    ) -> tuple[Properties, list[tuple[str, str]]]:
        """Return the inputs with defaults, and the errors as pairs of property and reason."""

    def diff(self, call: Call, old_inputs: Properties, old_state: Properties, new: Properties) -> Change:
        """Return the changes from the old inputs to `new`."""

    def preview(self, call: Call, inputs: Properties, old_state: Properties) -> Properties:
        """Return the state after the call, as far as it can be predicted."""

    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        """Create the resource, which must not exist yet; return its id and state."""

    def read(self, call: Call, identity: str, inputs: Properties, state: Properties) -> Live | None:
        """Return the live resource, None where it is gone; `inputs` is empty on import."""

    def update(
        self, call: Call, identity: str, old_state: Properties, old_inputs: Properties, new: Properties
    ) -> Properties:
        """Change the resource in place; return its new state."""

    def delete(self, call: Call, identity: str, state: Properties) -> None:
        """Delete the resource and wait until it is gone; a missing resource is no error."""


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """Answers the engine's calls by a provider of `version`."""

    def __init__(self, provider: Provider, version: str) -> None:
        self._provider = provider
        self._version = version

    def Handshake(self, request: Any, context: Any) -> Any:
        return pb.ProviderHandshakeResponse(accept_secrets=False, accept_resources=False, accept_outputs=False)

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=self._version)

    def GetSchema(self, request: Any, context: Any) -> Any:
        text = (
            f"the stand-in for {self._provider.package} has no schema, so no code can be generated; use `pulumi import` with "
            "--generate-code=false"
        )
        context.abort(grpc.StatusCode.UNIMPLEMENTED, text)

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return pb.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        # Like the official plugins, compare the inputs: another region or cluster is another provider.
        paths = changed_paths(decode(request.old_inputs), decode(request.news))
        changes = pb.DiffResponse.DIFF_SOME if paths else pb.DiffResponse.DIFF_NONE
        names = sorted({path.split(".")[0] for path in paths})
        replaces = [name for name in names if name in self._provider.place]
        return pb.DiffResponse(changes=changes, diffs=names, replaces=replaces)

    def Configure(self, request: Any, context: Any) -> Any:
        self._answer(context, lambda: self._provider.configure(decode(request.args)))
        return pb.ConfigureResponse(acceptSecrets=False, supportsPreview=True, acceptResources=False)

    def Check(self, request: Any, context: Any) -> Any:
        if request.olds.fields and request.olds == request.news:
            # They were checked when they were new, unless they were read, and `check` fills in nothing where nothing is
            # missing. In an update of a large stack, nearly all inputs are such; decoding and encoding them takes longer.
            return pb.CheckResponse(inputs=request.news)
        call = self._call(request)
        inputs, failures = self._answer(
            context,
            lambda: self._provider.check(call, decode(request.olds), decode(request.news), request.randomSeed),
        )
        reported = [pb.CheckFailure(property=name, reason=reason) for name, reason in failures]
        return pb.CheckResponse(inputs=encode(inputs), failures=reported)

    def Diff(self, request: Any, context: Any) -> Any:
        if request.old_inputs == request.news:  # true for nearly all resources of a large stack; decoding takes longer
            return pb.DiffResponse(changes=pb.DiffResponse.DIFF_NONE, hasDetailedDiff=True)
        call = self._call(request)
        old_inputs, old, new = decode(request.old_inputs), decode(request.olds), decode(request.news)
        _ignore(old_inputs, new, request.ignoreChanges)
        change = self._answer(context, lambda: self._provider.diff(call, old_inputs, old, new))
        some = bool(change.paths)
        detailed = {}
        for path in change.paths:
            kind = pb.PropertyDiff.UPDATE_REPLACE if path in change.replaces else pb.PropertyDiff.UPDATE
            detailed[path] = pb.PropertyDiff(kind=kind, inputDiff=True)
        return pb.DiffResponse(
            changes=pb.DiffResponse.DIFF_SOME if some else pb.DiffResponse.DIFF_NONE,
            replaces=change.replaces,
            deleteBeforeReplace=bool(change.replaces) and change.delete_first,
            diffs=sorted({path.split(".")[0].split("[")[0] for path in change.paths}),
            detailedDiff=detailed,
            hasDetailedDiff=True,
        )

    def Create(self, request: Any, context: Any) -> Any:
        call, inputs = self._call(request), decode(request.properties)
        if request.preview:
            state = self._answer(context, lambda: self._provider.preview(call, inputs, {}))
            return pb.CreateResponse(properties=encode(state))
        identity, state = self._answer(context, lambda: self._provider.create(call, inputs))
        return pb.CreateResponse(id=identity, properties=encode(state))

    def Read(self, request: Any, context: Any) -> Any:
        call, inputs, state = self._call(request), decode(request.inputs), decode(request.properties)
        live = self._answer(context, lambda: self._provider.read(call, request.id, inputs, state))
        if live is None:
            return pb.ReadResponse()
        return pb.ReadResponse(id=live.identity, properties=encode(live.state), inputs=encode(live.inputs))

    def Update(self, request: Any, context: Any) -> Any:
        call = self._call(request)
        old_state, old_inputs, new = decode(request.olds), decode(request.old_inputs), decode(request.news)
        _ignore(old_inputs, new, request.ignoreChanges)
        if request.preview:
            return pb.UpdateResponse(
                properties=encode(self._answer(context, lambda: self._provider.preview(call, new, old_state)))
            )
        state = self._answer(context, lambda: self._provider.update(call, request.id, old_state, old_inputs, new))
        return pb.UpdateResponse(properties=encode(state))

    def Delete(self, request: Any, context: Any) -> Any:
        call, state = self._call(request), decode(request.properties)
        self._answer(context, lambda: self._provider.delete(call, request.id, state))
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:
        functions = getattr(self._provider, "functions", {})
        if request.tok in functions:
            answer = self._answer(context, lambda: functions[request.tok](decode(request.args)))
            return pb.InvokeResponse(**{"return": encode(answer)})
        text = f"the stand-in for {self._provider.package} has no function {request.tok}; use the official plugin"
        context.abort(grpc.StatusCode.UNIMPLEMENTED, text)

    def Cancel(self, request: Any, context: Any) -> Any:
        cancelled.set()
        return empty_pb2.Empty()

    @staticmethod
    def _call(request: Any) -> Call:
        kind, name = type_token(request.urn), logical_name(request.urn)
        return Call(kind, name, request.urn, getattr(request, "timeout", 0))

    @staticmethod
    def _answer(context: Any, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except NotReadyError as error:
            detail = any_pb2.Any()
            detail.Pack(
                pb.ErrorResourceInitFailed(
                    id=error.identity,
                    properties=encode(error.state),
                    inputs=encode(error.inputs),
                    reasons=error.reasons,
                )
            )
            status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error), details=[detail])
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        except ProviderError as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        except Exception as error:
            traceback.print_exc()
            context.abort(grpc.StatusCode.UNKNOWN, f"fault of the stand-in: {error!r}")


def _ignore(old_inputs: Properties, new: Properties, paths: Any) -> None:
    """Give the properties named in `ignoreChanges` their old values in `new`."""
    for path in paths:
        if path in old_inputs:
            new[path] = old_inputs[path]
        else:
            new.pop(path, None)


def end_with_parent() -> None:
    """End this process soon after its parent has ended.

    The engine asks its plugins to stop, but not if it was killed.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_POLL_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def serve(add: Callable[[grpc.Server], None]) -> None:
    """Serve on a free loopback port, print the port for the engine, and run until stopped."""
    end_with_parent()
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))  # the engine's signal to a plugin's process group
    server = grpc.server(
        futures.ThreadPoolExecutor(WORKERS),
        options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)],
    )
    add(server)
    gc.freeze()  # exclude the imported modules from later scans; `localcloud.plugins` switched the collector off
    gc.enable()
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


def _version(package: str) -> str:
    """Return the version of the plugin that belongs to an installed SDK package, such as `pulumi-aws`, as that records it.

    `importlib.metadata` would tell it too, and takes a tenth of a plugin's start to import.
    """
    spec = find_spec(package.replace("-", "_"))
    (folder,) = (spec and spec.submodule_search_locations) or [""]
    return str(json.loads((Path(folder) / "pulumi-plugin.json").read_text())["version"])


def main(provider: Provider) -> None:
    """Run `provider` as a plugin."""
    servicer = Servicer(provider, _version(provider.package))
    serve(lambda server: provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server))
