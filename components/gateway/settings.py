"""The gateway's settings, and the ports, sizes and times that it is built for."""

from dataclasses import dataclass

from components.gateway.limits import Rate

EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 network policies decide who reaches a pod
LISTEN_PORT = 8080
HEALTH_PORT = 8081
ADMIN_PORT = 9901
TAIL_PORT = 8082  # on loopback
METRICS_PORT = 8083  # of tenants' back ends, for the collectors
CONFIG_FOLDER = "/etc/envoy"

# Memory of a pod; docs/reference/quotas.md has the budget. Envoy's overload manager counts its heap only: Lua, the kernel's
# socket buffers and the program itself come on top.
MEMORY_MIB, HEAP_MIB = 1280, 704
MEMORY_REQUEST = "192Mi"
CPU_REQUEST = "200m"  # for about 450 pushes/s; without a limit, a pod uses more if the node has it
BUFFER_BYTES = 16 * 2**10  # of a connection, on each side of the gateway; Envoy's default is 1 MiB
# Socket buffers in the kernel, for answers to clients and for bodies to back ends; the default is 512 KiB. With 16 KiB
# for bodies too, a push of 43 kB waits for acknowledgements, and throughput falls to a third.
ANSWER_SOCKET_BYTES, BODY_SOCKET_BYTES = 16 * 2**10, 64 * 2**10
MOST_HEADER_KIB = 12  # of a request's line and headers
PROBE_HEADER_KIB = 4
PROBE_BUFFER_BYTES = 8192

MOST_CONNECTIONS = 4000  # of clients to a pod, with or without a token
PROBE_CONNECTIONS = 32  # at the probe's port; the kubelet opens one or two

SILENT_SECONDS = 2  # until a new connection must begin a request, and then until its headers must be complete
REQUEST_SECONDS = 60  # until a request must have arrived; a request that is being answered, such as a tail, is exempt
# A tail ends with its token, and when keys or revocations change. After the change Envoy closes it within DRAIN_SECONDS.
DRAIN_SECONDS = 2
TAIL_HOURS = 12
MOST_TAILS = 1000  # at the same time, in a pod
# Between two requests of a connection: longer than the 300 s of Go's clients, and shorter than the 350 s of a Network
# Load Balancer. The gateway closes the connection before the load balancer, so no request is sent into a closed one.
IDLE_SECONDS = 340


@dataclass(frozen=True, kw_only=True)
class GatewaySettings:
    """What distinguishes one instance's gateway from another's.

    Attributes:
        instance: The name of the instance.
        domain: The instance's own domain.
        authentication: Whether requests need a token.
        legacy_push_errors: Whether a back end's 5xx answers to pushes become 409.
        address_connections: The rate of new connections from one client address, for all pods together; None: no limit.
        pods: How many pods the gateway has.
    """

    instance: str
    domain: str
    authentication: bool
    legacy_push_errors: bool
    address_connections: Rate | None = None
    pods: int = 1
