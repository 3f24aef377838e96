"""The process that holds the embedded AWS with the user's own cluster; it needs neither namespaces nor root.

Run by `localcloud.lifecycle` as `python -m localcloud.moto.standalone SETTINGS_HOME SLOT PROGRAMS` with PROGRAMS as JSON.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from localcloud.moto import services
from localcloud.settings import Settings
from localcloud.supervisor import Supervisor


def command(settings: Settings, programs: Mapping[str, str]) -> list[str]:
    """Return the command of this process."""
    arguments = (str(settings.home), str(settings.slot), json.dumps(dict(programs)))
    return [sys.executable, "-P", "-m", "localcloud.moto.standalone", *arguments]


def main() -> None:
    """Start the embedded AWS, and run until killed."""
    settings = Settings.of(int(sys.argv[2]), Path(sys.argv[1]))
    programs: dict[str, str] = json.loads(sys.argv[3])

    def begin(supervisor: Supervisor) -> None:
        api = services.api(settings, sys.executable)
        supervisor.start(api)
        services.make_account(settings, api)
        for service in services.followers(settings, programs, sys.executable):
            supervisor.start(service)

    Supervisor(settings).serve(begin)


if __name__ == "__main__":
    main()
