"""What network policies (`networking.k8s.io/v1`) say, as rules of nftables.

A pod that no policy selects lets everything pass, the answers to what was let pass are let pass, and between the node
itself and its pods everything does (kubelet's probes, name servers, and here AWS too): it forwards nothing of that. A pod
whose address the API server does not know yet is shut, as are the pods' IPv6 addresses, which no policy can name. The one
thing not done is a port that an egress rule gives by its name: it stays shut.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from localcloud.node.mirror import Object

Direction = Literal["Ingress", "Egress"]
# At which of its two addresses a packet has the selected pod, at which the other one, and how a rule names that.
SIDES: dict[Direction, str] = {"Egress": "saddr", "Ingress": "daddr"}
OTHERS: dict[Direction, str] = {"Egress": "daddr", "Ingress": "saddr"}
PEERS: dict[Direction, str] = {"Egress": "to", "Ingress": "from"}
TABLE = "inet opstrace-policies"


@dataclass(frozen=True)
class Pod:
    """What of a pod policies look at. `ports` maps names and protocols of its containers' ports to their numbers."""

    namespace: str
    labels: Mapping[str, str]
    address: str
    ports: Mapping[tuple[str, str], int]


def pods_with_addresses(objects: Iterable[Object]) -> list[Pod]:
    """Return the pods that have an address of their own."""
    found = []
    for entry in objects:
        address = entry.get("status", {}).get("podIP")
        over = entry.get("status", {}).get("phase") in ("Succeeded", "Failed")
        if not address or over or entry["spec"].get("hostNetwork"):
            continue
        containers = [*entry["spec"]["containers"], *entry["spec"].get("initContainers", [])]
        ports = {
            (port["name"], port.get("protocol", "TCP").lower()): port["containerPort"]
            for container in containers
            for port in container.get("ports", [])
            if "name" in port
        }
        metadata = entry["metadata"]
        found.append(Pod(metadata["namespace"], metadata.get("labels", {}), address, ports))
    return sorted(found, key=lambda pod: pod.address)


def _holds(expression: Object, labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values", [])
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    raise ValueError(f"a label selector has the operator {expression['operator']!r}")


def selects(selector: Object, labels: Mapping[str, str]) -> bool:
    """Tell whether a label selector selects what has these labels; an empty one selects everything."""
    wanted = selector.get("matchLabels", {})
    expressions = selector.get("matchExpressions", [])
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _holds(expression, labels) for expression in expressions
    )


@dataclass(frozen=True)
class _Cluster:
    namespaces: Mapping[str, Mapping[str, str]]
    pods: list[Pod]

    def peers(self, peer: Object, namespace: str) -> list[str]:
        """Return the addresses of the pods that `peer` of a policy in `namespace` means."""
        of_namespace, of_pod = peer.get("namespaceSelector"), peer.get("podSelector", {})
        return [
            pod.address
            for pod in self.pods
            if selects(of_pod, pod.labels)
            and (
                pod.namespace == namespace
                if of_namespace is None
                else selects(of_namespace, self.namespaces.get(pod.namespace, {}))
            )
        ]


def _who(rule: Object, direction: Direction, namespace: str, cluster: _Cluster) -> Iterator[str]:
    """Yield an expression for each of the other sides that `rule` names."""
    side, given = OTHERS[direction], rule.get(PEERS[direction])
    if not given:
        yield ""
    for peer in given or ():
        if block := peer.get("ipBlock"):
            ranges = [f"ip {side} {block['cidr']}", *(f"ip {side} != {text}" for text in block.get("except", []))]
            if ":" not in block["cidr"]:  # no pod has such an address, and nft would take none of the rules
                yield " ".join(ranges)
        elif addresses := cluster.peers(peer, namespace):
            yield f"ip {side} {{ {', '.join(addresses)} }}"


def _what(rule: Object, direction: Direction, pod: Pod) -> Iterator[str]:
    """Yield an expression for each of the ports that `rule` names."""
    if not rule.get("ports"):
        yield ""
    for entry in rule.get("ports") or ():
        protocol, port = entry.get("protocol", "TCP").lower(), entry.get("port")
        if isinstance(port, str):
            # Of the other sides' pods each may have another number for it.
            port = pod.ports.get((port, protocol)) if direction == "Ingress" else None
            if port is None:
                continue
        if port is None:
            yield f"meta l4proto {protocol}"
        else:
            yield f"{protocol} dport {port}" + (f"-{entry['endPort']}" if "endPort" in entry else "")


def _chain(pod: Pod, direction: Direction, policies: Iterable[Object], cluster: _Cluster) -> list[str] | None:
    """Return what is let pass at `pod`, a rule a line; None where no policy selects it."""
    lines = [f"ip {OTHERS[direction]} {pod.address} return"]  # no pod can be shut off from itself, by a Service say
    selected = False
    for policy in policies:
        spec, namespace = policy["spec"], policy["metadata"]["namespace"]
        if (
            direction not in spec["policyTypes"]
            or pod.namespace != namespace
            or not selects(spec["podSelector"], pod.labels)
        ):
            continue
        selected = True
        for rule in spec.get(direction.lower()) or ():
            for who in _who(rule, direction, namespace, cluster):
                lines += [" ".join(filter(None, (who, what, "return"))) for what in _what(rule, direction, pod)]
    return lines if selected else None


def ruleset(namespaces: Iterable[Object], pods: Iterable[Object], policies: Iterable[Object], pod_cidr: str) -> str:
    """Return what `nft -f` takes to enforce `policies`, in place of what it took before."""
    named = {entry["metadata"]["name"]: entry["metadata"].get("labels", {}) for entry in namespaces}
    cluster = _Cluster(named, pods_with_addresses(pods))
    known = sorted(policies, key=lambda policy: (policy["metadata"]["namespace"], policy["metadata"]["name"]))
    forward = ["type filter hook forward priority filter; policy accept;", "meta nfproto ipv6 drop"]
    forward.append("ct state established,related accept")
    addresses = ", ".join(pod.address for pod in cluster.pods)
    for side in SIDES.values():
        unknown = f" ip {side} != {{ {addresses} }}" if addresses else ""
        forward.append(f"ip {side} {pod_cidr}{unknown} drop")
    chains: dict[str, list[str]] = {}
    for direction, side in SIDES.items():
        held = []
        for pod in cluster.pods:
            lines = _chain(pod, direction, known, cluster)
            if lines is not None:
                name = f"{direction.lower()}-{pod.address}"
                chains[name] = [*lines, "drop"]
                held.append(f"{pod.address} : jump {name}")
        if held:
            forward.append(f"ip {side} vmap {{ {', '.join(held)} }}")
    chains["forward"] = forward
    inner = "".join(f"  chain {name} {{\n    " + "\n    ".join(lines) + "\n  }\n" for name, lines in chains.items())
    return f"add table {TABLE}\ndelete table {TABLE}\ntable {TABLE} {{\n{inner}}}\n"
