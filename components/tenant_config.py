"""The settings of a tenant: what may stand under an entry of `opstrace:tenants` and under `opstrace:tenantDefaults`."""

import re
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from components.limits import LogsLimits, MetricsLimits
from components.names import TENANT_PATTERN, tenant_name_problem
from components.section import QUANTITY, Duration, Section, amount, checked_ranges, hours, merged, raise_all

MINIMUM_RETENTION_HOURS = 24  # Loki refuses less
OWN_TAG = "opstrace:"
LABEL_PART = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"  # Kubernetes, 'Labels and Selectors': syntax
LABEL_KEY = rf"^([a-z0-9]([a-z0-9.-]{{0,251}}[a-z0-9])?/)?{LABEL_PART}$"
OWN_LABEL = re.compile(r"^([^/]*\.)?(kubernetes\.io|k8s\.io)/|^opstrace/")
TAG_KEY, TAG_VALUE = r"[\w\s.:/=+\-@]{1,128}", r"[\w\s.:/=+\-@]{0,256}"  # AWS, 'Tag naming limits and requirements'


OnDelete = Literal["retain", "purge"]
SizeName = Literal["small", "medium", "large"]


class Retention(Section):
    """For how long data is kept; the compactors delete what is older."""

    metrics: Annotated[Duration, Field(description="At least 24h, such as 30d.")] = "7d"
    logs: Annotated[Duration, Field(description="At least 24h, such as 30d.")] = "7d"

    @field_validator("metrics", "logs")
    @classmethod
    def _long_enough(cls, duration: str) -> str:
        if hours(duration) < MINIMUM_RETENTION_HOURS:
            raise ValueError(f"{duration!r} is less than {MINIMUM_RETENTION_HOURS}h, the least that can be kept")
        return duration


class TenantLimits(Section):
    """Limits by back end; they change while it runs."""

    metrics: MetricsLimits = MetricsLimits()
    logs: LogsLimits = LogsLimits()


class BackendSize(Section):
    """What one pod of a back end has; what is not set is as in `small`."""

    cpu: Annotated[str, Field(description="CPU request.", pattern=QUANTITY)] = "50m"
    memory: Annotated[str, Field(description="Memory request.", pattern=QUANTITY)] = "256Mi"
    memory_limit: Annotated[str, Field(description="Memory limit.", pattern=QUANTITY)] = "2Gi"
    volume: Annotated[str, Field(description="Size of the volume of a pod.", pattern=QUANTITY)] = "10Gi"

    @model_validator(mode="after")
    def _request_within_limit(self) -> "BackendSize":
        if amount(self.memory) > amount(self.memory_limit):
            raise ValueError(f"memory {self.memory!r} is more than memoryLimit {self.memory_limit!r}")
        return self


class TenantSize(Section):
    """Pods and their resources. With 3 replicas, everything is written three times, in three zones where there are."""

    replicas: Literal[1, 3] = 1
    metrics: BackendSize = BackendSize()
    logs: BackendSize = BackendSize()


class AlertmanagerSettings(Section):
    """Whether the tenant has an Alertmanager, which sends its alerts where its own configuration says."""

    enabled: Annotated[bool, Field(description="Whether there is one; it is a pod and an IAM role more.")] = False
    private_receivers: Annotated[
        list[str], Field(description="IPv4 ranges that are not public and may be sent to all the same.")
    ] = []

    _ranges = field_validator("private_receivers")(checked_ranges)


_MEDIUM = {"cpu": "500m", "memory": "2Gi", "memoryLimit": "6Gi", "volume": "50Gi"}
_LARGE = {"cpu": "2", "memory": "8Gi", "memoryLimit": "16Gi", "volume": "200Gi"}
SIZES: dict[SizeName, TenantSize] = {
    "small": TenantSize(),
    "medium": TenantSize.model_validate({"metrics": _MEDIUM, "logs": _MEDIUM}),
    "large": TenantSize.model_validate({"replicas": 3, "metrics": _LARGE, "logs": _LARGE}),
}


class TenantSettings(Section):
    """What a tenant is set to; for all tenants under `opstrace:tenantDefaults`, for one in its entry."""

    retention: Retention = Retention()
    limits: TenantLimits = TenantLimits()
    size: Annotated[
        Annotated[SizeName, Tag("[name]")] | Annotated[TenantSize, Tag("[size]")],
        Discriminator(lambda given: "[name]" if isinstance(given, str) else "[size]"),
        Field(description="small, medium, large, or what the pods have."),
    ] = "small"
    alertmanager: AlertmanagerSettings = AlertmanagerSettings()
    on_delete: Annotated[
        OnDelete, Field(description="Whether the tenant's buckets stay when it is deleted, or go with all data.")
    ] = "retain"
    protect: Annotated[bool, Field(description="Whether deletion is refused until this is taken off.")] = False
    owner: Annotated[
        str | None, Field(description="Who answers for the tenant; a tag and an annotation.", pattern=f"^{TAG_VALUE}$")
    ] = None
    labels: Annotated[dict[str, str], Field(description="Labels of the tenant's namespace.")] = {}
    tags: Annotated[dict[str, str], Field(description="Tags of what the tenant has in AWS.")] = {}

    @field_validator("labels")
    @classmethod
    def _labels(cls, labels: dict[str, str]) -> dict[str, str]:
        problems = [f"{key!r} is no label key" for key in labels if not re.match(LABEL_KEY, key)]
        problems += [f"the label {key!r} is Kubernetes's or our own" for key in labels if OWN_LABEL.search(key)]
        problems += [
            f"{value!r} is no label value: at most 63 characters of A-Z, a-z, 0-9, '-', '_' and '.'"
            for value in labels.values()
            if value and not re.fullmatch(LABEL_PART, value)
        ]
        return raise_all(problems, labels)

    @field_validator("tags")
    @classmethod
    def _tags(cls, tags: dict[str, str]) -> dict[str, str]:
        problems = [f"the tag {key!r} is AWS's or our own" for key in tags if key.startswith(("aws:", OWN_TAG))]
        problems += [
            f"the tag {key!r}: {value!r} is none that AWS takes: up to 128 and 256 letters, digits, spaces and _.:/=+-@"
            for key, value in tags.items()
            if not (re.fullmatch(TAG_KEY, key) and re.fullmatch(TAG_VALUE, value))
        ]
        return raise_all(problems, tags)

    def pods(self) -> TenantSize:
        """Return the size in full."""
        return SIZES[self.size] if isinstance(self.size, str) else self.size

    def upon(self, defaults: "TenantSettings") -> "TenantSettings":
        """Return these settings where they are given, and `defaults` elsewhere."""
        base, own = _given(defaults), _given(self)
        if isinstance(base.get("size"), str) and isinstance(own.get("size"), dict):
            base["size"] = SIZES[base["size"]].model_dump(
                by_alias=True
            )  # a part that is set leaves the others as they are
        return TenantSettings.model_validate(merged(base, own))


def exported(settings: TenantSettings) -> dict[str, Any]:
    """Return the settings that are not the program's own defaults, as the stack's YAML has them."""
    found = settings.model_dump(exclude_defaults=True, by_alias=True, mode="json")
    return _without_name(found)


def _without_name(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name != "name"}


def _given(settings: TenantSettings) -> dict[str, Any]:
    return _without_name(settings.model_dump(exclude_unset=True, by_alias=True))


class TenantConfig(TenantSettings):
    """One tenant of the instance."""

    name: Annotated[
        str,
        Field(
            description="1 to 30 characters of a-z and 0-9; part of the tenant's host names.",
            json_schema_extra={"pattern": TENANT_PATTERN},  # for editors; here the error says more
        ),
    ]

    @field_validator("name")
    @classmethod
    def _valid(cls, name: str) -> str:
        problem = tenant_name_problem(name)
        if problem:
            raise ValueError(problem)
        return name
