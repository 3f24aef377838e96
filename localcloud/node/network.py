"""The pair of virtual interfaces (veth) between this machine and the node's network namespace."""

import errno

from pyroute2 import IPRoute, NetlinkError

from localcloud.settings import Settings

PREFIX_LENGTH = 24


def _inner(settings: Settings) -> str:
    return f"{settings.name}n"


def connect(settings: Settings, pid: int) -> None:
    """Create the pair of interfaces, and move the inner one to the network namespace of the process `pid`."""
    with IPRoute() as routes:
        routes.link("add", ifname=settings.name, kind="veth", peer={"ifname": _inner(settings), "net_ns_pid": pid})
        index = routes.link_lookup(ifname=settings.name)[0]
        routes.addr("add", index=index, address=settings.host_address, prefixlen=PREFIX_LENGTH)
        routes.link("set", index=index, state="up")
        # Answers of a server on this machine, such as a receiver of alerts, need a route to the pod.
        routes.route("add", dst=settings.pod_cidr, gateway=settings.node_address)


def is_connected(settings: Settings) -> bool:
    """Tell whether the interface on this machine exists."""
    with IPRoute() as routes:
        return bool(routes.link_lookup(ifname=settings.name))


def disconnect(settings: Settings) -> None:
    """Remove the pair of interfaces, if the kernel has not yet removed it with the node's namespace."""
    with IPRoute() as routes:
        for index in routes.link_lookup(ifname=settings.name):
            try:
                routes.link("del", index=index)
            except NetlinkError as error:
                if error.code != errno.ENODEV:  # the kernel was faster
                    raise


def configure_inside(settings: Settings) -> bool:
    """Set address and routes of the inner interface; return False while it does not exist yet."""
    with IPRoute() as routes:
        inner = routes.link_lookup(ifname=_inner(settings))
        if not inner:
            return False
        routes.link("set", index=routes.link_lookup(ifname="lo")[0], state="up")
        routes.addr("add", index=inner[0], address=settings.node_address, prefixlen=PREFIX_LENGTH)
        routes.link("set", index=inner[0], state="up")
        # Kubernetes requires a default route; this one ends at this machine.
        routes.route("add", dst="default", gateway=settings.host_address)
    return True
