"""What is looked at before anything is changed: do AWS and the cluster answer, and is the cluster free?"""

from collections.abc import Mapping

from botocore.exceptions import BotoCoreError, ClientError

from components.config import StackConfig
from components.errors import UserError
from components.names import GATEWAY_NAMESPACE
from scripts.aws import Clients
from scripts.cluster import Cluster

INSTANCE_LABEL = "app.kubernetes.io/instance"


def reached(environment: Mapping[str, str], config: StackConfig) -> tuple[Clients, Cluster]:
    """Return the account and the cluster of a stack, the account having answered.

    Raises `UserError` where AWS does not answer or refuses the caller's credentials.
    """
    clients = Clients(environment, config)
    try:
        clients["sts"].get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        raise UserError(
            f"AWS does not let the caller in: {error}; `aws sts get-caller-identity` must work in this shell first"
        ) from error
    return clients, Cluster(environment, config)


def require_cluster(cluster: Cluster, instance: str) -> None:
    """Raise `UserError` where the cluster does not answer, or holds another instance already."""
    found = cluster.labels("v1", "Namespace", GATEWAY_NAMESPACE)
    holder = instance if found is None else found.get(INSTANCE_LABEL, "of somebody else")
    if holder != instance:
        raise UserError(
            f"this cluster holds the instance {holder} already (namespace {GATEWAY_NAMESPACE}), and it can hold one; "
            "destroy that one first, or use another cluster"
        )
