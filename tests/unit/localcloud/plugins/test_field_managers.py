"""Which owners of fields the stand-in for the Kubernetes plugin takes over before an update."""

from typing import Any

from localcloud.plugins.kubernetes.field_managers import taken_over

OWN = {"manager": "me", "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}, "f:template": {}}}}


def entry(manager: str, fields: dict[str, Any], operation: str = "Update", **more: str) -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "fieldsV1": fields, **more}


def test_fields_of_kubectl_are_added_to_the_own_ones() -> None:
    edited = entry("kubectl-edit", {"f:spec": {"f:template": {"f:metadata": {}}, "f:paused": {}}})
    controller = entry("kube-controller-manager", {"f:metadata": {}})
    assert taken_over([edited, controller, OWN], "me") == [
        controller,
        OWN
        | {
            "fieldsV1": {
                "f:spec": {"f:replicas": {}, "f:template": {".": {}, "f:metadata": {}}, "f:paused": {}},
            }
        },
    ]


def test_fields_become_the_own_ones_where_there_were_none() -> None:
    applied = entry("kubectl", {"f:data": {}}, "Apply")
    assert taken_over([applied], "me") == [applied | {"manager": "me"}]


def test_subresources_and_other_managers_stay() -> None:
    scaled = entry("kubectl", {"f:spec": {"f:replicas": {}}}, subresource="scale")
    assert taken_over([scaled, entry("operator", {"f:spec": {}}), OWN], "me") is None
