"""Checks of the domain: the parent zone, the delegation, and which authorities may issue certificates."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from scripts.checks.finding import Finding, error, ok, or_ok, warning
from scripts.checks.subject import Subject
from scripts.clients.aws import is_code

# AWS Certificate Manager user guide, 'Configure a CAA record'.
AMAZON = {"amazon.com", "amazontrust.com", "awstrust.com", "amazonaws.com"}
ZONE, DELEGATION, CAA = "parent zone", "delegation", "CAA"
SETTING = "opstrace:aws.parentZoneId"


def find_parent_zone(subject: Subject) -> list[Finding]:
    """Check the hosted zone in which the instance's zone is delegated, and that resolvers find it."""
    identity, domain = subject.config.aws.parent_zone_id, subject.config.domain
    servers = _servers(subject, domain)
    if identity is None:
        if servers:
            message = f"not set, so nobody delegates {subject.domain} for you"
            return [
                warning(ZONE, message, f"set {SETTING}, or create the NS record while `create` waits for certificates")
            ]
        return [
            error(ZONE, f"{domain} has no name servers in the public DNS", "correct opstrace:domain, or register it")
        ]
    try:
        answer = subject.account.ask("route53", "get_hosted_zone", Id=identity)
    except ClientError as refused:
        if not is_code(refused, "NoSuchHostedZone"):
            raise
        return [error(ZONE, f"there is no hosted zone {identity}", f"correct {SETTING}")]
    return zone_findings(answer, domain, servers)


def zone_findings(answer: Mapping[str, Any], domain: str, public: Collection[str]) -> list[Finding]:
    """Return what Route 53's answer about the parent zone means; `public` are the domain's name servers in DNS."""
    zone = answer["HostedZone"]
    identity, name = zone["Id"].rsplit("/", 1)[-1], zone["Name"].rstrip(".")
    if name != domain:
        return [error(ZONE, f"{identity} is the zone of {name}, but opstrace:domain is {domain}", f"correct {SETTING}")]
    if zone.get("Config", {}).get("PrivateZone"):
        message = f"{identity} is a private zone, so certificates are never issued"
        return [error(ZONE, message, f"set {SETTING} to the public zone of {domain}")]
    own = {server.rstrip(".") for server in answer.get("DelegationSet", {}).get("NameServers", [])}
    if not own & {*public}:
        message = (
            f"the public DNS has {', '.join(sorted(public)) or 'no name server'} for {domain}, and none of {identity} "
            f"({', '.join(sorted(own))})"
        )
        return [
            error(ZONE, message, "delegate the domain to the zone at its registrar, or name the zone that is in use")
        ]
    return [ok(ZONE, f"{identity} of {domain}")]


def find_delegation(subject: Subject) -> list[Finding]:
    """Check that resolvers find the zone of an instance that exists, and that nothing is in the way of a new one.

    A resolver is not asked for the name of a new instance: it would remember for minutes that there is none.
    """
    if not subject.zones:
        return free_findings(subject.domain, subject.config.aws.parent_zone_id, _delegated(subject))
    sets = [
        subject.account.ask("route53", "get_hosted_zone", Id=zone["Id"]).get("DelegationSet", {})
        for zone in subject.zones
    ]
    servers = [entry.get("NameServers", []) for entry in sets]
    return delegation_findings(subject.domain, servers, _servers(subject, subject.domain))


def _delegated(subject: Subject) -> list[str]:
    """Return the name servers to which the parent zone delegates the instance's name; none without a parent zone."""
    parent = subject.config.aws.parent_zone_id
    if parent is None:
        return []
    start = {"StartRecordName": subject.domain, "StartRecordType": "NS", "MaxItems": "1"}
    try:
        answer = subject.account.ask_once("route53", "list_resource_record_sets", HostedZoneId=parent, **start)
    except ClientError as refused:
        if not is_code(refused, "NoSuchHostedZone"):  # which another check tells
            raise
        return []
    found = [
        one for one in answer["ResourceRecordSets"] if (one["Name"].rstrip("."), one["Type"]) == (subject.domain, "NS")
    ]
    return [record["Value"] for one in found for record in one["ResourceRecords"]]


def free_findings(domain: str, parent: str | None, delegated: Collection[str]) -> list[Finding]:
    """Return whether a new instance can have its name; `delegated` are the name servers of an earlier delegation."""
    if not delegated:
        return [ok(DELEGATION, f"{domain} has no zone yet")]
    message = (
        f"{parent} delegates {domain} to {', '.join(sorted(delegated))} already, and the update would not replace that"
    )
    return [error(DELEGATION, message, f"delete the NS record {domain} from {parent}, if nothing else uses it")]


def delegation_findings(domain: str, zones: Iterable[Iterable[str]], public: Collection[str]) -> list[Finding]:
    """Return what the name servers of the zones of a domain and those in the public DNS mean together."""
    sets = [{server.rstrip(".") for server in servers} for servers in zones]
    listed = ", ".join(sorted(public))
    if len(sets) > 1:
        message = f"there are {len(sets)} hosted zones of {domain}"
        return [error(DELEGATION, message, "delete those that the instance does not manage")]
    if not sets[0] & {*public}:
        message = f"the public DNS has {listed or 'no name server'} for {domain}, but its zone has {', '.join(sorted(sets[0]))}"
        return [warning(DELEGATION, message, "correct the NS record in the parent zone, or wait for its TTL")]
    return [ok(DELEGATION, f"{domain} to {listed}")]


def find_authorities(subject: Subject) -> list[Finding]:
    """Check that the CAA records above the instance's names let ACM issue certificates.

    The instance's own zone has none, and resolvers are not asked for a name that may not exist yet.
    """

    def records(name: str) -> list[tuple[str, str]]:
        entries = subject.records.of(name, "CAA")
        return [(entry.tag.decode(), entry.value.decode()) for entry in entries]

    return authority_findings(subject.config.domain, records)


def authority_findings(domain: str, records: Callable[[str], list[tuple[str, str]]]) -> list[Finding]:
    """Return whether the nearest CAA records (RFC 8659) admit Amazon; `records` has tag and value of each of a name."""
    labels = domain.split(".")
    names = [".".join(labels[start:]) for start in range(len(labels))]
    for name in names:
        if entries := records(name):
            return or_ok(_refusals(name, entries), CAA, f"the records of {name} admit Amazon")
    return [ok(CAA, "no records, so every authority may issue certificates")]


def _refusals(name: str, entries: list[tuple[str, str]]) -> list[Finding]:
    for tag in ("issue", "issuewild"):
        values = {value.partition(";")[0].strip() for kind, value in entries if kind.lower() == tag}
        if values and not values & AMAZON:
            message = f"the CAA records of {name} do not let Amazon issue certificates ({tag}: {', '.join(sorted(values)) or ';'})"
            return [error(CAA, message, f'add the CAA record `0 {tag} "amazon.com"` to {name}')]
    return []


def _servers(subject: Subject, name: str) -> set[str]:
    return {str(record.target).rstrip(".").lower() for record in subject.records.of(name, "NS")}
