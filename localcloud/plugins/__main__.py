"""Run a plugin as the engine's launcher does: `python -m localcloud.plugins aws`.

An engine starts its plugins anew for each operation: how long they take to be there is what most operations wait for.
"""

import gc
import runpy
import sys
from importlib.util import find_spec, module_from_spec

# Until it serves: what it imports stays, and to look through it again and again takes as long as to import it.
gc.disable()
# Of the SDK only the protocol is needed, which imports a fraction of it: the packages around it stay empty.
for package in ("pulumi", "pulumi.runtime"):
    spec = find_spec(package)
    assert spec
    sys.modules[package] = module_from_spec(spec)
runpy.run_module(f"localcloud.plugins.{sys.argv.pop(1)}", run_name="__main__", alter_sys=True)
