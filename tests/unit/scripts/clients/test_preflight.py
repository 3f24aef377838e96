"""The shell's AWS account must be the one in which the cluster's pods can assume roles."""

import moto
import pytest

from components.config.load import from_settings
from components.core.errors import UserError
from scripts.clients.preflight import reached
from tests.support.factories import CLUSTER, settings

KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}


@pytest.mark.parametrize(("account", "refused"), [("123456789012", False), ("210987654321", True)])
def test_credentials_must_be_of_the_identity_provider_s_account(account: str, refused: bool) -> None:
    arn = f"arn:aws:iam::{account}:oidc-provider/issuer"
    config = from_settings(settings(cluster=CLUSTER | {"oidcProviderArn": arn}), "showdown")
    with moto.mock_aws():  # its account is 123456789012
        if refused:
            with pytest.raises(UserError, match=f"of the AWS account 123456789012, but .* names the account {account}"):
                reached(KEYS, config)
        else:
            clients, _ = reached(KEYS, config)
            assert clients["sts"].get_caller_identity()["Account"] == account
