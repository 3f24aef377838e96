"""`python -m scripts`: the `opstrace` command."""

import importlib.util
import sys


def run() -> None:
    """Run the command; where its packages are those of another Python, let the launcher install them first."""
    if not importlib.util.find_spec("click"):
        from scripts.clients.launcher import start_anew  # noqa: PLC0415 rarely needed

        start_anew(sys.argv[1:])
    from scripts.cli.main import main  # noqa: PLC0415 needs the packages

    main()


run()
