"""Entry point of the plugins: `python -m localcloud.plugins aws`.

The engine starts its plugins for each operation, and most operations wait for that. So imports must be quick.
"""

import gc
import runpy
import sys
from importlib.util import find_spec, module_from_spec
from types import ModuleType

# The garbage collector is off until the plugin serves: scanning the imported modules doubles the time of the imports.
gc.disable()
# Only some protocol modules of the SDK are needed: empty packages replace those around them, which import all others.
for package in ("pulumi", "pulumi.runtime", "pulumi.runtime.proto"):
    spec = find_spec(package)
    if spec is None:
        raise ImportError(f"the Python package {package} is not installed; run `make setup`")
    sys.modules[package] = module_from_spec(spec)
sys.modules["grpc.aio"] = ModuleType("grpc.aio")  # gRPC imports its part for asyncio at once; plugins use threads
runpy.run_module(f"localcloud.plugins.{sys.argv.pop(1)}", run_name="__main__", alter_sys=True)
