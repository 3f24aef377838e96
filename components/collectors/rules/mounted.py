"""The rule files in the pods of the system tenant's Cortex.

They are a ConfigMap in a mounted volume, from which the ruler reads them again while it runs: docs/decisions/0009-rules.md.
"""

from collections.abc import Mapping
from typing import Any

import pulumi

from components.core.names import SYSTEM
from components.core.resource_names import CONFIG_MAP_TYPE
from components.shared.kubernetes_object import KubernetesObject
from components.shared.options import child, manifest

FOLDER = "/etc/opstrace-rules"
PLATFORM, OWN = "platform-rules", "own-rules"  # ConfigMaps
FILE = "platform.yaml"  # whose name is the namespace of the rules
VOLUME = "rules"


def ruler_storage() -> dict[str, Any]:
    """Return Cortex's `ruler_storage` block. Cortex reads the files of each tenant from a folder of its name."""
    return {"backend": "local", "local": {"directory": FOLDER}}


def mount() -> dict[str, Any]:
    """Return the mount of the volume in the container of Cortex."""
    return {"name": VOLUME, "mountPath": f"{FOLDER}/{SYSTEM}", "readOnly": True}


def volume() -> dict[str, Any]:
    """Return the volume with the platform's file, and those of a ConfigMap of the operator, if there is one."""
    # Of two files with one name, the later one is mounted.
    sources = [{"configMap": {"name": OWN, "optional": True}}, {"configMap": {"name": PLATFORM}}]
    return {"name": VOLUME, "projected": {"sources": sources}}


def declare_rules(
    name: str, text: str, namespace: pulumi.Input[str], marks: Mapping[str, str], parent: pulumi.Resource
) -> pulumi.Resource:
    """Declare the ConfigMap with the platform's rules."""
    return KubernetesObject(
        CONFIG_MAP_TYPE,
        f"{name}-rules",
        metadata=manifest(name=PLATFORM, namespace=namespace, labels=dict(marks)),
        data={FILE: text},
        opts=child(parent),
    )
