"""Checks of AWS's quotas against what the instance uses (docs/reference/quotas.md)."""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from components.core.names import BUCKET_KINDS
from scripts.checks.finding import Finding, error, ok, warning
from scripts.checks.subject import Subject

NEAR = 0.9  # part of a quota at which a warning begins
CERTIFICATES = ("elasticloadbalancing", "Certificates per Network Load Balancer", 25)
ACM_CERTIFICATES = ("acm", "ACM certificates", 2500)
# By default, ACM lists the first two alone (AWS Certificate Manager API reference, Filters).
KEY_TYPES = ["RSA_2048", "RSA_1024", "RSA_3072", "RSA_4096", "EC_prime256v1", "EC_secp384r1", "EC_secp521r1"]
BUCKETS = ("s3", "General purpose buckets", 10_000)
RULES = ("vpc", "Inbound or outbound rules per security group", 60)


def quota_findings(name: str, quota: str, limit: float, used: int) -> list[Finding]:
    """Return whether `used` is within a quota; `quota` is its name in Service Quotas."""
    message = f"{quota}: {used} of {limit:.0f}"
    remedy = "raise it in Service Quotas"
    if used > limit:
        return [error(name, message, remedy)]
    if used > NEAR * limit:
        return [warning(name, message, remedy)]
    return [ok(name, message)]


def applied_quota(quotas: Iterable[Mapping[str, Any]], name: str, default: float) -> float:
    """Return the value of a quota, by its name in the answer of Service Quotas; `default` where it is not listed."""
    return float(next((one["Value"] for one in quotas if one["QuotaName"] == name), default))


def _quota(subject: Subject, quota: tuple[str, str, int]) -> float:
    service, name, default = quota
    answer = subject.account.ask("service-quotas", "list_service_quotas", ServiceCode=service)
    return applied_quota(answer.get("Quotas", []), name, default)


def find_listener_certificates(subject: Subject) -> list[Finding]:
    """Check the certificates of the load balancer: one for each tenant, `system` and the instance."""
    name = "quota of the listener"
    return quota_findings(name, CERTIFICATES[1], _quota(subject, CERTIFICATES), subject.certificates)


def find_certificates(subject: Subject) -> list[Finding]:
    """Check the certificates of the account, those of the instance included."""
    listed = subject.account.ask("acm", "list_certificates", Includes={"keyTypes": KEY_TYPES})["CertificateSummaryList"]
    names = [one["DomainName"].removeprefix("*.") for one in listed]
    own = [name for name in names if name == subject.domain or name.endswith(f".{subject.domain}")]
    used = len(listed) - len(own) + max(subject.certificates, len(own))
    return quota_findings("quota of certificates", ACM_CERTIFICATES[1], _quota(subject, ACM_CERTIFICATES), used)


def find_buckets(subject: Subject) -> list[Finding]:
    """Check the buckets of the account, those of the instance included."""
    listed = subject.account.ask("s3", "list_buckets")["Buckets"]
    own = [one for one in listed if one["Name"].startswith(f"{subject.instance}-")]
    used = len(listed) - len(own) + max(len(BUCKET_KINDS) * (subject.certificates - 1), len(own))
    return quota_findings("quota of buckets", BUCKETS[1], _quota(subject, BUCKETS), used)


def rules_remedy(ranges: Sequence[str]) -> str:
    """Return what to do about too many allowed ranges; it has the summary of ranges that adjoin or overlap."""
    summary = [str(network) for network in ipaddress.collapse_addresses(map(ipaddress.IPv4Network, ranges))]
    other = "`opstrace:dataApi.tenants.*.allowedCidrs`, which the gateway enforces without that quota"
    if len(summary) == len(ranges):
        return f"no ranges adjoin or overlap, so use {other}, or raise the quota in Service Quotas"
    return f"write these {len(summary)} ranges, which admit the same addresses: {', '.join(summary)}; or use {other}"


def find_rules(subject: Subject) -> list[Finding]:
    """Check the rules of the load balancer's security group: one for each allowed range."""
    ranges = subject.config.data_api.allowed_cidrs
    found = quota_findings("quota of allowed ranges", RULES[1], _quota(subject, RULES), len(ranges))
    remedy = rules_remedy(ranges)
    return [Finding(one.name, one.level, one.message, remedy if one.remedy else "") for one in found]


def find_roles(subject: Subject) -> list[Finding]:
    """Check the IAM roles of the account. The quota is IAM's own answer."""
    summary = subject.account.ask("iam", "get_account_summary")["SummaryMap"]
    tenants = [subject.config.settings_of(tenant.name) for tenant in subject.config.tenants]
    own = subject.certificates - 1 + sum(settings.alertmanager.enabled for settings in tenants)
    # Some of them may exist already; then the sum is above what the update adds, which only matters near the quota.
    return quota_findings(
        "quota of roles", "Roles per account", summary.get("RolesQuota", 1000), summary.get("Roles", 0) + own
    )


def find_records(subject: Subject) -> list[Finding]:
    """Check the records of the instance's zone, which a zone that exists tells."""
    name, quota = "quota of records", "Records per hosted zone"
    used = 3 * (subject.certificates - 1) + 4
    if not subject.zones:
        return quota_findings(name, quota, 10_000, used)
    answer = subject.account.ask(
        "route53",
        "get_hosted_zone_limit",
        HostedZoneId=subject.zones[0]["Id"].rsplit("/", 1)[-1],
        Type="MAX_RRSETS_BY_ZONE",
    )
    return quota_findings(name, quota, answer["Limit"]["Value"], max(used, answer["Count"]))
