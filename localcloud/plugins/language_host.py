"""Stand-in for the engine's Python language host, for a machine that cannot download the official one.

It implements pulumi/proto/language.proto. It runs the program by `pulumi-language-python-exec`, the script of the official
host, in the virtual environment that Pulumi.yaml names.
"""

import json
import os
import subprocess
import sys
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any

from google.protobuf import empty_pb2
from pulumi.runtime.proto import language_pb2 as pb
from pulumi.runtime.proto import language_pb2_grpc, plugin_pb2

from localcloud.plugins.provider import serve
from localcloud.plugins.values import decode

SHOWN_BY_PROGRAM = 32  # the script's exit code where the program has already printed the error


def _python(info: Any) -> str:
    options = decode(info.options) if info.HasField("options") else {}
    environment = options.get("virtualenv")
    return str(Path(info.root_directory) / environment / "bin" / "python") if environment else sys.executable


class _Host(language_pb2_grpc.LanguageRuntimeServicer):
    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._program: subprocess.Popen[bytes] | None = None

    def Handshake(self, request: Any, context: Any) -> Any:
        return pb.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=version("pulumi"))

    def GetRequiredPackages(self, request: Any, context: Any) -> Any:
        return pb.GetRequiredPackagesResponse()  # each resource names its plugin's version when it registers

    def GetRequiredPlugins(self, request: Any, context: Any) -> Any:
        return pb.GetRequiredPluginsResponse()

    def About(self, request: Any, context: Any) -> Any:
        python = _python(request.info) if request.HasField("info") else sys.executable
        return pb.AboutResponse(executable=python, version=sys.version.split()[0])

    def RuntimeOptionsPrompts(self, request: Any, context: Any) -> Any:
        return pb.RuntimeOptionsResponse()

    def GetProgramDependencies(self, request: Any, context: Any) -> Any:
        dependencies = [
            pb.DependencyInfo(name=entry.metadata["Name"], version=entry.version) for entry in distributions()
        ]
        return pb.GetProgramDependenciesResponse(dependencies=dependencies)

    def InstallDependencies(self, request: Any, context: Any) -> Any:
        yield pb.InstallDependenciesResponse(
            stderr=b"run `make setup`: it installs the packages of requirements.lock\n"
        )

    def Run(self, request: Any, context: Any) -> Any:
        command = [
            *("setpriv", "--pdeathsig", "KILL"),  # the program ends with this process, even where that is killed
            *(_python(request.info), "-P", "-u", os.environ["OPSTRACE_LANGUAGE_EXEC"]),
            *("--project", request.project, "--stack", request.stack, "--organization", request.organization),
            *("--parallel", str(request.parallel), "--dry_run", str(request.dryRun).lower()),
            *("--monitor", request.monitor_address, "--engine", self._engine),
            *("--pwd", request.info.program_directory, "--root_directory", request.info.root_directory),
            *(request.info.program_directory, *request.args),
        ]
        environment = os.environ | {
            "PULUMI_CONFIG": json.dumps(dict(request.config)),
            "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
        }
        environment.pop("PYTHONPATH", None)  # set by the launcher for this module, not for the program
        self._program = subprocess.Popen(command, env=environment)
        code = self._program.wait()
        if code == SHOWN_BY_PROGRAM:
            return pb.RunResponse(bail=True)
        return pb.RunResponse(error=f"the program exited with {code}" if code else "")

    def Cancel(self, request: Any, context: Any) -> Any:
        if self._program:
            self._program.terminate()
        return empty_pb2.Empty()


def main() -> None:
    """Serve the language host; the engine passes its own address as the last argument."""
    host = _Host(sys.argv[-1])
    serve(lambda server: language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server))


if __name__ == "__main__":
    main()
