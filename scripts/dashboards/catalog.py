"""All dashboards."""

from scripts.dashboards.cost import COST
from scripts.dashboards.gateway import GATEWAY
from scripts.dashboards.instance import INSTANCE
from scripts.dashboards.logs import LOGS
from scripts.dashboards.tenant import TENANT

DASHBOARDS = (INSTANCE, GATEWAY, TENANT, LOGS, COST)
