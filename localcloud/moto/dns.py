"""The configuration of the name server: the hosted zones, and the names of the load balancers."""

from typing import Any

from localcloud.files import write_whole
from localcloud.settings import REGION, Settings

LOAD_BALANCER_ZONE = f"{REGION}.elb.amazonaws.com"  # the domain of the load balancers' names in moto


def records(route53: Any) -> tuple[dict[str, str], list[str]]:
    """Return the CNAME records of all hosted zones, name to value, and the names of alias records, without final dots."""
    values, aliases = {}, []
    for zone in route53.list_hosted_zones()["HostedZones"]:
        for page in route53.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone["Id"]):
            for record in page["ResourceRecordSets"]:
                name = record["Name"].rstrip(".")
                if record["Type"] == "CNAME" and record.get("ResourceRecords"):
                    values[name] = record["ResourceRecords"][0]["Value"].rstrip(".")
                elif record.get("AliasTarget"):
                    aliases.append(name)
    return values, aliases


def _alias(name: str) -> str:
    """Return the configuration for an alias record of a load balancer, which the route53 plugin does not support."""
    pattern = name.replace(".", r"\.")
    answer = 'answer "{{ .Name }} 30 IN A 127.0.0.1"'
    return f"    template IN A {name} {{\n        match ^{pattern}\\.$\n        {answer}\n        fallthrough\n    }}\n"


def write_zone_dns(settings: Settings, zones: dict[str, str], aliases: list[str]) -> bool:
    """Write the Corefile of the name server for `zones` (name to hosted zone id); return whether it changed.

    `aliases` are the names of load balancers in these zones.
    """
    # The plugin finds the zone of a query only by the name with a final dot.
    route53 = "\n".join(f"    route53 {name}.:{zone} {{\n        refresh 1s\n    }}" for name, zone in zones.items())
    names = " ".join(f"{name}:{settings.dns_port}" for name in zones)
    templates = "".join(_alias(name) for name in aliases)
    served = f"{names} {{\n    bind 127.0.0.1\n{templates}{route53}\n}}\n" if zones else ""
    content = f"""{served}{LOAD_BALANCER_ZONE}:{settings.dns_port} {{
    bind 127.0.0.1
    template IN A {{
        answer "{{{{ .Name }}}} 30 IN A 127.0.0.1"
    }}
    template IN AAAA {{
        rcode NOERROR
    }}
}}
.:{settings.dns_port} {{
    bind 127.0.0.1
    reload 2s 1s
    template ANY ANY {{
        rcode REFUSED
    }}
}}
"""
    path = settings.node / "edge" / "Corefile"
    if path.exists() and path.read_text() == content:
        return False
    write_whole(path, content)
    return True
