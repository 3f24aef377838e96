"""A Terraform project with the resources in a stack's state, for the `terraform` on PATH and its provider `hashicorp/aws`.

Terraform finds the provider by its own settings. Set `TF_CLI_ARGS_init=-plugin-dir=FOLDER` where no registry can be reached.
"""

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.terraform_graph import Resource, address, configuration
from localcloud.settings import REGION

PROVIDER = "5.100.0"  # the newest 5.x; pulumi_aws 7 wraps 6, see docs/reference/embedded-cloud.md
SETTINGS = {"TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}
AT_ONCE = {"TF_REGISTRY_DISCOVERY_RETRY": "0", "TF_REGISTRY_CLIENT_TIMEOUT": "5"}
FILE = "main.tf.json"
NO_IMPORT = (
    "terraform_data",
    "aws_acm_certificate_validation",
    "aws_autoscaling_attachment",
)  # kinds that cannot be imported


def command(verb: str, *options: str) -> list[str]:
    """Return a command of Terraform that asks nothing."""
    return ["terraform", verb, "-no-color", "-input=false", *options]


def project(resources: Sequence[Resource]) -> dict[str, Any]:
    """Return the content of the project with the resources of a state (`pulumi stack export --show-secrets`)."""
    provider = {"region": REGION, "s3_use_path_style": True, "skip_metadata_api_check": True}
    content: dict[str, Any] = {
        "terraform": {"required_providers": {"aws": {"source": "hashicorp/aws", "version": PROVIDER}}},
        "provider": {"aws": provider},
    }
    return content | ({"resource": configuration(resources)} if resources else {})


def imports(resources: Sequence[Resource]) -> list[dict[str, str]]:
    """Return the `import` part of a project: Terraform takes over the resources of AWS as Pulumi made them."""
    entries = []
    for entry in resources:
        if not entry["type"].startswith("aws:") or (place := address(entry))[0] in NO_IMPORT:
            continue
        inputs, identity = entry["inputs"], entry["id"]
        if place[0] == "aws_lb_listener_certificate":
            identity = f"{inputs['listenerArn']}_{inputs['certificateArn']}"
        entries.append({"to": ".".join(place), "id": identity})
    return entries


def write(
    folder: Path, resources: Sequence[Resource], replaced: Mapping[str, str] | None = None, *, existing: bool = False
) -> None:
    """Write the project into a folder; the texts in `replaced` become others, such as an instance's name.

    With `existing`, Terraform imports the resources instead of creating others.
    """
    text = json.dumps(project(resources) | ({"import": imports(resources)} if existing else {}), indent=1)
    for old, new in (replaced or {}).items():
        text = text.replace(old, new)
    (folder / FILE).write_text(text)


def missing(folder: Path, environment: Mapping[str, str]) -> str | None:
    """Return the reason why Terraform or its provider is not at hand, None after an `init` of a project in `folder`."""
    if not shutil.which("terraform", path=environment.get("PATH")):
        return "no `terraform` on PATH"
    write(folder, [])
    done = subprocess.run(
        command("init"),
        cwd=folder,
        env={**environment, **SETTINGS, **AT_ONCE},
        capture_output=True,
        text=True,
        check=False,
    )
    told = " ".join(done.stderr.rpartition("Error: ")[2].split())
    return f"`terraform init` finds no hashicorp/aws {PROVIDER}: {told}" if done.returncode else None
