"""The way into the embedded AWS: follows the API and makes its load balancers and zones real.

Reads listeners, certificates, targets, security groups and hosted zones, and writes
what an Envoy (the network load balancers) and a CoreDNS (Route53's name servers)
read. Run as `python -m localcloud.aws.edge SETTINGS_HOME SLOT`.
"""

import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.aws.account import client
from localcloud.aws.certificates import Certificates
from localcloud.aws.dns import records, write_zone_dns
from localcloud.files import write_whole
from localcloud.pki import Authority
from localcloud.settings import Settings

LOOK_SECONDS = 0.1  # at whether anything has changed
POLL_SECONDS = 1.0  # while something has: some states come a moment after what brings them, as certificates' do
SETTLED_SECONDS = 10.0  # and then as seldom as this
CHANGED = "changed"
LISTENERS = "listeners.json"
CLUSTERS = "clusters.json"
LISTENER_TYPE = "type.googleapis.com/envoy.config.listener.v3.Listener"
CLUSTER_TYPE = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
FILTERS = "type.googleapis.com/envoy.extensions.filters"
SOCKETS = "type.googleapis.com/envoy.extensions.transport_sockets"

log = logging.getLogger("edge")


def envoy_bootstrap(settings: Settings) -> dict[str, Any]:
    """Return the configuration with which the load balancer's Envoy starts."""
    folder = settings.node / "edge"

    def discovered(file: str) -> dict[str, Any]:
        source = {"path": str(folder / file), "watched_directory": {"path": str(folder)}}
        return {"resource_api_version": "V3", "path_config_source": source}

    return {
        "node": {"id": settings.name, "cluster": "edge"},
        "dynamic_resources": {"lds_config": discovered(LISTENERS), "cds_config": discovered(CLUSTERS)},
    }


def _filter_chain(certificate: tuple[str, str], names: list[str], group: str, cidrs: list[str]) -> dict[str, Any]:
    """Return the chain that serves `names` (none: everything else) and takes it to the target group's cluster."""
    allowed = [
        {"remote_ip": {"address_prefix": cidr.split("/")[0], "prefix_len": int(cidr.split("/")[1])}} for cidr in cidrs
    ]
    rules = {"policies": {"security-group": {"permissions": [{"any": True}], "principals": allowed}}} if allowed else {}
    chain: dict[str, Any] = {
        "filters": [
            {
                "name": "security-group",
                "typed_config": {
                    "@type": f"{FILTERS}.network.rbac.v3.RBAC",
                    "stat_prefix": "security_group",
                    "rules": {"action": "ALLOW", **rules},
                },
            },
            {
                "name": "tcp",
                "typed_config": {
                    "@type": f"{FILTERS}.network.tcp_proxy.v3.TcpProxy",
                    "stat_prefix": "listener",
                    "cluster": group,
                },
            },
        ],
        "transport_socket": {
            "name": "tls",
            "typed_config": {
                "@type": f"{SOCKETS}.tls.v3.DownstreamTlsContext",
                "common_tls_context": {
                    "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
                    "tls_certificates": [
                        {"certificate_chain": {"filename": certificate[0]}, "private_key": {"filename": certificate[1]}}
                    ],
                },
            },
        },
    }
    if names:
        chain["filter_chain_match"] = {"server_names": names}
    return chain


class Edge:
    """One pass after another over the API; each writes only what has changed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = settings.node / "edge"
        self._certificates = Certificates(settings, Authority.load_or_create(settings.pki))
        self._ec2 = client(settings, "ec2")
        self._acm = client(settings, "acm")
        self._balancers = client(settings, "elbv2")
        self._route53 = client(settings, "route53")
        self._sound_zones: set[str] = set()

    def follow(self) -> None:
        """Bring the files in line with the API once."""
        zones = {
            zone["Name"].rstrip("."): zone["Id"].rsplit("/", 1)[-1]
            for zone in self._route53.list_hosted_zones()["HostedZones"]
        }
        proven, aliases = records(self._route53)
        if write_zone_dns(self._settings, zones, sorted(aliases)):
            log.info("zones: %s", ", ".join(zones) or "none")
        for zone in set(zones.values()) - self._sound_zones:
            self._mend_authority(zone)
            self._sound_zones.add(zone)
        listeners, clusters = [], []
        for balancer in self._balancers.describe_load_balancers()["LoadBalancers"]:
            cidrs = self._allowed(balancer)
            arn = balancer["LoadBalancerArn"]
            for listener in self._balancers.describe_listeners(LoadBalancerArn=arn)["Listeners"]:
                served, group = self._listener(listener, cidrs, proven)
                if served:
                    listeners.append(served)
                    clusters.append(group)
        self._write(CLUSTERS, CLUSTER_TYPE, clusters)
        self._write(LISTENERS, LISTENER_TYPE, listeners)

    def _mend_authority(self, zone: str) -> None:
        """Give a zone the SOA record that Route53 makes: moto's is a text that no name server can read."""
        found = self._route53.get_hosted_zone(Id=zone)
        server = found["DelegationSet"]["NameServers"][0].rstrip(".")
        record = {
            "Name": found["HostedZone"]["Name"],
            "Type": "SOA",
            "TTL": 900,
            "ResourceRecords": [{"Value": f"{server}. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 30"}],
        }
        change = {"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]}
        self._route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=change)

    def _allowed(self, balancer: dict[str, Any]) -> list[str]:
        groups = balancer.get("SecurityGroups") or []
        if not groups:
            return ["0.0.0.0/0"]  # as on AWS: a network load balancer without a security group takes everybody
        found = self._ec2.describe_security_groups(GroupIds=groups)["SecurityGroups"]
        rules = [rule for group in found for rule in group["IpPermissions"]]
        return [entry["CidrIp"] for rule in rules for entry in rule.get("IpRanges", [])]

    def _listener(
        self, listener: dict[str, Any], cidrs: list[str], proven: dict[str, str]
    ) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        group_arn = listener["DefaultActions"][0]["TargetGroupArn"]
        group = self._balancers.describe_target_groups(TargetGroupArns=[group_arn])["TargetGroups"][0]
        name = group["TargetGroupName"]
        chains = []
        entries = self._balancers.describe_listener_certificates(ListenerArn=listener["ListenerArn"])["Certificates"]
        default = listener["Certificates"][0]["CertificateArn"] if listener.get("Certificates") else None
        for arn in dict.fromkeys([default, *(entry["CertificateArn"] for entry in entries)]):
            if arn is None:
                continue
            certificate = self._acm.describe_certificate(CertificateArn=arn)["Certificate"]
            files = self._certificates.files(certificate, proven)
            if files is None:
                continue
            if arn == default:
                chains.append(_filter_chain(files, [], name, cidrs))
            else:
                names = [certificate["DomainName"], *certificate.get("SubjectAlternativeNames", [])]
                chains.append(_filter_chain(files, sorted(set(names)), name, cidrs))
        if not chains:
            return None, {}
        served = {
            "@type": LISTENER_TYPE,
            "name": str(listener["Port"]),
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": listener["Port"]}},
            "listener_filters": [
                {
                    "name": "tls_inspector",
                    "typed_config": {"@type": f"{FILTERS}.listener.tls_inspector.v3.TlsInspector"},
                }
            ],
            "filter_chains": chains,
        }
        return served, self._cluster(group)

    def _cluster(self, group: dict[str, Any]) -> dict[str, Any]:
        arn = group["TargetGroupArn"]
        attributes = {
            entry["Key"]: entry["Value"]
            for entry in self._balancers.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
        }
        targets = self._balancers.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        endpoints = [
            {"endpoint": {"address": {"socket_address": {"address": address, "port_value": group["Port"]}}}}
            for address in self._addresses([entry["Target"]["Id"] for entry in targets])
        ]
        cluster: dict[str, Any] = {
            "@type": CLUSTER_TYPE,
            "name": group["TargetGroupName"],
            "type": "STATIC",
            "connect_timeout": "5s",
            "load_assignment": {
                "cluster_name": group["TargetGroupName"],
                "endpoints": [{"lb_endpoints": endpoints}],
            },
        }
        if attributes.get("proxy_protocol_v2.enabled") == "true":
            cluster["transport_socket"] = {
                "name": "proxy_protocol",
                "typed_config": {
                    "@type": f"{SOCKETS}.proxy_protocol.v3.ProxyProtocolUpstreamTransport",
                    "config": {"version": "V2"},
                    "transport_socket": {
                        "name": "raw",
                        "typed_config": {"@type": f"{SOCKETS}.raw_buffer.v3.RawBuffer"},
                    },
                },
            }
        return cluster

    def _addresses(self, targets: list[str]) -> list[str]:
        instances = [target for target in targets if target.startswith("i-")]
        found = [target for target in targets if not target.startswith("i-")]
        if instances:
            for reservation in self._ec2.describe_instances(InstanceIds=instances)["Reservations"]:
                found += [instance["PrivateIpAddress"] for instance in reservation["Instances"]]
        return sorted(found)

    def _write(self, name: str, kind: str, resources: list[dict[str, Any]]) -> None:
        content = json.dumps({"resources": resources}, indent=1)
        path = self._folder / name
        if not path.exists() or path.read_text() != content:
            write_whole(path, content)
            log.info("%s: %d %s", name, len(resources), kind.rsplit(".", 1)[-1])


def _await_change(changed: Path) -> None:
    """Return when the API has to be asked again."""
    began, before = time.time(), _touched(changed)
    recent = began - before < SETTLED_SECONDS
    while time.time() - began < (POLL_SECONDS if recent else SETTLED_SECONDS) and _touched(changed) == before:
        time.sleep(LOOK_SECONDS)


def _touched(file: Path) -> float:
    return file.stat().st_mtime if file.exists() else 0.0


def main() -> None:
    """Follow the API until the process ends."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = Settings.of(int(sys.argv[2]), Path(sys.argv[1]))
    edge = Edge(settings)
    while True:
        try:
            edge.follow()
        except (BotoCoreError, ClientError) as error:
            # Something was deleted between two calls, or the API is not there: the next pass tells.
            log.warning("%s", error)
        _await_change(settings.node / "edge" / CHANGED)


if __name__ == "__main__":
    main()
