"""Checks before any change: AWS and the cluster answer, are those of the stack file, and the cluster has no other instance."""

from collections.abc import Mapping

from botocore.exceptions import BotoCoreError, ClientError

from components.config.stack import StackConfig
from components.core.errors import UserError
from components.core.names import GATEWAY_NAMESPACE, account_of
from components.core.tags import INSTANCE_LABEL
from scripts.clients.aws import LONG, Clients, Timeouts
from scripts.clients.cluster_identity import require_described
from scripts.clients.kubernetes import Cluster
from scripts.clients.mismatches import account_mismatch


def reached(environment: Mapping[str, str], config: StackConfig, timeouts: Timeouts = LONG) -> tuple[Clients, Cluster]:
    """Return clients of a stack's account and cluster, after a request to the account; `timeouts` are those of AWS.

    Raises `UserError` if AWS does not answer or refuses the credentials, or if the account is not that of the cluster's
    identity provider.
    """
    clients = Clients(environment, config, timeouts)
    try:
        account = str(clients["sts"].get_caller_identity()["Account"])
    except (BotoCoreError, ClientError) as error:
        raise UserError(
            f"AWS refuses access: {error}; `aws sts get-caller-identity` must work in this shell first"
        ) from error
    if mismatch := account_mismatch(account, account_of(config.cluster.oidc_provider_arn)):
        raise mismatch.error()
    return clients, Cluster(environment, config)


def require_cluster(cluster: Cluster, instance: str) -> None:
    """Raise `UserError` if the cluster does not answer, is not the stack file's, or has another instance."""
    require_described(cluster)
    labels = cluster.labels("v1", "Namespace", GATEWAY_NAMESPACE)
    owner = instance if labels is None else labels.get(INSTANCE_LABEL, "of an unknown owner")
    if owner != instance:
        raise UserError(
            f"this cluster has the instance {owner} (namespace {GATEWAY_NAMESPACE}), and a cluster can have only one; "
            "destroy that instance first, or use another cluster"
        )
