"""What is looked at before anything is changed: do AWS and the cluster answer, and is the cluster free?"""

from collections.abc import Mapping
from typing import Any

import kubernetes
import urllib3
from botocore.exceptions import BotoCoreError, ClientError

from components.config import StackConfig
from components.errors import UserError
from components.names import GATEWAY_NAMESPACE
from scripts.aws import Clients

ANSWER_SECONDS = 5
NOT_FOUND = 404
INSTANCE_LABEL = "app.kubernetes.io/instance"


def require_account(clients: Clients) -> None:
    """Raise `UserError` where AWS does not answer or refuses the caller's credentials."""
    try:
        clients["sts"].get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        raise UserError(
            f"AWS does not let the caller in: {error}; `aws sts get-caller-identity` must work in this shell first"
        ) from error


def require_cluster(environment: Mapping[str, str], config: StackConfig, instance: str) -> None:
    """Raise `UserError` where the cluster does not answer, or holds another instance already."""
    context = config.cluster.context
    named = f"the context {context}" if context else "the current context"
    remedy = f"`kubectl{f' --context {context}' if context else ''} get namespaces` must work in this shell first"
    try:
        api: Any = kubernetes.config.new_client_from_config(environment.get("KUBECONFIG") or None, context)  # type: ignore[no-untyped-call]
        api.rest_client.pool_manager.connection_pool_kw["retries"] = False
        found: Any = kubernetes.client.CoreV1Api(api).read_namespace(GATEWAY_NAMESPACE, _request_timeout=ANSWER_SECONDS)
    except kubernetes.config.ConfigException as error:
        raise UserError(f"no cluster is known by {named} of the kubeconfig: {error}; {remedy}") from error
    except kubernetes.client.ApiException as error:
        if error.status == NOT_FOUND:
            return
        raise UserError(f"the cluster of {named} refuses the caller: {error.reason}; {remedy}") from error
    except urllib3.exceptions.HTTPError as error:
        raise UserError(f"the cluster of {named} does not answer: {error}; {remedy}") from error
    holder = (found.metadata.labels or {}).get(INSTANCE_LABEL, "somebody else's")
    if holder != instance:
        raise UserError(
            f"this cluster holds the instance {holder} already (namespace {GATEWAY_NAMESPACE}), and it can hold one; "
            "destroy that one first, or use another cluster"
        )
