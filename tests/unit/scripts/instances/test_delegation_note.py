"""What `create` prints while certificates wait for a delegation."""

from typing import Any

import moto
import pytest

from components.config.load import from_settings
from scripts.instances.delegation_note import told_of_delegation
from tests.support.checked_account import Services
from tests.support.factories import settings
from tests.support.polling import eventually

DOMAIN = "obs.example.com"


def test_the_record_is_told_once_the_zone_exists(capsys: pytest.CaptureFixture[str]) -> None:
    printed: list[str] = []

    def told() -> bool:
        printed.append(capsys.readouterr().err)
        return "NS record" in "".join(printed)

    with moto.mock_aws():
        aws: Any = Services()
        with told_of_delegation(from_settings(settings(), "obs"), DOMAIN, aws, 0.05):
            assert not told()
            zone = aws["route53"].create_hosted_zone(Name=DOMAIN, CallerReference="1")
            eventually(told)
    assert ", ".join(zone["DelegationSet"]["NameServers"]) in " ".join("".join(printed).split())
