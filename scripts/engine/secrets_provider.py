"""How the engine encrypts the secrets of a stack's state: with a passphrase, or with a key of a service such as AWS KMS."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from components.core.errors import UserError
from components.core.resource_names import PROJECT
from scripts.engine.process import Pulumi

FILE_VARIABLE = "PULUMI_CONFIG_PASSPHRASE_FILE"


def require_secrets_provider(pulumi: Pulumi, stack: str, recorded: Mapping[str, str], provider: str | None) -> None:
    """Raise `UserError` where the engine cannot encrypt the secrets of a stack.

    The engine itself tries it: it creates a stack of the same name in a temporary folder, and changes nothing else.

    Args:
        pulumi: The engine with the environment of the stack.
        stack: The name of the stack, which need not exist.
        recorded: What the file of an existing stack has about its secrets provider; empty for a new stack.
        provider: The URL of the secrets provider; None for the default of the backend.
    """
    if provider is None and _is_pulumi_cloud(pulumi):
        return  # it encrypts by itself
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        (project / "backend").mkdir()
        (project / "Pulumi.yaml").write_text(f"name: {PROJECT}\nruntime: python\n")
        # JSON is YAML. The engine verifies a passphrase with the salt, and decrypts an encrypted key.
        (project / f"Pulumi.{stack}.yaml").write_text(json.dumps(dict(recorded)))
        environment = {**pulumi.environment, "PULUMI_BACKEND_URL": f"file://{project / 'backend'}"}
        if passphrase_file := environment.get(FILE_VARIABLE):
            environment[FILE_VARIABLE] = str(pulumi.project / passphrase_file)
        trial = Pulumi(environment, project)
        completed = trial.capture("stack", "init", "--no-select", *options(provider), stack)
    if completed.returncode:
        raise UserError(_refusal(completed.stderr, provider))


def options(provider: str | None) -> tuple[str, ...]:
    """Return the options of `pulumi stack init` for a secrets provider."""
    return ("--secrets-provider", provider) if provider else ()


def _is_pulumi_cloud(pulumi: Pulumi) -> bool:
    completed = pulumi.capture("whoami", "--verbose", "--json")
    return completed.returncode == 0 and str(json.loads(completed.stdout).get("url")).startswith("http")


def _refusal(output: str, provider: str | None) -> str:
    cause = output.strip().removeprefix("error: ").removeprefix("could not create secrets manager for new stack: ")
    if provider and provider not in ("default", "passphrase"):
        return (
            f"the secrets provider {provider} cannot be used: {cause}. Correct its URL, such as "
            "awskms://alias/NAME?region=us-west-2, or allow your credentials to encrypt and decrypt with the key"
        )
    return (
        f"Pulumi cannot encrypt the secrets of its state: {cause}. Export PULUMI_CONFIG_PASSPHRASE, or "
        f"{FILE_VARIABLE} with the path of a file, or name a key: "
        "--secrets-provider 'awskms://alias/NAME?region=us-west-2'"
    )
