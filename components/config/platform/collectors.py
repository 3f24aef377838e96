"""The settings of the collectors, which send the logs and metrics of the cluster to the system tenant."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from components.collectors.rules.file import RUNBOOKS
from components.collectors.scrape import JOBS
from components.collectors.settings import CollectorQueues, CollectorResources, ScrapeJob
from components.config.base import Bytes, Quantity, Section, value_without_problems, without_duplicates
from components.core.units import amount

NAMESPACE_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"  # Kubernetes, 'Object Names and IDs'
JOB_PATTERN = r"^[A-Za-z0-9]([A-Za-z0-9_./-]{0,61}[A-Za-z0-9])?$"
SCRAPE_PATH_PATTERN = r"^/[A-Za-z0-9._~/-]*$"
RUNBOOKS_PATTERN = r"^[^\s#]+$"
TARGET = r"([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?:([0-9]{1,5})"
LAST_PORT = 65_535
OWN_JOBS = (*JOBS, "gateway", "kubernetes")
LEAST_QUEUE = "64Mi"
SHORTEST_INTERVAL, LONGEST_INTERVAL = 5, 300  # seconds; a series becomes stale after 5 minutes

NamespaceName = Annotated[str, Field(pattern=NAMESPACE_PATTERN)]


class ExtraScrape(Section):
    """Targets that serve metrics in the format of Prometheus, such as those outside of the cluster."""

    job: Annotated[
        str, Field(description="Value of the label `job`, a name that no other job has.", pattern=JOB_PATTERN)
    ]
    targets: Annotated[
        list[str], Field(description="Targets as HOST:PORT; the host is a DNS name or an IPv4 address.", min_length=1)
    ]
    path: Annotated[str, Field(description="Path of the metrics.", pattern=SCRAPE_PATH_PATTERN)] = "/metrics"
    scheme: Annotated[Literal["http", "https"], Field(description="Scheme of the URL.")] = "http"
    interval_seconds: Annotated[
        int,
        Field(description="Seconds between two scrapes.", ge=SHORTEST_INTERVAL, le=LONGEST_INTERVAL),
    ] = 30

    @field_validator("job")
    @classmethod
    def _not_own(cls, job: str) -> str:
        if job in OWN_JOBS:
            raise ValueError(f"{job!r} is a job of the collectors themselves; choose another name")
        return job

    @field_validator("targets")
    @classmethod
    def _addresses(cls, targets: list[str]) -> list[str]:
        matches = {target: re.fullmatch(TARGET, target) for target in targets}
        wrong = [
            f"{target!r} is not HOST:PORT such as db.example.com:9187 or 192.0.2.1:9100"
            for target, match in matches.items()
            if not match or not 0 < int(match[4]) <= LAST_PORT
        ]
        return value_without_problems(wrong, without_duplicates(targets))

    @property
    def scrape_job(self) -> ScrapeJob:
        """The job as the collectors take it."""
        return ScrapeJob(
            job=self.job,
            targets=self.targets,
            path=self.path,
            scheme=self.scheme,
            interval_seconds=self.interval_seconds,
        )


class ExcludedNamespaces(Section):
    """Which namespaces of the cluster are left out."""

    exclude: Annotated[
        list[NamespaceName],
        Field(
            description="Namespaces whose log files, containers and annotated pods are left out. Objects of Kubernetes, such as "
            "Deployments, are counted all the same. Default: none."
        ),
    ] = []

    @field_validator("exclude")
    @classmethod
    def _distinct(cls, names: list[str]) -> list[str]:
        return without_duplicates(names)


class ResourcesOfCollectors(Section):
    """Requests and memory limit of each collector's pod."""

    cpu: Annotated[Quantity, Field(description="CPU request, in cores: 500m or 2. There is no CPU limit.")] = "50m"
    memory: Annotated[Quantity, Field(description="Memory request, in bytes: 256Mi.")] = "160Mi"
    memory_limit: Annotated[
        Quantity,
        Field(
            description="Memory limit, in bytes: 512Mi, at least the request and 128Mi. The default is for up to 40,000 series on "
            "a node; 100,000 need 2Gi."
        ),
    ] = "512Mi"

    @model_validator(mode="after")
    def _sizes(self) -> Self:
        problems = []
        if amount(self.memory) > amount(self.memory_limit):
            problems.append(f"memory {self.memory!r} is more than memoryLimit {self.memory_limit!r}; raise memoryLimit")
        if amount(self.memory_limit) < amount("128Mi"):
            problems.append(f"memoryLimit {self.memory_limit!r} is less than a collector takes; write 128Mi or more")
        return value_without_problems(problems, self)

    @property
    def of_each_pod(self) -> CollectorResources:
        """The resources as the collectors take them."""
        return CollectorResources(cpu=self.cpu, memory=self.memory, memory_limit=self.memory_limit)


class QueuesOfCollectors(Section):
    """How much a collector keeps on its node's disk while the system tenant does not take it."""

    logs: Annotated[
        Bytes,
        Field(
            description="Lines, in bytes with their attributes: 512Mi, at least 64Mi. The default holds 15 minutes of 1,000 lines/s."
        ),
    ] = CollectorQueues.logs
    metrics: Annotated[
        Bytes,
        Field(
            description="Samples, in bytes with their labels: 1Gi, at least 64Mi. The default holds 15 minutes of 100,000 series. "
            "More than 40,000 series on a node need `resources: {memoryLimit: 2Gi}`. The queue's files become about twice as large."
        ),
    ] = CollectorQueues.metrics

    @model_validator(mode="after")
    def _sizes(self) -> Self:
        problems = [
            f"{name} {size!r} is less than the batches and scrapes that a queue holds; write {LEAST_QUEUE} or more"
            for name, size in (("logs", self.logs), ("metrics", self.metrics))
            if amount(size) < amount(LEAST_QUEUE)
        ]
        return value_without_problems(problems, self)

    @property
    def of_each_pod(self) -> CollectorQueues:
        """The sizes as the collectors take them."""
        return CollectorQueues(logs=self.logs, metrics=self.metrics)


class RulesConfig(Section):
    """The recording and alerting rules of the platform."""

    enabled: Annotated[
        bool,
        Field(
            description="Whether the system tenant evaluates the platform's rules, if metrics are collected. Its Cortex then reads "
            "rules from ConfigMaps, and takes none by its API."
        ),
    ] = True
    runbooks: Annotated[
        str,
        Field(
            pattern=RUNBOOKS_PATTERN,
            description="Where the page with the runbooks is: the part of the annotation `runbook_url` before `#`. Give the URL of your "
            "copy of the documentation.",
        ),
    ] = RUNBOOKS


class CollectorsConfig(Section):
    """What is collected from the cluster for the system tenant. Each change replaces the collectors node by node."""

    logs: Annotated[bool, Field(description="Whether the logs of all containers go to the system tenant.")] = True
    metrics: Annotated[
        bool,
        Field(
            description="Whether the metrics of nodes, containers, annotated pods, the API server and the objects of "
            "Kubernetes go to the system tenant. With `logs: false` too, no collector runs."
        ),
    ] = True
    namespaces: Annotated[ExcludedNamespaces, Field(description="Which namespaces are left out.")] = (
        ExcludedNamespaces()
    )
    extra_scrape: Annotated[
        list[ExtraScrape], Field(description="Further targets whose metrics go to the system tenant. Default: none.")
    ] = []
    resources: Annotated[ResourcesOfCollectors, Field(description="Resources of each collector's pod.")] = (
        ResourcesOfCollectors()
    )

    queues: Annotated[QueuesOfCollectors, Field(description="Sizes of the queues on each node.")] = QueuesOfCollectors()
    rules: Annotated[RulesConfig, Field(description="The rules of the platform in the system tenant.")] = RulesConfig()

    @model_validator(mode="after")
    def _jobs(self) -> Self:
        without_duplicates([scrape.job for scrape in self.extra_scrape])
        if self.extra_scrape and not self.metrics:
            raise ValueError("extraScrape needs `metrics: true`; remove extraScrape, or set metrics")
        return self

    @property
    def enabled(self) -> bool:
        """Whether there are collectors at all."""
        return self.logs or self.metrics

    @property
    def evaluates_rules(self) -> bool:
        """Whether the system tenant evaluates the platform's rules."""
        return self.metrics and self.rules.enabled
