"""The engine's provider protocol (pulumi/proto/provider.proto), once, over a plain Python interface."""

import gc
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable
from concurrent import futures
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Protocol

import grpc
from google.protobuf import any_pb2, empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2_grpc, status_pb2
from pulumi.runtime.proto import provider_pb2 as pb

from localcloud.plugins.values import changed_paths, decode, encode

Properties = dict[str, Any]
PARENT_POLL_SECONDS = 0.5
WORKERS = 64  # a call that waits for a workload holds one
DEFAULT_TIMEOUT_SECONDS = 600.0
ANSWER_SECONDS = 30  # of a cloud's API; then it is asked again

cancelled = threading.Event()
"""Set when the engine asks to stop: what waits gives up, and says how far it came."""


class ProviderError(Exception):
    """The call failed; the text is what the engine shows beside the resource."""


class NotReadyError(ProviderError):
    """The resource is there but did not become ready; its state is kept, and the next update tries again."""

    def __init__(self, identity: str, state: Properties, inputs: Properties, reasons: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.identity, self.state, self.inputs, self.reasons = identity, state, inputs, reasons


@dataclass(frozen=True)
class Call:
    """What the engine says of a resource beside its properties. `timeout` is in seconds."""

    type: str
    name: str
    urn: str
    timeout: float = DEFAULT_TIMEOUT_SECONDS


@dataclass
class Change:
    """What differs: property paths, and those of them that only a new resource can have."""

    paths: list[str] = field(default_factory=list)
    replaces: list[str] = field(default_factory=list)
    delete_first: bool = False


@dataclass(frozen=True)
class Found:
    """A live resource: what it is (`state`) and the inputs that would make it so."""

    identity: str
    state: Properties
    inputs: Properties


class Provider(Protocol):
    """What a plugin implements; every method may raise `ProviderError`.

    `place` are the settings that say where resources are: with another, all of them are others.
    """

    name: str
    place: tuple[str, ...]
    package: str

    def configure(self, config: Properties) -> None:
        """Take the provider resource's inputs, before any other call."""

    def check(
        self, call: Call, old: Properties, new: Properties, seed: bytes
    ) -> tuple[Properties, list[tuple[str, str]]]:
        """Return the inputs with defaults filled in, and what is wrong as pairs of property and reason."""

    def diff(self, call: Call, old_inputs: Properties, old_state: Properties, new: Properties) -> Change:
        """Return what has to change for the resource to be as `new` says."""

    def preview(self, call: Call, inputs: Properties, old_state: Properties) -> Properties:
        """Return the state as far as it is known before the call is made."""

    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        """Make the resource; return its id and state. It must not be there yet."""

    def read(self, call: Call, identity: str, inputs: Properties, state: Properties) -> Found | None:
        """Return the live resource, None where it is gone. `inputs` is empty on import."""

    def update(
        self, call: Call, identity: str, old_state: Properties, old_inputs: Properties, new: Properties
    ) -> Properties:
        """Change the resource in place; return its new state."""

    def delete(self, call: Call, identity: str, state: Properties) -> None:
        """Remove the resource and wait until it is gone; one that is gone already is no error."""


class _Servicer(provider_pb2_grpc.ResourceProviderServicer):
    def __init__(self, provider: Provider, version: str) -> None:
        self._provider = provider
        self._version = version

    def Handshake(self, request: Any, context: Any) -> Any:
        return pb.ProviderHandshakeResponse(accept_secrets=False, accept_resources=False, accept_outputs=False)

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=self._version)

    def GetSchema(self, request: Any, context: Any) -> Any:
        text = (
            f"the stand-in for {self._provider.package} carries no schema, from which code would be generated; "
            "`pulumi import` works with --generate-code=false"
        )
        context.abort(grpc.StatusCode.UNIMPLEMENTED, text)

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return pb.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        # The inputs are compared, as the official plugins do: a changed region or cluster is another provider.
        paths = changed_paths(decode(request.old_inputs), decode(request.news))
        changes = pb.DiffResponse.DIFF_SOME if paths else pb.DiffResponse.DIFF_NONE
        names = sorted({path.split(".")[0] for path in paths})
        replaces = [name for name in names if name in self._provider.place]
        return pb.DiffResponse(changes=changes, diffs=names, replaces=replaces)

    def Configure(self, request: Any, context: Any) -> Any:
        self._answer(context, lambda: self._provider.configure(decode(request.args)))
        return pb.ConfigureResponse(acceptSecrets=False, supportsPreview=True, acceptResources=False)

    def Check(self, request: Any, context: Any) -> Any:
        call = self._call(request)
        inputs, failures = self._answer(
            context,
            lambda: self._provider.check(call, decode(request.olds), decode(request.news), request.randomSeed),
        )
        found = [pb.CheckFailure(property=name, reason=reason) for name, reason in failures]
        return pb.CheckResponse(inputs=encode(inputs), failures=found)

    def Diff(self, request: Any, context: Any) -> Any:
        if request.old_inputs == request.news:  # nearly all of a large stack, each time: not worth decoding
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
        found = self._answer(context, lambda: self._provider.read(call, request.id, inputs, state))
        if found is None:
            return pb.ReadResponse()
        return pb.ReadResponse(id=found.identity, properties=encode(found.state), inputs=encode(found.inputs))

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
        text = f"the stand-in for {self._provider.package} has no function {request.tok}; use the official plugin"
        context.abort(grpc.StatusCode.UNIMPLEMENTED, text)

    def Cancel(self, request: Any, context: Any) -> Any:
        cancelled.set()
        return empty_pb2.Empty()

    @staticmethod
    def _call(request: Any) -> Call:
        kind, name = request.urn.split("::")[2].split("$")[-1], request.urn.split("::")[-1]
        return Call(kind, name, request.urn, getattr(request, "timeout", 0) or DEFAULT_TIMEOUT_SECONDS)

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
    """End this process soon after the one that started it has ended, however that was.

    The engine tells its plugins to stop, but one that was killed tells nobody.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_POLL_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def serve(add: Callable[[grpc.Server], None]) -> None:
    """Serve on a free port of loopback, print the port as the engine expects, and stay until told to stop."""
    end_with_parent()
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))  # how the engine ends its plugins, each in its own group
    server = grpc.server(
        futures.ThreadPoolExecutor(WORKERS),
        options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)],
    )
    add(server)
    gc.freeze()  # what is imported stays: `localcloud.plugins` has let it be until here
    gc.enable()
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


def main(provider: Provider) -> None:
    """Run `provider` as a plugin."""
    servicer = _Servicer(provider, version(provider.package))
    serve(lambda server: provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server))
