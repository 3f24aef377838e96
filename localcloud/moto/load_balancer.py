"""The load balancers and name servers of the embedded AWS: writes their configuration from the API's content.

Reads listeners, certificates, targets, security groups and hosted zones. Writes the files of an Envoy (network load
balancers) and a CoreDNS (Route53's name servers). Run as `python -m localcloud.moto.load_balancer SETTINGS_HOME SLOT`.
"""

import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.certificate_authority import Authority
from localcloud.files import write_whole
from localcloud.moto.account import client
from localcloud.moto.certificates import Certificates
from localcloud.moto.dns import records, write_zone_dns
from localcloud.settings import Settings
from localcloud.supervisor import until

LOOK_SECONDS = 0.1  # between two checks whether the API was called
POLL_SECONDS = 1.0  # between two readings after a change: some states, such as a certificate's, follow a moment later
SETTLED_SECONDS = 10.0  # between two readings without a change
LISTENERS = "listeners.json"
CLUSTERS = "clusters.json"
LISTENER_TYPE = "type.googleapis.com/envoy.config.listener.v3.Listener"
CLUSTER_TYPE = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
FILTERS = "type.googleapis.com/envoy.extensions.filters"
SOCKETS = "type.googleapis.com/envoy.extensions.transport_sockets"

log = logging.getLogger("edge")


def envoy_bootstrap(settings: Settings) -> dict[str, Any]:
    """Return the bootstrap configuration of the load balancer's Envoy."""
    folder = settings.node / "edge"

    def discovered(file: str) -> dict[str, Any]:
        source = {"path": str(folder / file), "watched_directory": {"path": str(folder)}}
        return {"resource_api_version": "V3", "path_config_source": source}

    return {
        "node": {"id": settings.name, "cluster": "edge"},
        "dynamic_resources": {"lds_config": discovered(LISTENERS), "cds_config": discovered(CLUSTERS)},
    }


def _filter_chain(certificate: tuple[str, str], names: list[str], group: str, cidrs: list[str]) -> dict[str, Any]:
    """Return the filter chain that forwards `names` to the target group's cluster; without names, all other requests."""
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


def _is_healthy(target: dict[str, Any]) -> bool:
    return bool(target["TargetHealth"]["State"] == "healthy")


class Follower:
    """Keeps the configuration files equal to the API's content; writes only files that change."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = settings.node / "edge"
        self._certificates = Certificates(settings, Authority.of(settings))
        self._ec2 = client(settings, "ec2")
        self._acm = client(settings, "acm")
        self._balancers = client(settings, "elbv2")
        self._route53 = client(settings, "route53")
        self._corrected_zones: set[str] = set()

    def follow(self) -> None:
        """Read the API once and update the files."""
        zones = {
            zone["Name"].rstrip("."): zone["Id"].rsplit("/", 1)[-1]
            for zone in self._route53.list_hosted_zones()["HostedZones"]
        }
        cnames, aliases = records(self._route53)
        if write_zone_dns(self._settings, zones, sorted(aliases)):
            log.info("zones: %s", ", ".join(zones) or "none")
        for zone in set(zones.values()) - self._corrected_zones:
            self._correct_authority(zone)
            self._corrected_zones.add(zone)
        listeners, clusters = [], []
        for balancer in self._balancers.describe_load_balancers()["LoadBalancers"]:
            cidrs = self._allowed(balancer)
            arn = balancer["LoadBalancerArn"]
            for listener in self._balancers.describe_listeners(LoadBalancerArn=arn)["Listeners"]:
                served, group = self._listener(listener, cidrs, cnames)
                if served:
                    listeners.append(served)
                    clusters.append(group)
        self._write(CLUSTERS, CLUSTER_TYPE, clusters)
        self._write(LISTENERS, LISTENER_TYPE, listeners)

    def _correct_authority(self, zone: str) -> None:
        """Replace a zone's SOA record by one as Route53 writes it: name servers cannot parse moto's."""
        answer = self._route53.get_hosted_zone(Id=zone)
        server = answer["DelegationSet"]["NameServers"][0].rstrip(".")
        record = {
            "Name": answer["HostedZone"]["Name"],
            "Type": "SOA",
            "TTL": 900,
            "ResourceRecords": [{"Value": f"{server}. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 30"}],
        }
        change = {"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]}
        self._route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=change)

    def _allowed(self, balancer: dict[str, Any]) -> list[str]:
        groups = balancer.get("SecurityGroups") or []
        if not groups:
            return ["0.0.0.0/0"]  # as on AWS: a network load balancer without a security group accepts all addresses
        described = self._ec2.describe_security_groups(GroupIds=groups)["SecurityGroups"]
        rules = [rule for group in described for rule in group["IpPermissions"]]
        return [entry["CidrIp"] for rule in rules for entry in rule.get("IpRanges", [])]

    def _listener(
        self, listener: dict[str, Any], cidrs: list[str], cnames: dict[str, str]
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
            files = self._certificates.files(certificate, cnames)
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
            for address in self._addresses([one["Target"]["Id"] for one in targets if _is_healthy(one)])
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
        addresses = [target for target in targets if not target.startswith("i-")]
        if instances:
            for reservation in self._ec2.describe_instances(InstanceIds=instances)["Reservations"]:
                addresses += [instance["PrivateIpAddress"] for instance in reservation["Instances"]]
        return sorted(addresses)

    def _write(self, name: str, kind: str, resources: list[dict[str, Any]]) -> None:
        content = json.dumps({"resources": resources}, indent=1)
        path = self._folder / name
        if not path.exists() or path.read_text() != content:
            write_whole(path, content)
            log.info("%s: %d %s", name, len(resources), kind.rsplit(".", 1)[-1])


def _await_change(changed: Path) -> None:
    """Return when the API must be read again: after a change, or after the time in which states change by themselves."""
    before = _touched(changed)
    recent = time.time() - before < SETTLED_SECONDS
    until(lambda: _touched(changed) != before, POLL_SECONDS if recent else SETTLED_SECONDS, LOOK_SECONDS)


def _touched(file: Path) -> float:
    return file.stat().st_mtime if file.exists() else 0.0


def main() -> None:
    """Keep the files current until the process ends."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = Settings.of(int(sys.argv[2]), Path(sys.argv[1]))
    follower = Follower(settings)
    while True:
        try:
            follower.follow()
        except (BotoCoreError, ClientError) as error:
            # A resource was deleted between two calls, or the API does not answer: try again in the next pass.
            log.warning("%s", error)
        _await_change(settings.changed)


if __name__ == "__main__":
    main()
