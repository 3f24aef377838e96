"""`python -m scripts`: the `opstrace` command."""

from scripts.cli import main

main()
