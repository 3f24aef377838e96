"""The settings of a tenant: an entry of `opstrace:tenants`, `opstrace:tenantDefaults` and `opstrace:systemTenant`."""

import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, ValidationError, field_validator, model_validator

from components.config.backend_limits import LogsLimits, MetricsLimits
from components.config.base import (
    EFFECT,
    LIVE,
    RESTART,
    TAG_CHARACTER,
    TAG_VALUE_LENGTH,
    VOLUMES,
    Bytes,
    Change,
    Duration,
    Quantity,
    Section,
    checked_ranges,
    checked_tags,
    date_problem,
    merged,
    restart,
    setting,
    value_without_problems,
)
from components.core.errors import ConfigError
from components.core.names import TENANT_PATTERN, tenant_name_problem
from components.core.units import amount, hours, interval_seconds

SHORTEST_POLL, LONGEST_POLL = "10s", "1h"
MINIMUM_RETENTION_HOURS = 24  # Loki refuses a shorter retention
OWNER_PATTERN = f"^{TAG_CHARACTER}*$"
LABEL_PART = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"  # Kubernetes, 'Labels and Selectors': syntax
LABEL_KEY = rf"([a-z0-9]([a-z0-9.-]{{0,251}}[a-z0-9])?/)?{LABEL_PART}"
OWN_LABEL = re.compile(r"^([^/]*\.)?(kubernetes\.io|k8s\.io)/|^opstrace/")

# IANA, 'Special-Purpose Address Registry'. AWS serves the metadata of the instance (169.254.169.254) and the credentials
# of the pod (169.254.170.2, 169.254.170.23) to every pod at the link-local addresses.
NO_RECEIVERS = {
    "0.0.0.0/8": "this host",
    "169.254.0.0/16": "the addresses that hand out a node's and a pod's credentials",
    "127.0.0.0/8": "the pod itself",
}

OnDelete = Literal["retain", "purge"]
SizeName = Literal["small", "medium", "large"]


class Retention(Section):
    """How long data is kept. Older data is deleted for good. A change takes effect without a restart."""

    metrics: Annotated[
        Duration, setting("Retention of metrics: at least 24h, such as 36h, 30d, 4w or 1y. A year has 365 days.", LIVE)
    ] = "7d"
    logs: Annotated[
        Duration, setting("Retention of logs: at least 24h, such as 36h, 30d, 4w or 1y. A year has 365 days.", LIVE)
    ] = "7d"

    @field_validator("metrics", "logs")
    @classmethod
    def _long_enough(cls, duration: str) -> str:
        if hours(duration) < MINIMUM_RETENTION_HOURS:
            raise ValueError(f"{duration!r} is less than {MINIMUM_RETENTION_HOURS}h, the shortest retention")
        return duration


class TenantLimits(Section):
    """Limits of a tenant, by back end. A change takes effect without a restart."""

    metrics: Annotated[
        MetricsLimits, setting("Limits of metrics, under the names of Cortex's `limits_config`.", LIVE)
    ] = MetricsLimits()
    logs: Annotated[LogsLimits, setting("Limits of logs, under the names of Loki's `limits_config`.", LIVE)] = (
        LogsLimits()
    )


class BackendSize(Section):
    """The resources of each pod of a back end, as Kubernetes quantities. Defaults are those of the size `small`."""

    cpu: Annotated[Quantity, setting("CPU request of a pod, in cores: 500m or 2. There is no CPU limit.", RESTART)] = (
        "50m"
    )
    memory: Annotated[Bytes, setting("Memory request of a pod, in bytes: 256Mi.", RESTART)] = "256Mi"
    memory_limit: Annotated[Bytes, setting("Memory limit of a pod, in bytes: 2Gi.", RESTART)] = "2Gi"
    volume: Annotated[Bytes, setting("Size of a pod's volume, in bytes: 10Gi.", VOLUMES)] = "10Gi"

    @model_validator(mode="after")
    def _request_within_limit(self) -> "BackendSize":
        if amount(self.memory) > amount(self.memory_limit):
            raise ValueError(
                f"memory {self.memory!r} is more than memoryLimit {self.memory_limit!r}; raise memoryLimit, or lower memory"
            )
        return self


class TenantSize(Section):
    """The pods of a tenant's back ends. With three replicas, everything is written three times."""

    replicas: Annotated[
        Literal[1, 3],
        setting(
            "Pods of each back end: 1, or 3 in three zones if the cluster has them. Three keep all data if one pod is lost.",
            Change(
                "replica change",
                "During a change, pushes may fail for about a minute, and clients send them again.",
            ).kept(),
        ),
    ] = 1
    metrics: Annotated[BackendSize, Field(description="Resources of each pod of the metrics back end, Cortex.")] = (
        BackendSize()
    )
    logs: Annotated[BackendSize, Field(description="Resources of each pod of the logs back end, Loki.")] = BackendSize()


def _receiver_problem(text: str) -> str | None:
    """Return why a range cannot hold receivers of alerts, None if it can."""
    network = ipaddress.IPv4Network(text)
    reserved = next((entry for entry in NO_RECEIVERS if network.overlaps(ipaddress.IPv4Network(entry))), None)
    if reserved is None:
        return None
    return f"{text!r} covers {NO_RECEIVERS[reserved]} ({reserved}), which has no receivers; write the receivers' own ranges"


class AlertmanagerSettings(Section):
    """The tenant's Alertmanager, which sends alerts to the receivers in its own configuration."""

    enabled: Annotated[
        bool,
        setting(
            "Whether the tenant has an Alertmanager: one more pod and one more IAM role. It needs "
            "cluster.enforcesNetworkPolicies.",
            restart(" of both back ends").kept(),
        ),
    ] = False
    private_receivers: Annotated[
        list[str],
        setting(
            "Private IPv4 ranges in CIDR form that alerts may be sent to, beside all public addresses. "
            "Loopback and link-local ranges are refused. Default: none.",
            LIVE,
        ),
    ] = []

    @field_validator("private_receivers")
    @classmethod
    def _ranges(cls, ranges: list[str]) -> list[str]:
        problems = [problem for text in checked_ranges(ranges) if (problem := _receiver_problem(text))]
        return value_without_problems(problems, ranges)


_MEDIUM = {"cpu": "500m", "memory": "2Gi", "memoryLimit": "6Gi", "volume": "50Gi"}
_LARGE = {"cpu": "2", "memory": "8Gi", "memoryLimit": "16Gi", "volume": "200Gi"}
SIZES: dict[SizeName, TenantSize] = {
    "small": TenantSize(),
    "medium": TenantSize.model_validate({"metrics": _MEDIUM, "logs": _MEDIUM}),
    "large": TenantSize.model_validate({"replicas": 3, "metrics": _LARGE, "logs": _LARGE}),
}


class TenantSettings(Section):
    """The settings of a tenant: of one in its entry, of all in `tenantDefaults`, of `system` in `systemTenant`."""

    retention: Annotated[
        Retention,
        setting("How long data is kept. A shorter retention deletes older data for good.", LIVE),
    ] = Retention()
    limits: Annotated[TenantLimits, setting("Limits of the tenant in Cortex and Loki.", LIVE)] = TenantLimits()
    size: Annotated[
        Annotated[SizeName, Tag("[name]")] | Annotated[TenantSize, Tag("[size]")],
        Discriminator(lambda value: "[name]" if isinstance(value, str) else "[size]"),
        setting(
            "Size of the tenant's pods: small, medium (larger pods), large (larger pods, three replicas), or a mapping.",
            VOLUMES,
        ),
    ] = "small"
    alertmanager: Annotated[
        AlertmanagerSettings, Field(description="The tenant's Alertmanager. Default: the tenant has none.")
    ] = AlertmanagerSettings()
    log_patterns: Annotated[
        bool,
        setting(
            "Whether Loki finds patterns of lines, for Grafana's page Logs Drilldown. They take memory for each pattern of "
            "each stream.",
            restart(" of the logs back end"),
        ),
    ] = True
    rule_poll_interval: Annotated[
        str | None,
        setting(
            "How often Cortex and Loki look for changed rules, and the Alertmanager for its configuration: 10s to 1h, such as "
            "30s or 5m. Each look lists objects in S3, which AWS charges. Default: 5m on AWS, 15s where the S3 endpoint is not "
            "AWS's, as in the embedded cloud.",
            restart(" of both back ends"),
        ),
    ] = None
    on_delete: Annotated[
        OnDelete,
        setting(
            "What the deletion of the tenant does to its buckets: `retain` keeps them, `purge` deletes them with all data. "
            "Apply a change before you delete the tenant.",
            LIVE,
        ),
    ] = "retain"
    protect: Annotated[
        bool,
        setting("Whether deleting the tenant is refused. To delete it, set this to false and apply first.", LIVE),
    ] = False
    owner: Annotated[
        str | None,
        setting(
            "Team or person that is responsible for the tenant, at most 256 characters. It becomes an annotation of the "
            "namespace and a tag in AWS. Default: none.",
            LIVE,
            pattern=OWNER_PATTERN,
            max_length=TAG_VALUE_LENGTH,
        ),
    ] = None
    labels: Annotated[
        dict[str, str],
        setting(
            "Labels of the tenant's namespace. Keys of Kubernetes (`kubernetes.io/`, `k8s.io/`) and of Opstrace (`opstrace/`) "
            "are refused. Default: none.",
            LIVE,
        ),
    ] = {}
    tags: Annotated[
        dict[str, str],
        setting("Tags of the tenant's resources in AWS, beside those of `opstrace:tags`. Default: none.", LIVE),
    ] = {}

    @field_validator("labels")
    @classmethod
    def _labels(cls, labels: dict[str, str]) -> dict[str, str]:
        problems = [
            f"{key!r} is not a label key such as team or example.com/team" for key in labels if not _is_label_key(key)
        ]
        problems += [
            f"the label {key!r} is reserved for Kubernetes or Opstrace; choose another key"
            for key in labels
            if OWN_LABEL.search(key)
        ]
        problems += [
            f"{value!r} is not a label value. Use at most 63 characters of A-Z, a-z, 0-9, '-', '_' and '.', and begin and end "
            "with a letter or a digit"
            for value in labels.values()
            if value and not re.fullmatch(LABEL_PART, value)
        ]
        return value_without_problems(problems, labels)

    _tags = field_validator("tags")(checked_tags)

    @field_validator("rule_poll_interval")
    @classmethod
    def _interval(cls, interval: str | None) -> str | None:
        if interval is None:
            return None
        shortest, longest = interval_seconds(SHORTEST_POLL), interval_seconds(LONGEST_POLL)
        if not shortest <= interval_seconds(interval) <= longest:
            raise ValueError(f"{interval!r} must be {SHORTEST_POLL} at least and {LONGEST_POLL} at most")
        return interval

    @field_validator("owner")
    @classmethod
    def _no_date(cls, owner: str | None) -> str | None:
        problem = date_problem(owner or "")
        return value_without_problems([problem] if problem else [], owner)

    def pods(self) -> TenantSize:
        """Return the size as a mapping, also for a named size."""
        return SIZES[self.size] if isinstance(self.size, str) else self.size

    def with_defaults(self, defaults: "TenantSettings") -> "TenantSettings":
        """Return these settings, with those of `defaults` for settings that are not set.

        Raises:
            ConfigError: a setting of the tenant does not fit one of the defaults.
        """
        base, own = _set_values(defaults), _set_values(self)
        if isinstance(base.get("size"), str) and isinstance(own.get("size"), dict):
            # As a mapping, the default size keeps the parts that `own` does not set.
            base["size"] = SIZES[base["size"]].model_dump(by_alias=True)
        try:
            return TenantSettings.model_validate(merged(base, own))
        except ValidationError as error:
            problems = "; ".join(map(_with_place, error.errors()))
            raise ConfigError(f"with tenantDefaults for what is not set, {problems}") from None


def _with_place(error: Mapping[str, Any]) -> str:
    """Return the text of one of Pydantic's errors, with its place; tags of unions are no part of that."""
    place = ".".join(str(part) for part in error["loc"] if not str(part).startswith("["))
    return f"{place}: {error['msg'].removeprefix('Value error, ')}"


def exported(settings: TenantSettings) -> dict[str, Any]:
    """Return the settings that differ from the program's defaults, in the form of the stack file."""
    return _without_name(settings.model_dump(exclude_defaults=True, by_alias=True, mode="json"))


def _without_name(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name != "name"}


def _set_values(settings: TenantSettings) -> dict[str, Any]:
    return _without_name(settings.model_dump(exclude_unset=True, by_alias=True))


def _is_label_key(key: str) -> bool:
    return re.fullmatch(LABEL_KEY, key) is not None


class TenantConfig(TenantSettings):
    """One tenant of the instance."""

    name: Annotated[
        str,
        Field(
            description="Name of the tenant: 1 to 30 characters of a-z and 0-9. It is part of host names, bucket names "
            "and tokens, so another name is another tenant.",
            # The pattern is for editors: the validator's error is more precise.
            json_schema_extra={"pattern": TENANT_PATTERN, EFFECT: "refused by `set`"},
        ),
    ]

    @field_validator("name")
    @classmethod
    def _valid(cls, name: str) -> str:
        problem = tenant_name_problem(name)
        if problem:
            raise ValueError(problem)
        return name
