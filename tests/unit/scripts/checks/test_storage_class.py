"""Whether the storage class of the back ends' volumes is found, and what is said of one that does not do."""

from typing import Any

import pytest

from scripts.checks.storage_class import EBS_DRIVER, check_storage_class

DRIVERS = [EBS_DRIVER]
ENCRYPTED = {"type": "gp3", "encrypted": "true"}


def storage_class(name: str, *, default: str = "", **fields: Any) -> dict[str, Any]:
    """Return a class; `default` is the annotation's value."""
    annotations = {"annotations": {"storageclass.kubernetes.io/is-default-class": default}} if default else {}
    good = {"provisioner": EBS_DRIVER, "volumeBindingMode": "WaitForFirstConsumer", "parameters": ENCRYPTED}
    return {"metadata": {"name": name, "creationTimestamp": fields.pop("created", ""), **annotations}, **good, **fields}


def test_a_class_of_the_stack_file_is_found() -> None:
    found = check_storage_class([storage_class("gp2"), storage_class("gp3")], DRIVERS, "gp3")
    assert (found.level, found.message) == ("ok", "gp3")


def test_a_class_that_does_not_exist_is_an_error_that_names_the_ones_that_do() -> None:
    found = check_storage_class([storage_class("gp2"), storage_class("efs")], DRIVERS, "gp3")
    assert found.level == "error"
    assert "no storage class gp3 (opstrace:cluster.storageClass); it has efs, gp2" in found.message
    assert "create one" in found.remedy and "docs/how-to/aws.md" in found.remedy


@pytest.mark.parametrize("classes", [[], [storage_class("gp2")], [storage_class("gp2", default="false")]])
def test_a_cluster_without_a_default_class_is_an_error_if_the_stack_file_names_none(
    classes: list[dict[str, Any]],
) -> None:
    found = check_storage_class(classes, DRIVERS, None)
    assert found.level == "error" and "no default storage class, and opstrace:cluster.storageClass" in found.message


def test_the_newest_default_class_is_used() -> None:
    old = storage_class("old", default="true", created="2025-01-01T00:00:00Z", volumeBindingMode="Immediate")
    new = storage_class("new", default="true", created="2026-01-01T00:00:00Z")
    found = check_storage_class([new, old], DRIVERS, None)
    assert (found.level, found.message) == ("ok", "new, the cluster's default class")


@pytest.mark.parametrize("provisioner", ["ebs.csi.aws.com", "kubernetes.io/aws-ebs"])
def test_a_class_of_ebs_needs_its_driver(provisioner: str) -> None:
    classes = [storage_class("gp2", provisioner=provisioner)]
    found = check_storage_class(classes, ["efs.csi.aws.com"], "gp2")
    assert found.level == "error" and "needs the driver ebs.csi.aws.com" in found.message
    assert "aws-ebs-csi-driver" in found.remedy
    assert check_storage_class(classes, DRIVERS, "gp2").level == "ok"


def test_auto_mode_needs_no_driver_of_the_cluster() -> None:
    assert check_storage_class([storage_class("x", provisioner="ebs.csi.eks.amazonaws.com")], [], "x").level == "ok"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"volumeBindingMode": "Immediate"}, "volumeBindingMode is Immediate"),
        ({"parameters": {"type": "gp3"}}, "volumes are not encrypted"),
        ({"parameters": {"encrypted": "false"}}, "volumes are not encrypted"),
        ({"parameters": None}, "volumes are not encrypted"),
    ],
)
def test_a_class_that_should_be_another_is_a_warning(fields: dict[str, Any], message: str) -> None:
    found = check_storage_class([storage_class("gp2", **fields)], DRIVERS, "gp2")
    assert found.level == "warning" and message in found.message and found.remedy


def test_names_of_parameters_are_taken_in_any_case_and_other_storage_is_not_asked_for_encryption() -> None:
    assert check_storage_class([storage_class("x", parameters={"Encrypted": "true"})], DRIVERS, "x").level == "ok"
    assert check_storage_class([storage_class("x", provisioner="other", parameters={})], [], "x").level == "ok"
