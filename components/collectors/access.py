"""The service accounts of the collectors, and their roles."""

import pulumi

from components.collectors.rights import RULES
from components.core.names import COLLECTORS_NAMESPACE
from components.core.resource_names import CLUSTER_ROLE_BINDING_TYPE, CLUSTER_ROLE_TYPE, SERVICE_ACCOUNT_TYPE
from components.shared.kubernetes_object import KubernetesObject
from components.shared.options import child, manifest


def declare_account(
    name: str, program: str, namespace: pulumi.Input[str], marks: dict[str, str], parent: pulumi.Resource
) -> list[pulumi.Resource]:
    """Declare the service account of a collector, its role, and the binding of both."""
    account = KubernetesObject(
        SERVICE_ACCOUNT_TYPE,
        f"{name}-{program}-service-account",
        metadata=manifest(name=program, namespace=namespace, labels=marks),
        automountServiceAccountToken=False,
        opts=child(parent),
    )
    cluster_wide = f"{COLLECTORS_NAMESPACE}-{program}"
    role = KubernetesObject(
        CLUSTER_ROLE_TYPE,
        f"{name}-{program}-role",
        metadata=manifest(name=cluster_wide, labels=marks),
        rules=RULES[program],
        opts=child(parent),
    )
    binding = KubernetesObject(
        CLUSTER_ROLE_BINDING_TYPE,
        f"{name}-{program}-role-binding",
        metadata=manifest(name=cluster_wide, labels=marks),
        roleRef=manifest(apiGroup="rbac.authorization.k8s.io", kind="ClusterRole", name=cluster_wide),
        subjects=[{"kind": "ServiceAccount", "name": program, "namespace": COLLECTORS_NAMESPACE}],
        opts=child(parent, role),
    )
    return [account, binding]
