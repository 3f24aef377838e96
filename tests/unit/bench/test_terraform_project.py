"""The Terraform project of a state, and what is said where Terraform or its provider is missing."""

import json
import shutil
from pathlib import Path

import pytest

from bench.terraform_project import FILE, missing, write
from components.core.resource_names import (
    ATTACHMENT_TYPE,
    BUCKET_TYPE,
    LISTENER_CERTIFICATE_TYPE,
    TENANT_TYPE,
    build_urn,
    child_type,
)


def test_a_project_has_the_resources_under_other_names(tmp_path: Path) -> None:
    urn = build_urn("mine", child_type(TENANT_TYPE, BUCKET_TYPE), "tenant-a-logs-bucket")
    bucket = {
        "urn": urn,
        "type": BUCKET_TYPE,
        "custom": True,
        "id": "mine-a-logs",
        "inputs": {"bucket": "mine-a-logs"},
    }
    write(tmp_path, [bucket], {"mine": "other"})
    content = json.loads((tmp_path / FILE).read_text())
    assert content["resource"] == {"aws_s3_bucket": {"tenant_a_logs_bucket": {"bucket": "other-a-logs"}}}
    assert content["terraform"]["required_providers"]["aws"]["source"] == "hashicorp/aws"


def test_existing_resources_are_imported_by_the_ids_that_terraform_takes(tmp_path: Path) -> None:
    certificate = {
        "urn": build_urn("mine", child_type(TENANT_TYPE, LISTENER_CERTIFICATE_TYPE), "tenant-a-certificate"),
        "type": LISTENER_CERTIFICATE_TYPE,
        "custom": True,
        "id": "of-the-plugin",
        "inputs": {"listenerArn": "arn:listener", "certificateArn": "arn:certificate"},
    }
    attachment = {
        "urn": build_urn("mine", ATTACHMENT_TYPE, "nodes"),
        "type": ATTACHMENT_TYPE,
        "custom": True,
        "id": "attachment",
        "inputs": {},
    }
    write(tmp_path, [certificate, attachment], existing=True)
    assert json.loads((tmp_path / FILE).read_text())["import"] == [
        {"to": "aws_lb_listener_certificate.tenant_a_certificate", "id": "arn:listener_arn:certificate"}
    ]


def test_without_resources_a_project_only_requires_the_provider(tmp_path: Path) -> None:
    write(tmp_path, [])
    assert "resource" not in json.loads((tmp_path / FILE).read_text())


def test_a_missing_terraform_is_named(tmp_path: Path) -> None:
    assert missing(tmp_path, {"PATH": str(tmp_path)}) == "no `terraform` on PATH"


@pytest.mark.skipif(not shutil.which("terraform"), reason="no `terraform` on PATH")
def test_a_missing_provider_is_named_with_terraform_s_reason(tmp_path: Path) -> None:
    folder = tmp_path / "plugins"
    folder.mkdir()
    path = str(Path(str(shutil.which("terraform"))).parent)
    told = missing(tmp_path, {"PATH": path, "TF_CLI_ARGS_init": f"-plugin-dir={folder}"})
    assert told and told.startswith("`terraform init` finds no hashicorp/aws 5.100.0: ") and str(folder) in told, told
