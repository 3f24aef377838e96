"""The account and the cluster that everything is declared in."""

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from components.config import AwsConfig, ClusterConfig


def providers(account: AwsConfig, cluster: ClusterConfig) -> list[pulumi.ProviderResource]:
    """Return the explicit AWS and Kubernetes providers of a stack: never whatever a shell happens to point at."""
    elsewhere = bool(account.endpoints)
    endpoints = [aws.ProviderEndpointArgs(**account.endpoints)] if elsewhere else None
    return [
        aws.Provider("aws", region=account.region, endpoints=endpoints, s3_use_path_style=elsewhere or None),
        kubernetes.Provider(
            "kubernetes",
            context=cluster.context,
            # Envoy watches the file of its keys: they change in place, not by another ConfigMap.
            enable_config_map_mutable=True,
        ),
    ]
