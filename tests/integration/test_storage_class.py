"""The storage class of the AWS page, and the check of storage classes, on a real API server."""

from types import SimpleNamespace
from typing import Any

import pytest
from ruamel.yaml import YAML

from scripts.checks.storage_class import EBS_DRIVER, storage_class_finding
from scripts.clients.kubernetes import Cluster
from tests.support.bare_cloud import CONTEXT
from tests.support.shell import ROOT
from tests.support.stack import Stack

PAGE = (ROOT / "docs" / "how-to" / "aws.md").read_text()
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
DRIVERS = "/apis/storage.k8s.io/v1/csidrivers"


def manifest() -> dict[str, Any]:
    """Return the manifest that the page pipes into `kubectl apply`."""
    (block,) = [part for part in PAGE.split("```") if "kind: StorageClass" in part]
    return dict(YAML(typ="safe").load(block.split("END'\n")[1].rsplit("END", 1)[0]))


def test_the_class_of_the_page_is_the_one_of_the_example_and_passes_the_check(
    bare_stack: Stack, request: pytest.FixtureRequest
) -> None:
    config: Any = SimpleNamespace(cluster=SimpleNamespace(context=CONTEXT))
    cluster, api = Cluster(bare_stack.environment, config), bare_stack.cloud.kubernetes
    example = YAML().load((ROOT / "stacks" / "Pulumi.example-aws.yaml").read_text())
    wanted = example["config"]["opstrace:cluster"]["storageClass"]
    assert storage_class_finding(cluster, wanted).level == "error"
    api.request("POST", CLASSES, manifest())
    request.addfinalizer(lambda: api.delete(f"{CLASSES}/{wanted}"))
    assert "is not installed" in storage_class_finding(cluster, wanted).message
    api.request("POST", DRIVERS, {"metadata": {"name": EBS_DRIVER}, "spec": {"attachRequired": True}})
    request.addfinalizer(lambda: api.delete(f"{DRIVERS}/{EBS_DRIVER}"))
    found = storage_class_finding(cluster, wanted)
    assert (found.level, found.message) == ("ok", wanted)
    assert storage_class_finding(cluster, None).level == "error"
