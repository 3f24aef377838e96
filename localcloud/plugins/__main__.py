"""Run a plugin as the engine's launcher does: `python -m localcloud.plugins aws`."""

import gc
import runpy
import sys

# Until it serves: what it imports stays, and to look through it again and again takes as long as to import it.
gc.disable()
runpy.run_module(f"localcloud.plugins.{sys.argv.pop(1)}", run_name="__main__", alter_sys=True)
