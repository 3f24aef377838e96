"""Network policies (`networking.k8s.io/v1`) as rules of nftables.

- A pod that no policy selects accepts all traffic. Answers to accepted traffic are accepted.
- Traffic between the node and its pods (probes of kubelet, name server, AWS) is not forwarded, so no rule applies to it.
- Traffic of pods whose address the API server does not know yet is dropped. IPv6 is dropped too: no rule is generated
  for it.
- Limitation: an egress rule with a port's name accepts no traffic.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from localcloud.node.watch import Object

Direction = Literal["Ingress", "Egress"]
# For each direction: the packet's address of the selected pod, the packet's address of the peer, and a rule's field for
# peers.
SIDES: dict[Direction, str] = {"Egress": "saddr", "Ingress": "daddr"}
OTHERS: dict[Direction, str] = {"Egress": "daddr", "Ingress": "saddr"}
PEERS: dict[Direction, str] = {"Egress": "to", "Ingress": "from"}
TABLE = "inet opstrace-policies"


@dataclass(frozen=True)
class Pod:
    """The properties of a pod by which policies select it; `ports` maps name and protocol of a port to its number."""

    namespace: str
    labels: Mapping[str, str]
    address: str
    ports: Mapping[tuple[str, str], int]


def pods_with_addresses(objects: Iterable[Object]) -> list[Pod]:
    """Return the running pods with their own address, sorted by address."""
    pods = []
    for entry in objects:
        address = entry.get("status", {}).get("podIP")
        has_ended = entry.get("status", {}).get("phase") in ("Succeeded", "Failed")
        if not address or has_ended or entry["spec"].get("hostNetwork"):
            continue
        containers = [*entry["spec"]["containers"], *entry["spec"].get("initContainers", [])]
        ports = {
            (port["name"], port.get("protocol", "TCP").lower()): port["containerPort"]
            for container in containers
            for port in container.get("ports", [])
            if "name" in port
        }
        metadata = entry["metadata"]
        pods.append(Pod(metadata["namespace"], metadata.get("labels", {}), address, ports))
    return sorted(pods, key=lambda pod: pod.address)


def _matches(expression: Object, labels: Mapping[str, str]) -> bool:
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
    """Tell whether a label selector selects an object with these labels; an empty selector selects every object."""
    required = selector.get("matchLabels", {})
    expressions = selector.get("matchExpressions", [])
    return all(labels.get(key) == value for key, value in required.items()) and all(
        _matches(expression, labels) for expression in expressions
    )


@dataclass(frozen=True)
class _Cluster:
    namespaces: Mapping[str, Mapping[str, str]]
    pods: list[Pod]

    def peers(self, peer: Object, namespace: str) -> list[str]:
        """Return the addresses of the pods that `peer` of a policy in `namespace` selects."""
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


def _peer_expressions(rule: Object, direction: Direction, namespace: str, cluster: _Cluster) -> Iterator[str]:
    """Yield an nftables expression for each peer that `rule` accepts; an empty one accepts every peer."""
    side, peers = OTHERS[direction], rule.get(PEERS[direction])
    if not peers:
        yield ""
    for peer in peers or ():
        if block := peer.get("ipBlock"):
            ranges = [f"ip {side} {block['cidr']}", *(f"ip {side} != {text}" for text in block.get("except", []))]
            if ":" not in block["cidr"]:  # IPv6: no pod has such an address, and nft would refuse all rules
                yield " ".join(ranges)
        elif addresses := cluster.peers(peer, namespace):
            yield f"ip {side} {{ {', '.join(addresses)} }}"


def _port_expressions(rule: Object, direction: Direction, pod: Pod) -> Iterator[str]:
    """Yield an nftables expression for each port that `rule` accepts; an empty one accepts every port."""
    if not rule.get("ports"):
        yield ""
    for entry in rule.get("ports") or ():
        protocol, port = entry.get("protocol", "TCP").lower(), entry.get("port")
        if isinstance(port, str):
            # For egress each peer can have another number for the name.
            port = pod.ports.get((port, protocol)) if direction == "Ingress" else None
            if port is None:
                continue
        if port is None:
            yield f"meta l4proto {protocol}"
        else:
            yield f"{protocol} dport {port}" + (f"-{entry['endPort']}" if "endPort" in entry else "")


def _chain(pod: Pod, direction: Direction, policies: Iterable[Object], cluster: _Cluster) -> list[str] | None:
    """Return the rules that accept traffic at `pod`, one a line; None where no policy selects it."""
    lines = [f"ip {OTHERS[direction]} {pod.address} return"]  # a pod can always reach itself, for example by a Service
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
            ports = [*_port_expressions(rule, direction, pod)]
            for peer in _peer_expressions(rule, direction, namespace, cluster):
                lines += [" ".join(filter(None, (peer, port, "return"))) for port in ports]
    return lines if selected else None


def ruleset(namespaces: Iterable[Object], pods: Iterable[Object], policies: Iterable[Object], pod_cidr: str) -> str:
    """Return the input of `nft -f` that enforces `policies` and replaces the rules before."""
    labels = {entry["metadata"]["name"]: entry["metadata"].get("labels", {}) for entry in namespaces}
    cluster = _Cluster(labels, pods_with_addresses(pods))
    ordered = sorted(policies, key=lambda policy: (policy["metadata"]["namespace"], policy["metadata"]["name"]))
    forward = ["type filter hook forward priority filter; policy accept;", "meta nfproto ipv6 drop"]
    forward.append("ct state established,related accept")
    addresses = ", ".join(pod.address for pod in cluster.pods)
    for side in SIDES.values():
        unknown = f" ip {side} != {{ {addresses} }}" if addresses else ""
        forward.append(f"ip {side} {pod_cidr}{unknown} drop")
    chains: dict[str, list[str]] = {}
    for direction, side in SIDES.items():
        jumps = []
        for pod in cluster.pods:
            lines = _chain(pod, direction, ordered, cluster)
            if lines is not None:
                name = f"{direction.lower()}-{pod.address}"
                chains[name] = [*lines, "drop"]
                jumps.append(f"{pod.address} : jump {name}")
        if jumps:
            forward.append(f"ip {side} vmap {{ {', '.join(jumps)} }}")
    chains["forward"] = forward
    body = "".join(f"  chain {name} {{\n    " + "\n    ".join(lines) + "\n  }\n" for name, lines in chains.items())
    return f"add table {TABLE}\ndelete table {TABLE}\ntable {TABLE} {{\n{body}}}\n"
