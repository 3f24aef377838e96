"""Write the generated reference pages; `make docs` runs this."""

from pathlib import Path

from reference.pages import GENERATED

DOCS = Path(__file__).parent.parent / "docs"


def main() -> None:
    """Write each page that is generated."""
    for name, page in GENERATED.items():
        (DOCS / name).write_text(page())


if __name__ == "__main__":
    main()
