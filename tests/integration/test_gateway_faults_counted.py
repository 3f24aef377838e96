"""Faults of the gateway are counted in the system tenant's Cortex, under the names and labels that the dashboards ask for.

A panel shows 0 where no series has its selector, also if the selector is wrong. The gateway and Cortex are real.
"""

import json

from components.collectors.rules.gateway import REQUESTS
from components.core.scopes import UNLIMITED
from components.gateway.tails.listener import TAILS
from components.gateway.watched_files import ACCESS, access_file
from scripts.dashboards.gateway import FAILED_CONNECTIONS, REFUSED_CHANGES
from tests.support.gateway import KID, Gateway, Variant, signed
from tests.support.platform_rules import SystemCortex

ANSWERS = f"envoy_http_downstream_rq_xx_total{{{REQUESTS}}}"
ERRORS = f'envoy_http_downstream_rq_xx_total{{{REQUESTS},envoy_response_code_class="5"}}'
BROKEN_LUA = access_file({KID: UNLIMITED}, []).replace("local REVOKED", "local local REVOKED")
# Of a file that Envoy cannot use, and of one that is no JSON.
REJECTED = "envoy_extension_config_discovery_http_filter_access_update_rejected_total"
FAILED = "envoy_listener_manager_lds_update_failure_total"


def names(cortex: SystemCortex, selector: str) -> set[str]:
    """Return the names of a selector's series."""
    status, text = cortex.ask("GET", "/prometheus/api/v1/query", fields={"query": selector})
    assert status == 200, text
    return {one["metric"]["__name__"] for one in json.loads(text)["data"]["result"]}


def test_refused_files_and_failed_connections_are_counted(gateway: Gateway, system_cortex: SystemCortex) -> None:
    gateway.set_keys()
    gateway.start(variant=Variant(system_tenant=system_cortex.port))
    system_cortex.until(lambda: system_cortex.returns(ANSWERS))
    assert not any(map(system_cortex.returns, (REFUSED_CHANGES, FAILED_CONNECTIONS)))
    gateway.back_end.close()  # no connection to it is open yet
    assert gateway.ask(signed())[0] == 503
    gateway.put(ACCESS, BROKEN_LUA)
    gateway.put(TAILS, "{")
    system_cortex.until(lambda: all(map(system_cortex.returns, (ERRORS, FAILED_CONNECTIONS))))
    system_cortex.until(lambda: names(system_cortex, REFUSED_CHANGES) == {REJECTED, FAILED})
