"""The supervisor starts services again, except those that are to end and did so well."""

import subprocess
import sys
from pathlib import Path

from tests.support.polling import eventually

SUPERVISE = """
import sys
from pathlib import Path
from localcloud.settings import Settings
from localcloud.supervisor import Service, Supervisor
home = Path(sys.argv[1])
settings = Settings(3, home)
settings.node.mkdir()
settings.logs.mkdir()
def begin(supervisor):
    for name, code, ends in (("serves", 0, False), ("ends", 0, True), ("fails", 1, True)):
        command = ["sh", "-c", f"echo x >> {home}/{name}; exit {code}"]
        supervisor.start(Service(name, command, ends=ends))
Supervisor(settings).serve(begin)
"""


def test_a_service_that_ends_well_is_not_started_again(tmp_path: Path) -> None:
    def starts(name: str) -> int:
        file = tmp_path / name
        return len(file.read_text().split()) if file.exists() else 0

    process = subprocess.Popen([sys.executable, "-P", "-c", SUPERVISE, str(tmp_path)], stdout=subprocess.DEVNULL)
    try:
        eventually(lambda: starts("serves") >= 3 and starts("fails") >= 3, pause=0.1)
        assert starts("ends") == 1
    finally:
        process.kill()
        process.wait()
