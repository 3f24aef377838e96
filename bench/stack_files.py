"""Stack files that benches write into the checkout's folder."""

from scripts.stackfile.file import STACKS


def forget_files(instance: str) -> None:
    """Remove the stack files of an instance and of its tenants."""
    for file in STACKS.glob(f"Pulumi.{instance}*.yaml"):
        file.unlink()
