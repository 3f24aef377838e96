"""`destroy` names the record that still delegates to the deleted zone."""

from pathlib import Path
from typing import Any

import pytest

from components.config.load import from_settings
from components.core.resource_names import RECORD_TYPE, ZONE_TYPE
from scripts.cli.instances import destroy
from scripts.engine.delegation import left_behind
from tests.support.contexts import FakeContext, invoke
from tests.support.factories import settings

SERVERS = ["ns-1.awsdns-01.com", "ns-2.awsdns-02.net"]
ZONE = {"urn": "urn::instance-zone", "type": ZONE_TYPE, "id": "Z2", "inputs": {}, "outputs": {"nameServers": SERVERS}}
DELEGATION = {
    "urn": "urn::instance-delegation-record",
    "type": RECORD_TYPE,
    "inputs": {"type": "NS", "zoneId": "Z1"},
}
OWN = {"urn": "urn::instance-name-servers-record", "type": RECORD_TYPE, "inputs": {"type": "NS", "zoneId": "Z2"}}
ADDRESS = {"urn": "urn::tenant-default-cortex-record", "type": RECORD_TYPE, "inputs": {"type": "CNAME"}}
RECORD = "the NS record showdown.example.com from the zone of example.com"


def notice_of(provider: str, resources: list[dict[str, Any]], **aws: str) -> str | None:
    config = from_settings(settings(aws={"region": "us-west-2", **aws}), "showdown")
    return left_behind(provider, "showdown", config, resources)


def test_the_record_is_named_with_its_name_servers_where_no_update_made_it() -> None:
    notice = notice_of("aws", [ZONE, OWN, ADDRESS])
    assert notice and RECORD in notice and ", ".join(SERVERS) in notice
    again = notice_of("aws", [])  # a removal that was killed after the zone was deleted
    assert again and RECORD in again


@pytest.mark.parametrize(
    ("provider", "resources", "aws"),
    [
        ("aws", [ZONE, OWN, DELEGATION], {"parentZoneId": "Z1"}),
        ("aws", [ZONE], {"parentZoneId": "Z1"}),  # a removal that was killed after the record was deleted
        ("aws", [ZONE, OWN, DELEGATION], {}),  # the setting is removed from the file, but the file is not applied
        ("local", [ZONE], {}),
    ],
)
def test_nothing_is_said_where_the_record_goes_with_the_instance_or_there_is_none(
    provider: str, resources: list[dict[str, Any]], aws: dict[str, str]
) -> None:
    assert notice_of(provider, resources, **aws) is None


class Engine:
    """An engine on a stack with a zone; `destroy` removes the zone."""

    def __init__(self, instance: str) -> None:
        self.instance, self._resources = instance, [ZONE]

    def stacks(self) -> list[str]:
        return [self.instance]

    def resources(self) -> list[dict[str, Any]]:
        return self._resources

    def destroy(self, *_: Any) -> None:
        self._resources = []

    def require_nothing_left_alone(self) -> None:
        """Do nothing: no resource is left."""


@pytest.mark.parametrize(("provider", "times"), [("aws", 2), ("local", 0)])
def test_destroy_tells_of_it_before_it_asks_and_at_its_end(stack: Path, provider: str, times: int) -> None:
    engine = Engine("showdown")
    context = FakeContext(stack.parent, lambda stack: engine)
    refused = invoke(context, destroy, provider, "showdown", typed="n\n")
    assert refused.exit_code == 1 and stack.exists()
    before, question, _ = refused.stderr.partition("Remove the instance showdown")
    assert question and before.count(RECORD) == times // 2
    done = invoke(context, destroy, provider, "showdown", "--yes")
    assert done.exit_code == 0, done.output
    assert done.stderr.count(RECORD) == times and not stack.exists()
    assert times == 0 or RECORD in done.stderr.partition("is gone")[2]
