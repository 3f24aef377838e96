"""The process that holds the embedded AWS where the cluster is one of the user's: no namespaces, no root.

Run by `localcloud.lifecycle` as `python -m localcloud.aws.alone SETTINGS_HOME SLOT PROGRAMS` with PROGRAMS as JSON.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from localcloud.aws import services
from localcloud.settings import Settings
from localcloud.supervisor import Supervisor


def command(settings: Settings, programs: Mapping[str, str]) -> list[str]:
    """Return the command of this process."""
    here = (str(settings.home), str(settings.slot), json.dumps(dict(programs)))
    return [sys.executable, "-m", "localcloud.aws.alone", *here]


def main() -> None:
    """Bring the embedded AWS up, and stay until killed."""
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
