"""The tenants' network policies, by packets: who reaches whose pods, past the gateway."""

from components.gateway_config import ADMIN_PORT, HEALTH_PORT
from components.names import GATEWAY_NAMESPACE, PORTS
from tests.e2e.packets import PodNetwork
from tests.e2e.walk import Walk


def test_a_tenant_s_pods_are_reached_by_the_gateway_and_by_each_other_alone(walk: Walk) -> None:
    cortex, loki = (PodNetwork.of(walk, "default-tenant", name) for name in ("cortex", "loki"))
    stranger = PodNetwork.of(walk, "system-tenant", "cortex")
    gateway = PodNetwork.of(walk, GATEWAY_NAMESPACE, "gateway")
    ports = {cortex: PORTS["cortex"], loki: PORTS["loki"]}
    service = walk.kubectl("-n", "default-tenant", "get", "service", "cortex", "-o", "jsonpath={.spec.clusterIP}")
    assert service != "None"
    for pod, port in ports.items():
        asked = f"{pod.address}:{port}"
        assert {other: other.reaches(asked) for other in (gateway, cortex, loki, stranger)} == {
            gateway: True,
            cortex: True,
            loki: True,
            stranger: False,
        }
        assert not stranger.reaches(f"{pod.link_local()}:{port}")
    assert gateway.reaches(service) and not stranger.reaches(service)
    assert stranger.reaches(f"{gateway.address}:{HEALTH_PORT}")  # as any client
    assert stranger.is_refused(f"{gateway.address}:{ADMIN_PORT}")  # it listens inside its pod alone
