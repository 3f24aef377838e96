"""Checks of the AWS account: whose credentials these are, the region, and the identity provider of the cluster."""

from collections.abc import Iterable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from components.core.names import account_of
from scripts.checks.finding import Finding, error, ok, or_ok
from scripts.checks.subject import Subject
from scripts.clients.aws import is_code
from scripts.clients.mismatches import account_mismatch

AUDIENCE = "sts.amazonaws.com"  # of the tokens with which pods assume roles
EKS_ISSUER = "https://oidc.eks."
OPTED_OUT = "not-opted-in"


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
