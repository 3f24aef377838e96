"""What Envoy's answers say about a pod of the gateway: whether it has the keys, and the listener of log tails."""

import json
from dataclasses import replace
from typing import Any

import pytest

from components.core.scopes import UNLIMITED
from components.gateway.limits import GatewayLimits
from components.gateway.tails.listener import TAILS, tails_file
from components.gateway.watched_files import ACCESS, TOKEN, WatchedFile, access_file, keys_file, limits_files
from scripts.clients.gateway.state import Configuration, PodState, configuration_in, pod_state
from tests.support.placeholder_keys import placeholder_keys

KEYS = placeholder_keys(1)
KID = [*KEYS]
READ_AT = "2026-11-29T03:25:08.761Z"
LOADED = 1795922708761  # the same in milliseconds
# Envoy's answers have many more lines like these.
COUNTERS = """\
extension_config_discovery.http_filter.NAME.update_attempt: 2
extension_config_discovery.http_filter.NAME.update_failure: 0
extension_config_discovery.http_filter.NAME.update_rejected: 0
extension_config_discovery.http_filter.NAME.update_success: 2
extension_config_discovery.http_filter.NAME.update_time: TIME
"""
LISTENER_COUNTERS = """\
cluster.tails.update_attempt: 0
cluster.tails.update_failure: 4
listener_manager.lds.update_attempt: 3
listener_manager.lds.update_failure: FAILURES
listener_manager.lds.update_rejected: REJECTED
listener_manager.lds.update_success: 2
listener_manager.lds.update_time: 1795922708761
listener_manager.lds.update_duration: No recorded values
"""
WITHOUT_FAILURE = (0, 0)
BAD_FILE, BAD_LISTENER = (1, 0), (0, 1)


def _files(*revoked: str) -> dict[WatchedFile, str]:
    files = {TOKEN: keys_file("showdown", KEYS), ACCESS: access_file(dict.fromkeys(KEYS, UNLIMITED), revoked)}
    files |= limits_files(GatewayLimits(), 1)
    return files | {TAILS: tails_file(files, authentication=True)}


BEFORE, NOW = configuration_in(_files()), configuration_in(_files("revoked-token"))


def _filters(loaded: Configuration) -> str:
    kind = "type.googleapis.com/envoy.admin.v3.EcdsConfigDump.EcdsFilterConfig"
    extension = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"
    entries = [
        {
            "@type": kind,
            "ecds_filter": {"@type": extension, "name": name, "typed_config": config},
            "last_updated": READ_AT,
        }
        for name, config in loaded.filters.items()
    ]
    return json.dumps({"configs": entries})


def _listeners(lists: str | None, state: str = "active_state", name: str = "tails") -> str:
    listener = {"name": name, "filter_chains": [{"filters": [], "name": lists}], "ignore_global_conn_limit": True}
    entry: dict[str, Any] = {"name": name, state: {"listener": listener, "last_updated": READ_AT}}
    return json.dumps({"configs": [entry]})


def _counters(loaded: Configuration, failures: tuple[int, int]) -> str:
    filters = [COUNTERS.replace("NAME", name).replace("TIME", str(LOADED)) for name in loaded.filters]
    failed, rejected = map(str, failures)
    return "".join(filters) + LISTENER_COUNTERS.replace("FAILURES", failed).replace("REJECTED", rejected)


def _state(listeners: str, failures: tuple[int, int] = WITHOUT_FAILURE, expected: Configuration = NOW) -> PodState:
    return pod_state(_filters(NOW), listeners, _counters(NOW, failures), expected)


def test_the_lists_of_tails_differ_if_a_token_is_revoked() -> None:
    assert None not in (BEFORE.lists, NOW.lists) and BEFORE.lists != NOW.lists


def test_a_pod_has_the_lists_once_its_listener_of_tails_has_them() -> None:
    state = _state(_listeners(NOW.lists))
    assert state == PodState(KID, current=True, refused=False) and state.in_words() == f"has {KID[0]}"


@pytest.mark.parametrize("failures", [BAD_FILE, BAD_LISTENER])
def test_a_failure_before_the_latest_change_does_not_count(failures: tuple[int, int]) -> None:
    assert _state(_listeners(NOW.lists), failures) == PodState(KID, current=True, refused=False)


@pytest.mark.parametrize(
    "listeners",
    [
        _listeners(BEFORE.lists),
        _listeners(NOW.lists, state="warming_state"),
        _listeners(NOW.lists, state="draining_state"),
        _listeners(NOW.lists, name="another"),
        "{}",  # none, or a pod of an older version
    ],
)
def test_a_pod_whose_listener_of_tails_has_other_lists_has_not_the_change(listeners: str) -> None:
    state = _state(listeners)
    assert state == PodState(KID, current=False, refused=False)
    assert state.in_words() == f"has {KID[0]}; a change is still on its way to it"


@pytest.mark.parametrize("failures", [BAD_FILE, BAD_LISTENER])
@pytest.mark.parametrize("listeners", [_listeners(BEFORE.lists), "{}"])
def test_a_refused_listener_of_tails_is_named(listeners: str, failures: tuple[int, int]) -> None:
    state = _state(listeners, failures)
    assert state == PodState(KID, current=False, refused=True, tails_refused=True)
    assert state.facts() == {"keyIds": KID, "current": False, "refused": True}
    assert state.in_words() == f"has {KID[0]}; it REFUSED the listener of log tails that came last, so open tails go on"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"resources": []}', '{"resources": [{"filter_chains": []}]}'])
def test_a_file_of_tails_that_was_edited_by_hand_is_never_in_force(text: str) -> None:
    expected = configuration_in(_files("revoked-token") | {TAILS: text})
    assert expected == replace(NOW, lists=None)
    assert not _state("{}", expected=expected).current
