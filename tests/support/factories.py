"""Test data for many unit tests: a key pair, the settings of a stack, any JSON."""

from typing import Any

from hypothesis import strategies as st

from components.core.public_keys import canonical_pem, key_id
from scripts.tokens.key_files import new_key

PAIR = new_key()
KEY = PAIR.public_key()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
CLUSTER = {
    "context": "observability",
    "oidcProviderArn": "arn:aws:iam::123456789012:oidc-provider/issuer",
    "oidcIssuer": "https://issuer",
    "nodeSecurityGroupId": "sg-1",
    "enforcesNetworkPolicies": True,
}
LOAD_BALANCER = {"vpcId": "vpc-1", "subnetIds": ["subnet-1"], "autoscalingGroups": ["nodes"]}


def kms_key(number: int, region: str = "us-west-2") -> str:
    """Return the ARN of a key of KMS."""
    return f"arn:aws:kms:{region}:123456789012:key/1234abcd-12ab-34cd-56ef-{number:012d}"


def settings(**changes: Any) -> dict[str, Any]:
    """Return valid settings of a stack, with `changes` in place of theirs."""
    base: dict[str, Any] = {
        "domain": "example.com",
        "tenants": [{"name": "default"}],
        "dataApi": {"publicKeys": {key_id(KEY): canonical_pem(KEY)}},
        "cluster": CLUSTER,
        "loadBalancer": LOAD_BALANCER,
        "aws": {"region": "us-west-2"},
    }
    return base | changes
