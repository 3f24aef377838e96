"""The one cable between this machine and the node's network namespace."""

from pyroute2 import IPRoute

from localcloud.settings import Settings

PREFIX_LENGTH = 24


def _inner(settings: Settings) -> str:
    return f"{settings.name}n"


def connect(settings: Settings, pid: int) -> None:
    """Make the pair of interfaces, and give its inner end to the namespace of process `pid`."""
    with IPRoute() as routes:
        routes.link("add", ifname=settings.name, kind="veth", peer={"ifname": _inner(settings), "net_ns_pid": pid})
        index = routes.link_lookup(ifname=settings.name)[0]
        routes.addr("add", index=index, address=settings.host_address, prefixlen=PREFIX_LENGTH)
        routes.link("set", index=index, state="up")
        # Or what a server on this machine answers to a pod, such as a receiver of alerts, would not find back.
        routes.route("add", dst=settings.pod_cidr, gateway=settings.node_address)


def is_connected(settings: Settings) -> bool:
    """Tell whether this machine's end of the cable is there."""
    with IPRoute() as routes:
        return bool(routes.link_lookup(ifname=settings.name))


def disconnect(settings: Settings) -> None:
    """Remove the cable if it is there; it goes by itself with the node's namespace."""
    with IPRoute() as routes:
        for index in routes.link_lookup(ifname=settings.name):
            routes.link("del", index=index)


def configure_inside(settings: Settings) -> bool:
    """Give the inner end its address and route; return False while it is not there yet."""
    with IPRoute() as routes:
        found = routes.link_lookup(ifname=_inner(settings))
        if not found:
            return False
        routes.link("set", index=routes.link_lookup(ifname="lo")[0], state="up")
        routes.addr("add", index=found[0], address=settings.node_address, prefixlen=PREFIX_LENGTH)
        routes.link("set", index=found[0], state="up")
        # It leads to this machine and no further; Kubernetes insists on a default route.
        routes.route("add", dst="default", gateway=settings.host_address)
    return True
