"""The status of an instance: its tenants, and what its gateway has loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.core.errors import UserError
from components.core.names import APIS, api_url, instance_domain, namespace
from scripts.clients.concurrent import map_concurrently
from scripts.instances.gateway import Readiness, gateway_readiness
from scripts.instances.stacks import require_stack
from scripts.tenants.locate import all_settings, deployed_tenants
from scripts.tenants.readiness import READY, programs, reasons_of, state_of
from scripts.tenants.reports.newest_data import newest_data
from scripts.ui.terminal import note

if TYPE_CHECKING:
    from collections.abc import Mapping

    from components.config.stack import StackConfig
    from components.config.tenant import TenantSettings
    from scripts.clients.back_ends import Kind
    from scripts.clients.gateway.state import PodState
    from scripts.clients.kubernetes import Cluster
    from scripts.clients.providers import Provider
    from scripts.context.context import Context
    from scripts.stackfile.file import StackFile

UNKNOWN: dict[str, Any] = {"state": None, "reasons": []}
ANSWERS = (200, 401)  # without a token, the gateway answers 401 where authentication is on


@dataclass(frozen=True)
class Status:
    """The status of an instance.

    Attributes:
        instance: Its name.
        domain: Its domain.
        key_ids: The ids of the keys that its stack file has.
        gateway: Whether the gateway's pods are ready.
        pods: What each of the gateway's pods has loaded; None for a pod that does not answer.
        tenants: The facts of its tenants by name.
        newest: The newest data of the collectors in the system tenant.
    """

    instance: str
    domain: str
    key_ids: list[str]
    gateway: Readiness
    pods: Mapping[str, PodState | None]
    tenants: Mapping[str, dict[str, Any]]
    newest: Mapping[Kind, dict[str, Any]]

    def plain(self) -> dict[str, Any]:
        """Return the status as `--json` has it."""
        return {
            "instance": self.instance,
            "domain": self.domain,
            "trustedKeyIds": self.key_ids,
            "gateway": {"state": self.gateway.state, "reasons": self.gateway.reasons},
            "gatewayPods": {pod: state and state.facts() for pod, state in self.pods.items()},
            "tenants": self.tenants,
            "newestData": self.newest,
        }


def status_of_instance(context: Context, provider_name: str, instance: str) -> Status:
    """Return the status of an instance; raises `UserError` where it has no stack."""
    provider = context.provider(provider_name)
    file = context.require_file(instance)
    config = file.config()
    require_stack(context.engine(provider, instance), provider_name)
    cluster = context.cluster(provider, config)
    gateway = _gateway(cluster)
    tenants = _tenants(context, provider, file, config)
    pods = _gateway_pods(context, provider, instance, config)
    domain = instance_domain(instance, config.domain)
    newest = newest_data(cluster, config.collectors)
    return Status(instance, domain, sorted(config.data_api.public_keys), gateway, pods, tenants, newest)


def _gateway(cluster: Cluster) -> Readiness:
    """Return whether the gateway's pods are ready; unknown, after a note, where the cluster does not answer."""
    try:
        return gateway_readiness(cluster)
    except UserError as error:
        note(f"whether the pods of the gateway are ready is unknown: {error}")
        return Readiness()


def _gateway_pods(
    context: Context, provider: Provider, instance: str, config: StackConfig
) -> dict[str, PodState | None]:
    """Return what the gateway's pods have loaded; none, after a note, where the cluster does not answer."""
    if not config.data_api.authentication:
        return {}
    try:
        return context.gateway_pods(provider, config, instance)
    except UserError as error:
        note(f"the keys of the gateway are unknown: {error}")
        return {}


def _tenants(context: Context, provider: Provider, file: StackFile, config: StackConfig) -> dict[str, dict[str, Any]]:
    """Return the facts of each tenant that is configured or deployed, by its name."""
    deployed = deployed_tenants(context, provider, file.instance)
    configured = all_settings(context, file, config)
    domain, port = instance_domain(file.instance, config.domain), config.load_balancer.port
    states = _pod_states(context.cluster(provider, config), {name: configured.get(name) for name in deployed})

    def facts_of(name: str) -> dict[str, Any]:
        urls: dict[str, Any] = {api: api_url(api, name, domain, port) for api in APIS}
        return urls | {
            "namespace": namespace(name),
            "buckets": deployed[name].buckets if name in deployed else {},
            "configured": name in configured,
            "applied": name in deployed,
            "protected": name in deployed and deployed[name].protect,
            **states.get(name, UNKNOWN),
            "gateway": context.http_status(provider, f"{urls['cortex']}/api/v1/labels") in ANSWERS,
        }

    names = sorted({*configured, *deployed})
    return dict(zip(names, map_concurrently(facts_of, names), strict=True))


def _pod_states(cluster: Cluster, tenants: Mapping[str, TenantSettings | None]) -> dict[str, dict[str, Any]]:
    """Return of each tenant whether its pods are ready, and why not; nothing, after a note, where no cluster answers."""

    def state(name: str) -> dict[str, Any]:
        settings = tenants[name]
        names = programs(settings) if settings else APIS
        found = state_of(cluster, name, names)
        return {"state": found, "reasons": [] if found == READY else reasons_of(cluster, name, names)}

    try:
        return dict(zip(tenants, map_concurrently(state, [*tenants]), strict=True))
    except UserError as error:
        note(f"whether the pods of the tenants are ready is unknown: {error}")
        return {}
