"""Reading the containers' log files, in the format of the Container Runtime Interface (CRI).

The receiver's own operator `container` is not used. It passes lines on from memory up to 100 ms later, while the offset
behind them may be saved already: a kill in between loses them (Collector 0.149, pkg/stanza/operator/parser/container). The
operators here pass each batch on before the offset is saved, together with the feature gate `SYNCHRONOUS`.
"""

from collections.abc import Sequence
from typing import Any

from components.collectors.export import READER_RETRIES, STORAGE
from components.collectors.settings import LOGS_FOLDER, NODE_NAME, TEMPLATE_HASH

SYNCHRONOUS = "stanza.synchronousLogEmitter"
PATH = 'attributes["log.file.path"]'
LINE = r"(?s)^(?P<time>[^ ]+) (?P<stream>stdout|stderr) (?P<logtag>[^ ]+) ?(?P<log>.*)"
TIME_LAYOUT = "2006-01-02T15:04:05.999999999Z07:00"
# /var/log/pods/NAMESPACE_POD_UID/CONTAINER/RESTARTS.log, and after a rotation RESTARTS.log.TIME
FILE = r"/(?P<namespace>[^/_]+)_(?P<pod>[^/_]+)_(?P<uid>[^/_]+)/(?P<container>[^/]+)/(?P<restarts>\d+)\.log"
FROM_FILE = {
    "namespace": "k8s.namespace.name",
    "pod": "k8s.pod.name",
    "uid": "k8s.pod.uid",
    "container": "k8s.container.name",
    "restarts": "k8s.container.restart_count",
}
# Of a line: with one more part of 16 KiB it is below the 256 KB that Loki takes. A longer one becomes several. Of a line that
# is longer than a batch, the exporter would drop all that is in the batch, and count nothing (Collector 0.149, queuebatch).
LONGEST_LINE = "224KiB"
WORKLOADS = ("statefulset", "daemonset", "cronjob", "job")
REPLICA_SET = "k8s.replicaset.name"


def receiver(excluded: Sequence[str], folder: str = LOGS_FOLDER) -> dict[str, Any]:
    """Return the receiver of all containers' log files in `folder`, but those of excluded namespaces."""
    # A rotated file is read to its end, also after the kubelet compressed it: the reader knows it by its first lines.
    incomplete = [f"{folder}/*/*/*.tmp"]
    return {
        "include": [f"{folder}/*/*/*.log*"],
        "exclude": incomplete + [f"{folder}/{name}_*/*/*" for name in excluded],
        "start_at": "beginning",
        "include_file_path": True,
        "include_file_name": False,
        "max_log_size": LONGEST_LINE,
        "compression": "auto",
        # At each poll, every file is opened. At the default of 200 ms, 300 compressed files take a sixth of a core.
        "poll_interval": "1s",
        "storage": STORAGE,
        "retry_on_failure": READER_RETRIES,
        "operators": [*_line_operators(), *_file_operators()],
    }


def _line_operators() -> list[dict[str, Any]]:
    """Return the operators that parse a line, and put the parts of a long one together again."""
    is_parsed = "attributes.log != nil"
    return [
        {
            "type": "regex_parser",
            "regex": LINE,
            "on_error": "send_quiet",  # a line in another format is sent as it is
            "timestamp": {"parse_from": "attributes.time", "layout_type": "gotime", "layout": TIME_LAYOUT},
        },
        {
            "type": "recombine",
            "if": is_parsed,
            "combine_field": "attributes.log",
            "combine_with": "",
            "is_last_entry": "attributes.logtag != 'P'",
            "source_identifier": PATH,
            "max_log_size": LONGEST_LINE,
        },
        {"type": "move", "if": is_parsed, "from": "attributes.log", "to": "body"},
        {
            "type": "move",
            "if": "attributes.stream != nil",
            "from": "attributes.stream",
            "to": 'attributes["log.iostream"]',
        },
        *(
            {"type": "remove", "if": f"attributes.{name} != nil", "field": f"attributes.{name}"}
            for name in ("time", "logtag")
        ),
    ]


def _file_operators() -> list[dict[str, Any]]:
    """Return the operators that name the pod and the container by the file's path."""
    parsed = {"type": "regex_parser", "regex": FILE, "parse_from": PATH, "on_error": "send_quiet"}
    moves = [
        {
            "type": "move",
            "if": f"attributes.{part} != nil",
            "from": f"attributes.{part}",
            "to": f'resource["{attribute}"]',
        }
        for part, attribute in FROM_FILE.items()
    ]
    return [parsed, *moves, {"type": "remove", "field": PATH}]


def pod_attributes() -> dict[str, Any]:
    """Return the processor that adds the pods' workloads, from the API server."""
    by_name = ["k8s.namespace.name", "k8s.pod.name"]
    return {
        "filter": {"node_from_env_var": NODE_NAME},
        # Without it, lines that are read at the start would have no workload. Until it starts, they stay in their files.
        "wait_for_metadata": True,
        "extract": {
            "metadata": [*(f"k8s.{workload}.name" for workload in WORKLOADS), REPLICA_SET, "k8s.node.name"],
            "labels": [{"tag_name": TEMPLATE_HASH, "key": TEMPLATE_HASH, "from": "pod"}],
        },
        "pod_association": [
            {"sources": [{"from": "resource_attribute", "name": "k8s.pod.uid"}]},
            # The uid in the path of a static pod is not that of its object.
            {"sources": [{"from": "resource_attribute", "name": name} for name in by_name]},
        ],
    }


def names() -> dict[str, Any]:
    """Return the processor that names the pod's Deployment, and the service."""
    return {"log_statements": [{"context": "resource", "statements": [*_deployment(), _service()]}]}


def _deployment() -> list[str]:
    """Return the statements that cut the hash of the pod's template off its ReplicaSet's name.

    The attribute of the processor `k8s_attributes` would need a watch of all ReplicaSets on each node. Its option
    `deployment_name_from_replicaset` takes hashes of 10 characters alone, and 23% of them are shorter (Collector 0.149).
    """
    name, ending = f'resource.attributes["{REPLICA_SET}"]', f'Concat(["-", resource.attributes["{TEMPLATE_HASH}"]], "")'
    is_of_a_deployment = f'resource.attributes["{TEMPLATE_HASH}"] != nil and HasSuffix({name}, {ending})'
    deployment = f"Substring({name}, 0, Len({name}) - Len({ending}))"
    return [
        f'set(resource.attributes["k8s.deployment.name"], {deployment}) where {name} != nil and {is_of_a_deployment}',
        *(f'delete_key(resource.attributes, "{attribute}")' for attribute in (REPLICA_SET, TEMPLATE_HASH)),
    ]


def _service() -> str:
    """Return the statement that names the service, by which Loki's clients group streams: after the container."""
    named = 'set(resource.attributes["service.name"], resource.attributes["k8s.container.name"])'
    unnamed = 'where resource.attributes["service.name"] == nil and resource.attributes["k8s.container.name"] != nil'
    return f"{named} {unnamed}"
