"""The settings of all pods: where they are scheduled, their priority, and their service accounts."""

import re
from dataclasses import replace
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from components.config.base import Bytes, Section, value_without_problems
from components.config.tenant import LABEL_KEY, LABEL_PART
from components.core.units import QUANTITY, amount
from components.gateway.settings import CPU_REQUEST, MEMORY_MIB, MEMORY_REQUEST
from components.shared.pod_settings import PodSettings

OBJECT_NAME_PATTERN = r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"  # Kubernetes, 'Object Names and IDs'
LABEL_KEY_PATTERN, LABEL_VALUE_PATTERN = f"^{LABEL_KEY}$", f"^({LABEL_PART})?$"
ROLE_ANNOTATION = "eks.amazonaws.com/role-arn"

LabelKey = Annotated[str, Field(pattern=LABEL_KEY_PATTERN)]
LabelValue = Annotated[str, Field(pattern=LABEL_VALUE_PATTERN)]
ObjectName = Annotated[str, Field(pattern=OBJECT_NAME_PATTERN)]


class Toleration(Section):
    """A taint of nodes that the pods tolerate, as in a pod of Kubernetes."""

    key: Annotated[
        LabelKey | None, Field(description="Key of the taint. Default: every key, with `operator: Exists`.")
    ] = None
    operator: Annotated[
        Literal["Equal", "Exists"], Field(description="Whether the taint must have `value`, or may have any.")
    ] = "Equal"
    value: Annotated[LabelValue | None, Field(description="Value of the taint, with `operator: Equal`.")] = None
    effect: Annotated[
        Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None,
        Field(description="Effect of the taint. Default: every effect."),
    ] = None
    toleration_seconds: Annotated[
        int | None,
        Field(
            description="How long a pod stays on a node with the taint, with `effect: NoExecute`. Default: for ever.",
            ge=0,
        ),
    ] = None

    @model_validator(mode="after")
    def _as_kubernetes_wants(self) -> Self:
        problems = []
        if self.operator == "Exists" and self.value:
            problems.append("with `operator: Exists`, a taint has any value; remove value")
        if self.operator == "Equal" and self.key is None:
            problems.append("names no taint; set key, or `operator: Exists` for all taints")
        if self.toleration_seconds is not None and self.effect != "NoExecute":
            problems.append("tolerationSeconds needs `effect: NoExecute`")
        return value_without_problems(problems, self)


class GatewayResources(Section):
    """What the scheduler reserves for each pod of the gateway. Its memory limit is fixed."""

    cpu: Annotated[
        str, Field(description="CPU request, in cores: 500m or 2. There is no CPU limit.", pattern=QUANTITY)
    ] = CPU_REQUEST
    memory: Annotated[
        Bytes,
        Field(description=f"Memory request, in bytes: 512Mi, at most the limit of {MEMORY_MIB}Mi."),
    ] = MEMORY_REQUEST

    @field_validator("memory")
    @classmethod
    def _within_limit(cls, memory: str) -> str:
        if amount(memory) > amount(f"{MEMORY_MIB}Mi"):
            raise ValueError(f"{memory!r} is more than the memory limit of a gateway pod; write {MEMORY_MIB}Mi at most")
        return memory


class PodsConfig(Section):
    """Where pods run, and with which priority. Each change replaces the pods one by one."""

    tolerations: Annotated[
        list[Toleration], Field(description="Taints of nodes that all pods tolerate. Default: none.")
    ] = []
    node_selector: Annotated[
        dict[str, str],
        Field(
            description="Labels that the nodes of all pods have. Nodes in the zone of a pod's volume must have them too. "
            "Default: any node."
        ),
    ] = {}
    tenant_priority_class: Annotated[
        ObjectName | None,
        Field(description="Priority class of the tenants' pods, which must exist. Default: the cluster's default."),
    ] = None
    gateway_priority_class: Annotated[
        ObjectName | None,
        Field(
            description="Priority class of the gateway's pods, which must exist. Default: `opstrace-gateway`, which the "
            "instance creates."
        ),
    ] = None
    gateway: Annotated[GatewayResources, Field(description="Resources of each pod of the gateway.")] = (
        GatewayResources()
    )
    service_account_annotations: Annotated[
        dict[str, str],
        Field(
            description="Annotations of the service accounts of tenants' pods. A change restarts no pod. Default: none."
        ),
    ] = {}

    @field_validator("node_selector")
    @classmethod
    def _labels(cls, labels: dict[str, str]) -> dict[str, str]:
        wrong = [
            f"Kubernetes does not accept the label {key!r}: {value!r}"
            for key, value in labels.items()
            if not (re.fullmatch(LABEL_KEY, key) and re.fullmatch(LABEL_VALUE_PATTERN, value))
        ]
        return value_without_problems(wrong, labels)

    @field_validator("service_account_annotations")
    @classmethod
    def _without_role(cls, annotations: dict[str, str]) -> dict[str, str]:
        wrong = [
            f"Kubernetes does not accept the key {key!r}" for key in annotations if not re.fullmatch(LABEL_KEY, key)
        ]
        wrong += [f"the value of {key!r} has several lines" for key, value in annotations.items() if "\n" in value]
        if wrong:
            raise ValueError("; ".join(wrong))
        if ROLE_ANNOTATION in annotations:
            raise ValueError(
                f"{ROLE_ANNOTATION!r} would give the pods another role than their tenant's own, which opens its buckets; remove it"
            )
        return annotations

    def applied(self, settings: PodSettings, priority_class: str | None) -> PodSettings:
        """Return the settings of pods with these and a priority class in them."""
        return replace(
            settings,
            tolerations=[self._toleration(one) for one in self.tolerations],
            node_selector=self.node_selector,
            priority_class=priority_class,
            service_account_annotations=self.service_account_annotations,
        )

    @staticmethod
    def _toleration(toleration: Toleration) -> dict[str, Any]:
        return {"operator": toleration.operator} | toleration.model_dump(by_alias=True, exclude_none=True)
