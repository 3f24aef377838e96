"""Checks of the AWS account: whose credentials these are, the region, the identity provider of the cluster, and the keys."""

from collections.abc import Iterable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from components.core.names import account_of
from scripts.checks.finding import Finding, error, ok, or_ok, warning
from scripts.checks.subject import DeniedError, Subject
from scripts.clients.aws import is_code
from scripts.clients.mismatches import account_mismatch

AUDIENCE = "sts.amazonaws.com"  # of the tokens with which pods assume roles
EKS_ISSUER = "https://oidc.eks."
OPTED_OUT = "not-opted-in"
KEYS = "KMS keys"
SYMMETRIC = {"KeySpec": "SYMMETRIC_DEFAULT", "KeyUsage": "ENCRYPT_DECRYPT"}
TO_ENABLE = {
    "Disabled": "`aws kms enable-key --key-id {}`",
    "PendingDeletion": "`aws kms cancel-key-deletion --key-id {0}`, then `aws kms enable-key --key-id {0}`",
}


def find_account(subject: Subject) -> list[Finding]:
    """Check that the credentials are of the account that the stack file names."""
    identity = subject.account.ask("sts", "get_caller_identity")
    return account_findings(identity, account_of(subject.config.cluster.oidc_provider_arn))


def account_findings(identity: Mapping[str, Any], expected: str) -> list[Finding]:
    """Return what the identity of the credentials means; `expected` is the account of the identity provider."""
    if mismatch := account_mismatch(str(identity["Account"]), expected):
        return [error("account", mismatch.message, mismatch.remedy)]
    return [ok("account", f"{expected}, as {identity['Arn']}")]


def find_region(subject: Subject) -> list[Finding]:
    """Check that the account has the region, and that the cluster is in it."""
    region, issuer = subject.config.aws.region, subject.config.cluster.oidc_issuer
    try:
        regions = subject.account.ask("ec2", "describe_regions", RegionNames=[region], AllRegions=True)["Regions"]
    except ClientError as refused:
        if not is_code(refused, "InvalidParameterValue"):
            raise
        regions = []
    return region_findings(region, regions, issuer)


def region_findings(region: str, regions: Iterable[Mapping[str, Any]], issuer: str) -> list[Finding]:
    """Return what EC2's answer about a region and the issuer of the cluster mean."""
    status = next((entry.get("OptInStatus") for entry in regions if entry["RegionName"] == region), None)
    if status is None:
        return [error("region", f"AWS has no region {region}", "correct opstrace:aws.region")]
    if status == OPTED_OUT:
        remedy = f"enable it: `aws account enable-region --region-name {region}`"
        return [error("region", f"the account has not enabled {region}", remedy)]
    if issuer.startswith(EKS_ISSUER) and not issuer.startswith(f"{EKS_ISSUER}{region}."):
        elsewhere = issuer.removeprefix(EKS_ISSUER).partition(".")[0]
        remedy = "set opstrace:aws.region to the cluster's region, because the load balancer must be in its VPC"
        return [error("region", f"opstrace:aws.region is {region}, but the cluster is in {elsewhere}", remedy)]
    return [ok("region", region)]


def find_identity_provider(subject: Subject) -> list[Finding]:
    """Check the IAM identity provider that lets pods assume roles."""
    arn = subject.config.cluster.oidc_provider_arn
    try:
        provider = subject.account.ask("iam", "get_open_id_connect_provider", OpenIDConnectProviderArn=arn)
    except ClientError as refused:
        if not is_code(refused, "NoSuchEntity"):
            raise
        provider = None
    return provider_findings(arn, provider, subject.config.cluster.oidc_issuer)


def provider_findings(arn: str, provider: Mapping[str, Any] | None, issuer: str) -> list[Finding]:
    """Return what IAM's answer about an identity provider means; None where there is none of this ARN."""
    name = "identity provider"
    if provider is None:
        remedy = "create it: `eksctl utils associate-iam-oidc-provider --cluster NAME --approve`, or correct the ARN"
        return [error(name, f"IAM has no identity provider {arn}, so pods get no credentials", remedy)]
    found = []
    url = str(provider.get("Url", "")).removeprefix("https://").rstrip("/")
    if url != issuer.removeprefix("https://"):
        message = f"{arn} is of the issuer {url}, but opstrace:cluster.oidcIssuer is {issuer}"
        found.append(error(name, message, "set both to those of the cluster"))
    if AUDIENCE not in provider.get("ClientIDList", []):
        command = f"aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn {arn} --client-id {AUDIENCE}"
        found.append(error(name, f"{arn} does not have the audience {AUDIENCE}", f"add it: `{command}`"))
    return or_ok(found, name, f"of {issuer}, with the audience {AUDIENCE}")


def find_keys(subject: Subject) -> list[Finding]:
    """Check the KMS keys of buckets and secrets. S3 does not: it takes any key, and refuses each write later."""
    keys = subject.config.aws.keys
    described = {key: _described(subject, key) for key in dict.fromkeys(key for _, key in keys.by_setting())}
    found = [one for setting, key in keys.by_setting() for one in key_findings(setting, key, described[key])]
    return or_ok(
        found, KEYS, f"{len(described)} enabled" if described else "none: S3 and Secrets Manager use their own"
    )


def _described(subject: Subject, key: str) -> Mapping[str, Any] | DeniedError | None:
    """Return KMS's description of a key, None where there is no such key, or why the credentials may not ask for this one."""
    try:
        description: Mapping[str, Any] = subject.account.ask("kms", "describe_key", KeyId=key)["KeyMetadata"]
    except DeniedError as denied:
        return denied
    except ClientError as refused:
        if not is_code(refused, "NotFoundException"):
            raise
        return None
    return description


def key_findings(setting: str, key: str, described: Mapping[str, Any] | DeniedError | None) -> list[Finding]:
    """Return what the answer of `_described` about a key means. `setting` is below aws.kmsKeys."""
    where = f"opstrace:aws.kmsKeys.{setting}"
    if isinstance(described, DeniedError):
        remedy = f"allow the IAM action {described}, in the policy of the key, too"
        return [warning(KEYS, f"{key} of {where} is not checked: the credentials may not ask", remedy)]
    level = warning if setting.startswith("former") else error  # its data may have expired
    if described is None:
        return [level(KEYS, f"KMS has no key {key}", f"correct {where}")]
    if any(described.get(name, wanted) != wanted for name, wanted in SYMMETRIC.items()):
        kind = f"{described.get('KeySpec')} for {described.get('KeyUsage')}"
        return [
            level(KEYS, f"{key} is {kind}, but AWS encrypts by symmetric keys alone", f"name such a key in {where}")
        ]
    if described["KeyState"] != "Enabled":
        remedy = TO_ENABLE.get(described["KeyState"], f"make it usable, or name another key in {where}").format(key)
        return [
            level(KEYS, f"{key} of {where} is {described['KeyState']}, so nothing is encrypted or read by it", remedy)
        ]
    if described.get("KeyManager") == "AWS":
        message = (
            f"{key} of {where} is a key of AWS, which one service alone may use, and whose policy nobody can change"
        )
        return [warning(KEYS, message, "name a key that you manage")]
    return []
