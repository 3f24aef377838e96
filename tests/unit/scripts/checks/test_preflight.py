"""The preflight against moto and recorded answers: all is well, then each failure by itself."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import cycle
from types import SimpleNamespace
from typing import Any

import moto
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from moto.acm.models import AWSCertificateManagerBackend

from components.core.errors import UserError
from localcloud.moto.acm import by_key_type
from reference.deployer_policy import FULL
from scripts.checks.finding import Finding, ok
from scripts.checks.preflight import CHECKS, findings, require_no_errors
from scripts.checks.subject import DENIED, Account, Check, NoAnswerError, Subject, action_of
from scripts.instances.deployer.policy import DEPLOYER, rights
from tests.support.checked_account import ISSUER, REGION, CheckedAccount, Denying, Recorded, Services
from tests.support.factories import kms_key

SERVICES = ("acm", "autoscaling", "ec2", "eks", "iam", "route53", "s3", "service-quotas", "sts")


Undo = Callable[[], object]


@pytest.fixture(scope="module")
def shared() -> Iterator[CheckedAccount]:
    with moto.mock_aws():
        yield CheckedAccount()


@pytest.fixture
def account(shared: CheckedAccount) -> CheckedAccount:
    return shared.copy()


def test_an_account_with_all_that_an_instance_needs_has_no_other_findings_than_ok(account: CheckedAccount) -> None:
    found = findings(account.subject())
    assert [one for one in found if one.level != "ok"] == []
    assert [one.name for one in found] == [check.name for check in CHECKS]


def test_the_policies_of_the_deployer_permit_what_the_checks_ask(account: CheckedAccount) -> None:
    asked = set()

    def note(service: str, operation: str) -> None:
        asked.add(action_of(service, Services()[service].meta.method_to_api_mapping[operation]))

    class Asked(Account):
        def ask(self, service: str, operation: str, **arguments: Any) -> Any:
            note(service, operation)
            return super().ask(service, operation, **arguments)

        def ask_once(self, service: str, operation: str, **arguments: Any) -> Any:
            note(service, operation)
            return super().ask_once(service, operation, **arguments)

    subject = replace(account.subject(), account=Asked(account.services))
    findings(subject)
    undo = stale_delegation(account)  # an instance that exists is asked other questions
    findings(replace(subject))  # what it was told before is forgotten
    undo()
    account.make_eks_cluster("observability")
    account.make_key()
    findings(replace(account.subject(), account=subject.account))
    permitted = {action for part in DEPLOYER for right in rights(part, FULL) for action in right.actions}
    assert len(asked) > len(SERVICES) and asked - permitted == {"sts:GetCallerIdentity"}  # which needs no right


def other_region(account: CheckedAccount) -> None:
    account.settings["aws"] = {**account.settings["aws"], "region": "xx-west-9"}


def no_provider(account: CheckedAccount) -> Undo:
    account.services["iam"].delete_open_id_connect_provider(OpenIDConnectProviderArn=account.provider)
    return account.make_provider


def no_audience(account: CheckedAccount) -> Undo:
    no_provider(account)
    account.make_provider("other.example.com")

    def undo() -> None:
        no_provider(account)
        account.make_provider()

    return undo


def old_version(account: CheckedAccount) -> None:
    account.cluster.paths["/version"] = {"gitVersion": "v1.29.0"}


def other_cluster(account: CheckedAccount) -> None:
    account.cluster.paths["/.well-known/openid-configuration"] = {"issuer": f"{ISSUER}B"}


def ipv6_alone(account: CheckedAccount) -> None:
    services = {("v1", "Service", "kubernetes", "default"): {"spec": {"clusterIPs": ["fd00::1"]}}}
    account.cluster.get = lambda *names: services.get(names)  # type: ignore[method-assign]  # of this copy alone


def no_storage_class(account: CheckedAccount) -> None:
    account.cluster.lists["storageclasses"] = []


def unenforced(account: CheckedAccount) -> None:
    account.settings["cluster"] = {**account.settings["cluster"], "enforcesNetworkPolicies": False}


def open_metadata(account: CheckedAccount) -> Undo:
    ec2, which = account.services["ec2"], {"InstanceId": account.instance, "HttpTokens": "required"}
    change = partial(ec2.modify_instance_metadata_options, **which)
    change(HttpPutResponseHopLimit=2)
    return lambda: change(HttpPutResponseHopLimit=1)


def replaced_group(account: CheckedAccount) -> None:
    account.settings["loadBalancer"] = {**account.settings["loadBalancer"], "autoscalingGroups": ["replaced"]}


def foreign_node(account: CheckedAccount) -> None:
    account.cluster.node["spec"] = {"providerID": "aws:///us-west-2a/i-0123456789abcdef0"}


def no_subnet(account: CheckedAccount) -> None:
    account.settings["loadBalancer"] = {**account.settings["loadBalancer"], "subnetIds": ["subnet-0123456789abcdef0"]}


def private_subnet(account: CheckedAccount) -> Undo:
    account.services["ec2"].delete_route(RouteTableId=account.table, DestinationCidrBlock="0.0.0.0/0")
    return account.make_route


def other_zone(account: CheckedAccount) -> None:
    account.cluster.node["metadata"] = {"labels": {"topology.kubernetes.io/zone": f"{REGION}b"}}


def no_security_group(account: CheckedAccount) -> None:
    account.settings["cluster"] = {**account.settings["cluster"], "nodeSecurityGroupId": "sg-0123456789abcdef0"}


def no_zone(account: CheckedAccount) -> None:
    account.zone = "Z0123456789"


def undelegated(account: CheckedAccount) -> None:
    account.dns.records.clear()


def stale_delegation(account: CheckedAccount) -> Undo:
    route53 = account.services["route53"]
    zone = route53.create_hosted_zone(Name="obs.example.com", CallerReference="2")["HostedZone"]["Id"]
    return lambda: route53.delete_hosted_zone(Id=zone)


def earlier_delegation(account: CheckedAccount) -> Undo:
    record = {"Name": "obs.example.com", "Type": "NS", "TTL": 30, "ResourceRecords": [{"Value": "ns.old.net"}]}

    def change(action: str) -> None:
        batch = {"Changes": [{"Action": action, "ResourceRecordSet": record}]}
        account.services["route53"].change_resource_record_sets(HostedZoneId=account.zone, ChangeBatch=batch)

    change("CREATE")
    return lambda: change("DELETE")


def other_authority(account: CheckedAccount) -> None:
    record = type("Record", (), {"tag": b"issue", "value": b"letsencrypt.org"})
    account.dns.records["example.com", "CAA"] = [record]


def many_tenants(account: CheckedAccount) -> None:
    account.settings["tenants"] = [{"name": f"tenant{number}"} for number in range(24)]


def many_own_stacks(account: CheckedAccount) -> None:
    account.own_stacks = 24


def many_ranges(account: CheckedAccount) -> None:
    ranges = [f"10.0.{number}.0/24" for number in range(61)]
    account.settings["dataApi"] = {**account.settings["dataApi"], "allowedCidrs": ranges}


def small_quotas(account: CheckedAccount) -> None:
    names = ("ACM certificates", "General purpose buckets")
    account.services["service-quotas"] = Recorded(
        list_service_quotas={"Quotas": [{"QuotaName": name, "Value": 2.0} for name in names]}
    )


@pytest.mark.parametrize(
    ("provoke", "expected"),
    [
        (other_region, {"region": "error"}),
        (no_provider, {"identity provider": "error"}),
        (no_audience, {"identity provider": "error"}),
        (old_version, {"cluster version": "error"}),
        (other_cluster, {"issuer": "error"}),
        (ipv6_alone, {"address family": "error"}),
        (no_storage_class, {"storage class": "error"}),
        (unenforced, {"network policies": "warning"}),
        (open_metadata, {"instance metadata": "warning"}),
        (replaced_group, {"targets": "error"}),
        (no_subnet, {"subnets": "error"}),
        (private_subnet, {"routes": "error"}),
        (other_zone, {"zones": "error"}),
        (no_security_group, {"security group": "error"}),
        (no_zone, {"parent zone": "error"}),
        (undelegated, {"parent zone": "error"}),
        (stale_delegation, {"delegation": "warning"}),
        (earlier_delegation, {"delegation": "error"}),
        (other_authority, {"CAA": "error"}),
        (many_tenants, {"quota of the listener": "error"}),
        (many_own_stacks, {"quota of the listener": "error"}),
        (many_ranges, {"quota of allowed ranges": "error"}),
        (small_quotas, {"quota of certificates": "error", "quota of buckets": "error"}),
    ],
)
def test_each_failure_is_found_alone(
    account: CheckedAccount, provoke: Callable[[CheckedAccount], Undo | None], expected: dict[str, str]
) -> None:
    undo = provoke(account)
    try:
        found = account.findings()
    finally:
        if undo:
            undo()
    assert {name: one.level for name, one in found.items() if one.level != "ok"} == expected
    assert all(one.remedy for one in found.values() if one.level != "ok")


def elliptic_pair() -> tuple[bytes, bytes]:
    """Return a certificate that signs itself and its private key, both in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "elliptic.example.com")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM), private


def test_certificates_with_elliptic_keys_count(account: CheckedAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = AWSCertificateManagerBackend
    monkeypatch.setattr(backend, "list_certificates", by_key_type(backend.list_certificates))
    acm, (certificate, private) = account.services["acm"], elliptic_pair()
    arn = acm.import_certificate(Certificate=certificate, PrivateKey=private)["CertificateArn"]
    assert arn not in {one["CertificateArn"] for one in acm.list_certificates()["CertificateSummaryList"]}
    own = account.subject().certificates
    assert f" {own + 1} of" in account.findings()["quota of certificates"].message
    acm.delete_certificate(CertificateArn=arn)


def test_certificates_of_a_domain_that_ends_alike_count_as_those_of_others(account: CheckedAccount) -> None:
    acm, domains = account.services["acm"], ("obs.example.com", "*.shop.obs.example.com", "my-obs.example.com")
    made = [acm.request_certificate(DomainName=name, ValidationMethod="DNS")["CertificateArn"] for name in domains]
    own = account.subject().certificates
    assert f" {own + 1} of" in account.findings()["quota of certificates"].message
    for arn in made:
        acm.delete_certificate(CertificateArn=arn)


def test_keys_that_can_be_used_are_ok(account: CheckedAccount) -> None:
    assert account.findings()["KMS keys"].message == "none: S3 and Secrets Manager use their own"
    account.make_key()
    account.make_key("secrets")
    assert account.findings()["KMS keys"].in_words() == "KMS keys: 2 enabled"


@pytest.mark.parametrize("setting", ["buckets", "secrets", "former"])
def test_keys_that_cannot_be_used_are_found_before_s3_refuses_to_write(account: CheckedAccount, setting: str) -> None:
    kms, made = account.services["kms"], account.make_key()
    account.settings["aws"] = {"region": REGION}
    account.name_key(setting, [made] if setting == "former" else made)

    def found() -> Finding:
        return account.findings()["KMS keys"]

    assert found().level == "ok"
    kms.disable_key(KeyId=made.rpartition("/")[2])  # moto takes no ARN
    level = "warning" if setting == "former" else "error"
    assert found().level == level and f"enable-key --key-id {made}" in found().remedy
    kms.schedule_key_deletion(KeyId=made.rpartition("/")[2], PendingWindowInDays=7)
    assert found().level == level and f"cancel-key-deletion --key-id {made}" in found().remedy
    other = kms_key(9)
    account.name_key(setting, [other] if setting == "former" else other)
    assert found().level == level and f"KMS has no key {other}" in found().message
    for options in (
        {"KeyUsage": "SIGN_VERIFY", "KeySpec": "RSA_2048"},
        {"KeyUsage": "GENERATE_VERIFY_MAC", "KeySpec": "HMAC_256"},
    ):
        wrong = kms.create_key(**options)["KeyMetadata"]["Arn"]
        account.name_key(setting, [wrong] if setting == "former" else wrong)
        assert found().level == level and "AWS encrypts by symmetric keys alone" in found().message


def test_a_key_that_aws_manages_is_a_warning(account: CheckedAccount) -> None:
    made = account.make_key()
    described = account.services["kms"].describe_key(KeyId=made)["KeyMetadata"]
    answer = {"KeyMetadata": described | {"KeyManager": "AWS"}}
    account.services["kms"] = Recorded(account.services["kms"], describe_key=answer)
    assert account.findings()["KMS keys"].level == "warning"


def test_without_the_permission_keys_are_not_checked(account: CheckedAccount) -> None:
    account.make_key()
    account.services["kms"] = Denying("kms", "AccessDeniedException")
    found = account.findings()["KMS keys"]
    assert found.level == "warning" and found.remedy.startswith(
        "allow the IAM action kms:DescribeKey, in the policy of"
    )


def test_a_key_that_denies_does_not_hide_what_another_key_is(account: CheckedAccount) -> None:
    disabled, denying = account.make_key(), account.make_key("secrets")
    kms = account.services["kms"]
    kms.disable_key(KeyId=disabled.rpartition("/")[2])  # moto takes no ARN

    def describe_key(KeyId: str) -> Any:  # noqa: N803 boto3's name
        call = Denying("kms", "AccessDeniedException").describe_key if KeyId == denying else kms.describe_key
        return call(KeyId=KeyId)

    account.services["kms"] = SimpleNamespace(can_paginate=kms.can_paginate, describe_key=describe_key)
    found = [one for one in findings(account.subject()) if one.name == "KMS keys"]
    assert [(one.level, key in one.message) for one, key in zip(found, (disabled, denying), strict=True)] == [
        ("error", True),
        ("warning", True),
    ]


def test_groups_of_another_cluster_are_found(account: CheckedAccount) -> None:
    foreign_node(account)
    found = account.findings()
    assert found["targets"].level == "error" and "is a node of the cluster" in found["targets"].message


def test_another_account_hides_what_it_answers(account: CheckedAccount) -> None:
    other = account.provider.replace("123456789012", "999999999999")
    account.settings["cluster"] = {**account.settings["cluster"], "oidcProviderArn": other}
    found = account.findings()
    assert [*found] == ["cluster version", "account"] and found["account"].level == "error"
    with pytest.raises(
        UserError,
        match="the preflight found: account: the credentials of this shell are of the AWS account 123456789012",
    ):
        require_no_errors(findings(account.subject()))


@pytest.mark.parametrize(("service", "code"), zip(SERVICES, cycle(DENIED), strict=False))
def test_a_missing_permission_is_a_warning_with_the_action(account: CheckedAccount, service: str, code: str) -> None:
    account.services[service] = Denying(service, code)
    changed = [one for one in account.findings().values() if one.level != "ok"]
    prefix = {"service-quotas": "servicequotas"}.get(service, service)
    assert changed
    for one in changed:
        assert one.level == "warning" and one.remedy.startswith(f"allow the IAM action {prefix}:"), one


def silent_cluster(account: CheckedAccount) -> None:
    def refuse(*_: Any) -> Any:
        raise UserError("the cluster of the context eks does not answer")

    for name in ("read", "nodes", "get", "objects"):
        setattr(account.cluster, name, refuse)


def test_a_cluster_that_does_not_answer_is_one_error(account: CheckedAccount) -> None:
    silent_cluster(account)
    found = account.findings()
    assert [one.name for one in found.values() if one.level == "error"] == ["cluster"]
    assert found["targets"].in_words() == "targets: not checked; let the cluster answer first"


def test_a_cluster_that_hangs_is_an_error_after_the_deadline(account: CheckedAccount) -> None:
    released = threading.Event()
    account.cluster.read = lambda path: released.wait(60) and None  # type: ignore[method-assign]  # of this copy alone  # the test's cluster
    found = {one.name: one for one in findings(account.subject(), seconds=1)}
    released.set()
    assert (found["cluster"].level, found["issuer"].level) == ("error", "warning")
    assert "does not answer in 1 s" in found["cluster"].message


def test_a_refused_kind_of_object_is_named_where_the_cluster_answers(account: CheckedAccount) -> None:
    def refuse(*_: Any) -> Any:
        raise UserError("the cluster of the context eks refuses access: Forbidden")

    account.cluster.nodes = refuse  # type: ignore[method-assign]  # of this copy alone  # the test's cluster
    found = account.findings()
    assert found["targets"].level == "warning" and "Forbidden" in found["targets"].message
    assert found["cluster version"].level == "ok"


def test_no_resolver_learns_that_a_new_instance_s_name_does_not_exist(account: CheckedAccount) -> None:
    asked: list[str] = []
    answers = account.dns.of

    def of(name: str, kind: str) -> list[Any]:
        asked.append(name)
        return answers(name, kind)

    account.dns.of = of  # type: ignore[method-assign]  # of this copy alone  # the test's DNS
    account.findings()
    assert asked and {*asked} == {"example.com", "com"}


def test_a_resolver_that_does_not_answer_is_a_warning(account: CheckedAccount) -> None:
    def silent(name: str, kind: str) -> list[Any]:
        raise NoAnswerError(f"{kind} of {name}: timeout")

    account.dns.of = silent  # type: ignore[method-assign]  # of this copy alone  # the test's DNS
    found = account.findings()
    for name in ("parent zone", "CAA"):
        assert found[name].level == "warning" and "timeout" in found[name].message


def test_no_check_delays_the_others_and_none_takes_longer_than_the_deadline(account: CheckedAccount) -> None:
    released = threading.Event()
    hanging = Check("hanging", lambda _: [ok("hanging", str(released.wait(60)))])
    meeting = threading.Barrier(2)  # passes once two checks run at the same time

    def meet(_: Subject) -> list[Finding]:
        return [ok("met", str(meeting.wait(30) < meeting.parties))]

    pair = [Check("one", meet), Check("two", meet)]
    found = findings(account.subject(), [hanging, *pair], seconds=5)
    released.set()
    assert [(one.name, one.level) for one in found] == [("hanging", "warning"), ("met", "ok"), ("met", "ok")]
    assert "no answer in 5 s" in found[0].message
