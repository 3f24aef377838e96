"""The preflight: all checks at once, with one deadline."""

import threading
import time
from collections.abc import Mapping, Sequence

from botocore.exceptions import BotoCoreError, ClientError

from components.core.errors import UserError
from scripts.checks import account, cluster, domain, network, nodes, policy_probe, quotas, targets
from scripts.checks.finding import Finding, error, warning
from scripts.checks.subject import Check, DeniedError, NoAnswerError, Subject

SECONDS = 20.0
ACCOUNT = Check("account", account.find_account)
VERSION = Check("cluster version", cluster.find_version)
REFUSALS = (DeniedError, NoAnswerError, BotoCoreError, ClientError, UserError)
Result = list[Finding] | Exception
QUOTAS: tuple[Check, ...] = (
    Check("quota of the listener", quotas.find_listener_certificates),
    Check("quota of certificates", quotas.find_certificates),
    Check("quota of buckets", quotas.find_buckets),
    Check("quota of allowed ranges", quotas.find_rules),
    Check("quota of roles", quotas.find_roles),
    Check("quota of records", quotas.find_records),
)
# The order of the output.
CHECKS: tuple[Check, ...] = (
    ACCOUNT,
    Check("region", account.find_region),
    VERSION,
    Check("issuer", cluster.find_issuer),
    Check(cluster.FAMILY, cluster.find_family),
    Check("identity provider", account.find_identity_provider),
    Check(account.KEYS, account.find_keys),
    Check("storage class", cluster.find_storage_class),
    Check(cluster.PULL_SECRETS, cluster.find_pull_secrets),
    Check(policy_probe.NAME, cluster.find_policies),
    Check("instance metadata", nodes.find_metadata),
    Check(targets.TARGETS, targets.find_targets),
    Check(targets.FARGATE, targets.find_fargate),
    Check("subnets", network.find_subnets),
    Check("security group", network.find_security_group),
    Check("parent zone", domain.find_parent_zone),
    Check("delegation", domain.find_delegation),
    Check("CAA", domain.find_authorities),
    *QUOTAS,
)
# With a probe by two pods, which takes longer than what the settings say.
LIVE_CHECKS = tuple(
    Check(check.name, policy_probe.find_enforcement) if check.name == policy_probe.NAME else check for check in CHECKS
)


def findings(subject: Subject, checks: Sequence[Check] = CHECKS, seconds: float = SECONDS) -> list[Finding]:
    """Return what the checks find, in their order. A check that takes longer than `seconds` yields a warning."""
    results: dict[Check, Result] = {}

    def ask(check: Check) -> None:
        try:
            results[check] = check.find(subject)
        except REFUSALS as refused:
            results[check] = refused

    # Daemon threads: a request that hangs must keep neither the result nor the end of the command.
    threads = [threading.Thread(target=ask, args=[check], daemon=True) for check in checks]
    for thread in threads:
        thread.start()
    _join(threads, seconds)
    return _in_order(checks, dict(results), seconds)


def _in_order(checks: Sequence[Check], results: Mapping[Check, Result], seconds: float) -> list[Finding]:
    """Return the findings in the order of the checks; where a check could not ask, a finding that says why."""
    found = {check: _findings_of(check, results[check]) for check in checks if check in results}
    if any(one.level == "error" for one in found.get(ACCOUNT, [])):
        checks = [check for check in checks if check in (ACCOUNT, VERSION)]  # answers of another account mean nothing
    if isinstance(results.get(VERSION), UserError):
        silent = [check for check in found if check is not VERSION and isinstance(results[check], UserError)]
        found |= {check: [warning(check.name, "not checked", "let the cluster answer first")] for check in silent}
    return [finding for check in checks for finding in found.get(check, [_too_slow(check, seconds)])]


def _join(threads: Sequence[threading.Thread], seconds: float) -> None:
    """Wait until all threads have ended, at most `seconds` in all."""
    end = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(end - time.monotonic(), 0))


def _findings_of(check: Check, result: Result) -> list[Finding]:
    if isinstance(result, list):
        return result
    if isinstance(result, DeniedError):
        return [warning(check.name, "not checked: the credentials may not ask", f"allow the IAM action {result}")]
    if isinstance(result, NoAnswerError):
        return [
            warning(check.name, f"not checked: the resolver does not answer ({result})", "check this machine's DNS")
        ]
    return [_unasked(check, result)]


def _unasked(check: Check, refused: Exception) -> Finding:
    """Return the finding of a check whose request was refused; the account and the cluster must answer."""
    if check is ACCOUNT:
        remedy = "`aws sts get-caller-identity` must work in this shell first"
        return error(check.name, f"AWS refuses access: {refused}", remedy)
    if check is VERSION and isinstance(refused, UserError):
        return error("cluster", str(refused), "check opstrace:cluster.context and the kubeconfig")
    return warning(check.name, f"not checked: {refused}", "run this again, or check it by hand")


def _too_slow(check: Check, seconds: float) -> Finding:
    if check is ACCOUNT:
        return error(check.name, f"AWS does not answer in {seconds:.0f} s", "check the network of this machine")
    if check is VERSION:
        remedy = "check opstrace:cluster.context, and whether this machine may reach the API server"
        return error("cluster", f"it does not answer in {seconds:.0f} s", remedy)
    return warning(check.name, f"not checked: no answer in {seconds:.0f} s", "run this again")


def require_no_errors(found: Sequence[Finding]) -> None:
    """Raise `UserError` with every error among the findings."""
    errors = [one.in_words() for one in found if one.level == "error"]
    if errors:
        raise UserError("the preflight found: " + "; ".join(errors))
