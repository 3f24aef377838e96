"""Which pods the collectors' namespace admits: the collectors alone, with the rights that they need.

The namespace has the Pod Security level `privileged`, because the others forbid host paths. So a policy of its own says
which pods there may be. It holds for whoever may create pods in the namespace.
"""

import json
from collections.abc import Sequence
from typing import Any

import pulumi

from components.collectors.settings import HOST_FOLDER, LOGS_FOLDER, LOGS_VOLUME, QUEUE_VOLUME
from components.core.names import COLLECTORS_NAMESPACE
from components.core.resource_names import ADMISSION_BINDING_TYPE, ADMISSION_POLICY_TYPE
from components.shared.kubernetes_object import KubernetesObject
from components.shared.options import child, manifest


def validations(programs: Sequence[str], image: str) -> list[dict[str, str]]:
    """Return the rules of a pod as expressions of CEL, each with what it demands."""
    # Kubernetes refuses paths with `..` itself.
    folder = f"(v.name == '{QUEUE_VOLUME}' && v.hostPath.path.startsWith('{HOST_FOLDER}/'))"
    logs = f"(v.name == '{LOGS_VOLUME}' && v.hostPath.path == '{LOGS_FOLDER}')"
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
        "it has no namespace of the node": " && ".join(
            f"(!has(object.spec.{name}) || !object.spec.{name})" for name in ("hostNetwork", "hostPID", "hostIPC")
        ),
        "its container drops all capabilities, cannot gain privileges, and has a read-only root": (
            "object.spec.containers.all(c, has(c.securityContext)"
            " && (!has(c.securityContext.privileged) || !c.securityContext.privileged)"
            " && has(c.securityContext.allowPrivilegeEscalation) && !c.securityContext.allowPrivilegeEscalation"
            " && has(c.securityContext.readOnlyRootFilesystem) && c.securityContext.readOnlyRootFilesystem"
            " && has(c.securityContext.capabilities) && has(c.securityContext.capabilities.drop)"
            " && 'ALL' in c.securityContext.capabilities.drop"
            " && (!has(c.securityContext.capabilities.add) || size(c.securityContext.capabilities.add) == 0)"
            " && !has(c.securityContext.seccompProfile))"
        ),
        "it has the seccomp profile RuntimeDefault": (
            "has(object.spec.securityContext) && has(object.spec.securityContext.seccompProfile)"
            " && object.spec.securityContext.seccompProfile.type == 'RuntimeDefault'"
        ),
        f"its host paths are {LOGS_FOLDER} and those below {HOST_FOLDER}": (
            f"!has(object.spec.volumes) || object.spec.volumes.all(v, !has(v.hostPath) || {folder} || {logs})"
        ),
        "it mounts the log files to read them only": (
            "object.spec.containers.all(c, !has(c.volumeMounts) || c.volumeMounts.all(m,"
            f" m.name != '{LOGS_VOLUME}' || (has(m.readOnly) && m.readOnly)))"
        ),
    }
    return [
        {"expression": expression, "message": f"{COLLECTORS_NAMESPACE} admits a pod only if {rule}"}
        for rule, expression in rules.items()
    ]


def declare_policy(
    name: str, programs: Sequence[str], image: str, marks: dict[str, str], parent: pulumi.Resource
) -> list[pulumi.Resource]:
    """Declare the policy and its binding, which holds in the collectors' namespace alone."""
    only_there = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": COLLECTORS_NAMESPACE}}}
    rule: dict[str, Any] = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["pods", "pods/ephemeralcontainers"],
    }
    metadata = manifest(name=COLLECTORS_NAMESPACE, labels=marks)
    policy = KubernetesObject(
        ADMISSION_POLICY_TYPE,
        f"{name}-admission-policy",
        metadata=metadata,
        spec=manifest(
            failurePolicy="Fail",
            matchConstraints={**only_there, "resourceRules": [rule]},
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
