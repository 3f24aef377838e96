"""The formats that `write` knows, and what a user of each must know."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from components.core.scopes import Scope
from scripts.integrations.formats import alloy, collector, curl, grafana, kubernetes, log_shippers, prometheus
from scripts.integrations.formats.text import header
from scripts.integrations.integration import KINDS, Integration, Kind, scopes_for

Render = Callable[[Integration], str]
METRICS: tuple[Kind, ...] = ("metrics",)
LOGS: tuple[Kind, ...] = ("logs",)


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format of a client's configuration.

    Attributes:
        name: The name of the format, as users write it.
        program: The program that reads the file.
        file: The name of the file.
        further: What returns the content of each further file, by its name.
        kinds: The kinds of data that the client sends, or reads if it does not write.
        render: Returns the content of the file, without its header.
        reload: How a running client gets a replaced token.
        documentation: The page of the program's own documentation.
        tested: Whether the tests run the program with this format.
        writes: Whether the client sends data.
        scrapes: Whether it takes the option for scrape targets.
        follows: Whether it takes the option for log files.
        proxied: Whether the format has an option for a proxy.
        routes: Whether it sends data of namespaces to several tenants.
        in_kubernetes: Whether the token files come from a Kubernetes Secret.
        has_namespace: Whether it takes the option for the namespace of the client.
        bare_token: Whether the program takes a line break behind the token for a part of it.
        warning: What the user must know before anything else; a line of the header too.
        notes: More lines of the header.
        comment: What a line of a comment begins with.
        first_line: A line before the header, which the program needs to be the first.
    """

    name: str
    program: str
    file: str
    kinds: tuple[Kind, ...]
    render: Render
    reload: str
    documentation: str
    further: Mapping[str, Render] = field(default_factory=dict)
    tested: bool = False
    writes: bool = True
    scrapes: bool = False
    follows: bool = False
    proxied: bool = True
    routes: bool = False
    in_kubernetes: bool = False
    has_namespace: bool = False
    bare_token: bool = False
    warning: str = ""
    notes: tuple[str, ...] = ()
    comment: str = "#"
    first_line: str = ""

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """The scopes that the client's token needs."""
        return scopes_for(self.kinds, writes=self.writes)

    @property
    def files(self) -> list[str]:
        """The names of all files."""
        return [self.file, *self.further]

    @property
    def mark(self) -> str:
        """Whether our tests run the program."""
        return "yes" if self.tested else "not run by us"

    def contents(self, integration: Integration) -> dict[str, str]:
        """Return each file by its name, with the header."""
        notes = [*filter(None, [self.warning]), *self.notes, f"Token: {self.reload}"]
        if self.bare_token:
            notes.append("The token file must not end with a line break.")
        if not self.tested:
            notes.append(f"This format is not run by us. It follows {self.documentation}")
        top = self.first_line + header(integration, notes, self.comment)
        return {name: top + render(integration) for name, render in {self.file: self.render, **self.further}.items()}


_ALL = (
    Format(
        name="prometheus",
        program="Prometheus",
        file="prometheus.yml",
        kinds=METRICS,
        render=prometheus.prometheus,
        reload="Prometheus reads the file again for each request.",
        documentation="https://prometheus.io/docs/prometheus/latest/configuration/configuration/#remote_write",
        tested=True,
        scrapes=True,
    ),
    Format(
        name="otel",
        program="OpenTelemetry Collector",
        file="otelcol.yaml",
        kinds=KINDS,
        render=collector.otel,
        reload="the Collector watches the file, and uses a new token at once.",
        documentation="https://opentelemetry.io/docs/collector/configuration/",
        tested=True,
        scrapes=True,
        follows=True,
        routes=True,
        notes=("The distribution otelcol-contrib has all components, from version 0.149 on.",),
    ),
    Format(
        name="kubernetes",
        program="Kubernetes with the OpenTelemetry Collector",
        file=kubernetes.MANIFESTS,
        further={kubernetes.KUSTOMIZATION: kubernetes.kustomization},
        kinds=KINDS,
        render=kubernetes.manifests,
        # open-telemetry/opentelemetry-collector-contrib#45953: this version does not see that the kubelet replaced a file.
        reload="the Collector reads the file at its start alone. After you replaced the Secret, restart the pods with "
        "`kubectl rollout restart`. The queue on the node outlives it.",
        documentation="https://opentelemetry.io/docs/platforms/kubernetes/collector/components/",
        tested=True,
        routes=True,
        in_kubernetes=True,
        has_namespace=True,
        notes=(
            "Apply both files with `kubectl apply -k FOLDER`. To change more, refer to the folder from an overlay.",
        ),
    ),
    Format(
        name="helm",
        program="Helm chart opentelemetry-collector",
        file="values.yaml",
        kinds=KINDS,
        render=kubernetes.helm,
        reload="the kubelet replaces the file within about a minute after the Secret changed. The Collector uses the new "
        "token from version 0.155 on. Restart the pods of an older one.",
        documentation="https://github.com/open-telemetry/opentelemetry-helm-charts/tree/main/charts/opentelemetry-collector",
        routes=True,
        in_kubernetes=True,
    ),
    Format(
        name="alloy",
        program="Grafana Alloy",
        file="config.alloy",
        kinds=KINDS,
        render=alloy.alloy,
        reload="Alloy reads the file again for each request.",
        documentation="https://grafana.com/docs/alloy/latest/reference/components/loki/loki.write/",
        scrapes=True,
        follows=True,
        comment="//",
    ),
    Format(
        name="fluent-bit",
        program="Fluent Bit",
        file="fluent-bit.yaml",
        kinds=LOGS,
        render=log_shippers.fluent_bit,
        reload=f"Fluent Bit reads the file every {log_shippers.TOKEN_REFRESH_SECONDS} s, from version 4.2 on. "
        "If it goes on with the old token, send it SIGHUP.",
        documentation="https://docs.fluentbit.io/manual/data-pipeline/outputs/loki",
        follows=True,
        proxied=False,
        bare_token=True,
    ),
    Format(
        name="fluentd",
        program="Fluentd with fluent-plugin-grafana-loki",
        file="fluent.conf",
        kinds=LOGS,
        render=log_shippers.fluentd,
        reload="Fluentd reads the file at its start alone. Restart it after you replaced the token.",
        documentation="https://grafana.com/docs/loki/latest/send-data/fluentd/",
        follows=True,
        proxied=False,
        bare_token=True,
        notes=("If the gateway refuses the token, the plugin drops the lines.",),
    ),
    Format(
        name="vector",
        program="Vector",
        file="vector.yaml",
        kinds=LOGS,
        render=log_shippers.vector,
        reload="Vector reads the file at its start, and again after SIGHUP. Send it SIGHUP after you replaced the token.",
        documentation="https://vector.dev/docs/reference/configuration/sinks/loki/",
        follows=True,
    ),
    Format(
        name="promtail",
        program="Promtail",
        file="promtail.yaml",
        kinds=LOGS,
        render=prometheus.promtail,
        reload="Promtail reads the file again for each request.",
        documentation="https://grafana.com/docs/loki/latest/send-data/promtail/configuration/",
        follows=True,
        warning="Promtail reached its end of life on 2026-03-02. Use Alloy for new installations.",
    ),
    Format(
        name="grafana",
        program="Grafana",
        file="opstrace-datasources.yaml",
        kinds=KINDS,
        render=grafana.grafana,
        reload="Grafana reads the file when it starts, and after POST /api/admin/provisioning/datasources/reload.",
        documentation="https://grafana.com/docs/grafana/latest/administration/provisioning/#data-sources",
        writes=False,
        proxied=False,
        notes=("Put this file into the folder provisioning/datasources of Grafana.",),
    ),
    Format(
        name="curl",
        program="curl in a shell",
        file="send.sh",
        kinds=KINDS,
        render=curl.curl,
        reload="each run reads the file.",
        documentation="https://curl.se/docs/manpage.html",
        tested=True,
        first_line="#!/bin/sh\n",
    ),
)
FORMATS = {one.name: one for one in _ALL}
