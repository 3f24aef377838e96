"""Which pods the collectors' namespace admits: the collectors alone, with the rights that they need.

The namespace has the Pod Security level `privileged`, because the others forbid host paths. So a policy of its own says
which pods there may be. It holds for whoever may create pods in the namespace: the collector's program with another
configuration could read all log files and write to the system tenant, so what it runs is fixed, too. For the same reason,
it refuses `exec` and `attach` to a collector's container. Whoever may change the collectors' ConfigMaps, or ask a kubelet
(`nodes/proxy`), is not stopped.
"""

import json
from collections.abc import Sequence
from typing import Any

import pulumi

from components.collectors.pod import ARGUMENTS, CONFIG_VOLUME, FIELDS, MEMORY_VARIABLE
from components.collectors.settings import (
    CONFIG_FOLDER,
    HOST_FOLDER,
    LOGS_FOLDER,
    LOGS_VOLUME,
    QUEUE_FOLDER,
    QUEUE_VOLUME,
    SERVICE_ACCOUNT_FOLDER,
)
from components.core.names import COLLECTORS_NAMESPACE
from components.core.resource_names import ADMISSION_BINDING_TYPE, ADMISSION_POLICY_TYPE
from components.shared.kubernetes_object import KubernetesObject
from components.shared.options import child, manifest

CONNECT = "CONNECT"  # the operation on a pod that exists, such as `exec`
CONNECTIONS = ["pods/exec", "pods/attach"]
HOST_NAMESPACES = ("hostNetwork", "hostPID", "hostIPC")
TOKEN_VOLUME = "kube-api-access-"
"""How the name of the volume begins that Kubernetes adds for the token of the service account."""


def validations(programs: Sequence[str], image: str) -> list[dict[str, str]]:
    """Return the rules of a pod and of connections to it as expressions of CEL, each with what it demands."""
    rules = {
        f"its service account is one of {', '.join(programs)}": (
            f"has(object.spec.serviceAccountName) && object.spec.serviceAccountName in {json.dumps(list(programs))}"
        ),
        "it has one container, and no other kind of container": (
            "size(object.spec.containers) == 1"
            " && (!has(object.spec.initContainers) || size(object.spec.initContainers) == 0)"
            " && (!has(object.spec.ephemeralContainers) || size(object.spec.ephemeralContainers) == 0)"
        ),
        f"its image is {image}": f"object.spec.containers.all(c, c.image == {json.dumps(image)})",
        **_program_rules(),
        **_node_rules(),
        **_volume_rules(),
    }
    refused = f"{COLLECTORS_NAMESPACE} admits neither exec nor attach; read the logs of the pod"
    return [
        {"expression": f"request.operation != '{CONNECT}'", "message": refused},
        *(
            {
                "expression": f"request.operation == '{CONNECT}' || ({expression})",  # which has no pod
                "message": f"{COLLECTORS_NAMESPACE} admits a pod only if {rule}",
            }
            for rule, expression in rules.items()
        ),
    ]


def _program_rules() -> dict[str, str]:
    """Return the rules of what the container runs: the collector with its own configuration, whoever starts it."""
    probes = ("livenessProbe", "readinessProbe", "startupProbe")
    no_commands = "".join(
        f" && (!has(c.{probe}) || (!has(c.{probe}.exec)"
        + "".join(f" && (!has(c.{probe}.{kind}) || !has(c.{probe}.{kind}.host))" for kind in ("httpGet", "tcpSocket"))
        + "))"
        for probe in probes
    )
    fields = "".join(
        f" || (e.name == '{name}' && has(e.valueFrom) && has(e.valueFrom.fieldRef)"
        f" && e.valueFrom.fieldRef.fieldPath == '{path}')"
        for name, path in FIELDS.items()
    )
    return {
        f"it runs {' '.join(ARGUMENTS)} and no other command": (
            f"object.spec.containers.all(c, !has(c.command) && has(c.args) && c.args == {json.dumps(ARGUMENTS)}"
            f" && !has(c.lifecycle){no_commands})"
        ),
        # The configuration takes in the text of these variables.
        f"its environment is {', '.join(FIELDS)} from the pod's fields, and {MEMORY_VARIABLE}": (
            "object.spec.containers.all(c, !has(c.envFrom) && (!has(c.env) || c.env.all(e,"
            f" (e.name == '{MEMORY_VARIABLE}' && !has(e.valueFrom)){fields})))"
        ),
    }


def _node_rules() -> dict[str, str]:
    """Return the rules of the rights on the node."""
    loose = "(has({0}.seLinuxOptions) || (has({0}.appArmorProfile) && {0}.appArmorProfile.type != 'RuntimeDefault'))"
    return {
        # A name that leads elsewhere would send it lines and tokens.
        "it resolves names by the cluster's DNS": (
            "(!has(object.spec.dnsPolicy) || object.spec.dnsPolicy == 'ClusterFirst')"
            " && (!has(object.spec.hostAliases) || size(object.spec.hostAliases) == 0)"
            " && (!has(object.spec.dnsConfig)"
            " || (!has(object.spec.dnsConfig.nameservers) && !has(object.spec.dnsConfig.searches)))"
        ),
        "it has no namespace and no port of the node": (
            " && ".join(f"(!has(object.spec.{name}) || !object.spec.{name})" for name in HOST_NAMESPACES)
            + " && object.spec.containers.all(c,"
            " !has(c.ports) || c.ports.all(p, !has(p.hostPort) || p.hostPort == 0))"
        ),
        "its container drops all capabilities, cannot gain privileges, and has a read-only root": (
            "object.spec.containers.all(c, has(c.securityContext)"
            " && (!has(c.securityContext.privileged) || !c.securityContext.privileged)"
            " && has(c.securityContext.allowPrivilegeEscalation) && !c.securityContext.allowPrivilegeEscalation"
            " && has(c.securityContext.readOnlyRootFilesystem) && c.securityContext.readOnlyRootFilesystem"
            " && has(c.securityContext.capabilities) && has(c.securityContext.capabilities.drop)"
            " && 'ALL' in c.securityContext.capabilities.drop"
            " && (!has(c.securityContext.capabilities.add) || size(c.securityContext.capabilities.add) == 0)"
            " && (!has(c.securityContext.procMount) || c.securityContext.procMount == 'Default')"
            f" && !{loose.format('c.securityContext')} && !has(c.securityContext.seccompProfile))"
        ),
        "it has the seccomp profile RuntimeDefault, and neither SELinux options, another AppArmor profile nor sysctls": (
            "has(object.spec.securityContext) && has(object.spec.securityContext.seccompProfile)"
            " && object.spec.securityContext.seccompProfile.type == 'RuntimeDefault'"
            f" && !{loose.format('object.spec.securityContext')}"
            " && (!has(object.spec.securityContext.sysctls) || size(object.spec.securityContext.sysctls) == 0)"
        ),
    }


def _volume_rules() -> dict[str, str]:
    """Return the rules of volumes and their mounts."""
    # Kubernetes refuses paths with `..` itself.
    volumes = (
        f"(v.name == '{CONFIG_VOLUME}' && has(v.configMap) && v.configMap.name == object.spec.serviceAccountName)",
        f"(v.name == '{QUEUE_VOLUME}' && has(v.hostPath) && v.hostPath.path.startsWith('{HOST_FOLDER}/'))",
        f"(v.name == '{LOGS_VOLUME}' && has(v.hostPath) && v.hostPath.path == '{LOGS_FOLDER}')",
        f"(v.name.startsWith('{TOKEN_VOLUME}') && has(v.projected) && v.projected.sources.all(s, !has(s.secret)))",
    )
    mounts = (
        f"(m.name == '{CONFIG_VOLUME}' && m.mountPath == '{CONFIG_FOLDER}')",
        f"(m.name == '{QUEUE_VOLUME}' && m.mountPath == '{QUEUE_FOLDER}')",
        f"(m.name == '{LOGS_VOLUME}' && m.mountPath == '{LOGS_FOLDER}' && has(m.readOnly) && m.readOnly)",
        f"(m.name.startsWith('{TOKEN_VOLUME}') && m.mountPath == '{SERVICE_ACCOUNT_FOLDER}')",
    )
    return {
        f"its volumes are its own ConfigMap, {LOGS_FOLDER}, a folder below {HOST_FOLDER} and its token": (
            f"!has(object.spec.volumes) || object.spec.volumes.all(v, {' || '.join(volumes)})"
        ),
        "it mounts each volume at its own path, and the log files to read them only": (
            f"object.spec.containers.all(c, !has(c.volumeMounts) || c.volumeMounts.all(m, {' || '.join(mounts)}))"
        ),
    }


def declare_policy(
    name: str, programs: Sequence[str], image: str, marks: dict[str, str], parent: pulumi.Resource
) -> list[pulumi.Resource]:
    """Declare the policy and its binding, which holds in the collectors' namespace alone."""
    only_there = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": COLLECTORS_NAMESPACE}}}
    rules: list[dict[str, Any]] = [
        {"apiGroups": [""], "apiVersions": ["v1"], "operations": operations, "resources": resources}
        for operations, resources in (
            (["CREATE", "UPDATE"], ["pods", "pods/ephemeralcontainers"]),
            ([CONNECT], CONNECTIONS),
        )
    ]
    metadata = manifest(name=COLLECTORS_NAMESPACE, labels=marks)
    policy = KubernetesObject(
        ADMISSION_POLICY_TYPE,
        f"{name}-admission-policy",
        metadata=metadata,
        spec=manifest(
            failurePolicy="Fail",
            matchConstraints={**only_there, "resourceRules": rules},
            validations=validations(programs, image),
        ),
        opts=child(parent),
    )
    binding = KubernetesObject(
        ADMISSION_BINDING_TYPE,
        f"{name}-admission-policy-binding",
        metadata=metadata,
        spec=manifest(policyName=COLLECTORS_NAMESPACE, validationActions=["Deny"], matchResources=only_there),
        opts=child(parent, policy),
    )
    return [policy, binding]
