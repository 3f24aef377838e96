"""The providers of a stack: the AWS account and the Kubernetes cluster."""

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from components.config.platform.aws import AwsConfig
from components.config.stack import ClusterConfig
from components.core.names import account_of
from components.tenant.preview_notices import warn_of_open_pods, warn_of_other_endpoints


def providers(account: AwsConfig, cluster: ClusterConfig) -> list[pulumi.ProviderResource]:
    """Return the explicit AWS and Kubernetes providers of a stack, which do not depend on the shell's defaults."""
    warn_of_other_endpoints(account, cluster)
    warn_of_open_pods(cluster)
    elsewhere = bool(account.endpoints)
    endpoints = [aws.ProviderEndpointArgs(**account.endpoints)] if elsewhere else None
    return [
        aws.Provider(
            "aws",
            region=account.region,
            # With another account's credentials, a refresh would find nothing, and the update would create all of it again.
            allowed_account_ids=[account_of(cluster.oidc_provider_arn)],
            endpoints=endpoints,
            s3_use_path_style=elsewhere or None,
        ),
        kubernetes.Provider(
            "kubernetes",
            context=cluster.context,
            # Envoy watches its key file, so the ConfigMap must change in place instead of being replaced.
            enable_config_map_mutable=True,
            # An update takes back fields that `kubectl scale` or an operator changed. Without this, it would be refused.
            enable_patch_force=True,
        ),
    ]
