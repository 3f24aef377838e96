"""What the preflight reads of a cluster, from a real API server."""

from components.config.load import from_settings
from components.core.public_keys import canonical_pem, key_id
from localcloud import cloud
from scripts.checks import cluster
from scripts.checks.account import find_identity_provider
from scripts.checks.subject import Account, Subject
from scripts.clients.aws import Clients
from scripts.clients.kubernetes import Cluster
from tests.support.factories import KEY
from tests.support.stack import Stack


def subject(stack: Stack, issuer: str | None = None) -> Subject:
    settings = cloud.stack_settings(stack.cloud.settings)
    described = settings["cluster"] | ({"oidcIssuer": issuer} if issuer else {})
    keys = {"publicKeys": {key_id(KEY): canonical_pem(KEY)}}
    more = {"cluster": described, "tenants": [{"name": "default"}], "dataApi": keys}
    config = from_settings(settings | more, "reads")
    environment = stack.environment
    return Subject("reads", config, Account(Clients(environment, config)), Cluster(environment, config))


def test_version_issuer_and_nodes_are_read(bare_stack: Stack) -> None:
    asked = subject(bare_stack)
    (version,) = cluster.find_version(asked)
    assert version.level == "ok" and version.message.startswith("Kubernetes v1.")
    (issuer,) = cluster.find_issuer(asked)
    assert (issuer.level, issuer.message) == ("ok", bare_stack.cloud.settings.oidc_issuer)
    assert asked.nodes == [] and asked.cluster.read("/nothing/here") is None
    (policies,) = cluster.find_policies(asked)
    assert policies.level == "warning"


def test_another_cluster_is_found_by_its_issuer(bare_stack: Stack) -> None:
    (issuer,) = cluster.find_issuer(subject(bare_stack, "https://oidc.example.com/id/OTHER"))
    assert issuer.level == "error" and bare_stack.cloud.settings.oidc_issuer in issuer.message


def test_the_identity_provider_of_the_embedded_cloud_is_sound(bare_stack: Stack) -> None:
    (provider,) = find_identity_provider(subject(bare_stack))
    assert provider.level == "ok"
