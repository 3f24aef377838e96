"""What `create` says is missing while an instance does not answer."""

from collections.abc import Iterator
from typing import Any

import boto3
import moto
import pytest
from botocore.exceptions import ClientError

from components.core.errors import UserError
from components.core.resource_names import CERTIFICATE_TYPE, TARGET_GROUP_TYPE, ZONE_TYPE
from scripts.instances.missing import Parts, missing, targets_in_words
from tests.support.contexts import EmptyCluster

NAME_SERVERS = ["ns-1.awsdns-01.org", "ns-2.awsdns-02.net"]
REGISTERING = {
    "State": "initial",
    "Reason": "Elb.RegistrationInProgress",
    "Description": "Target registration is in progress",
}


class Clients(dict[str, Any]):
    """boto3 clients of moto by service."""

    def __missing__(self, service: str) -> Any:
        return boto3.client(service, "us-west-2", aws_access_key_id="testing", aws_secret_access_key="testing")


@pytest.fixture
def aws() -> Iterator[Any]:
    with moto.mock_aws():
        yield Clients()


class Pods(EmptyCluster):
    """A cluster whose workloads have ready pods, except those that are named."""

    def __init__(self, *unready: str) -> None:
        self._unready = unready

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Any:
        ready = 0 if f"{namespace}/{name}" in self._unready else 2
        metadata = {"name": name, "namespace": namespace}
        return {"metadata": metadata, "spec": {"replicas": 2}, "status": {"readyReplicas": ready}}


def parts(*resources: dict[str, Any], host: str = "cortex.default.showdown.localhost") -> Parts:
    return Parts("showdown", "showdown.example.com", host, ["default", "system"], resources)


def resource(kind: str, **outputs: Any) -> dict[str, Any]:
    return {"type": kind, "outputs": outputs}


class Recorded:
    """A client with an answer, or an error, for each of its calls."""

    def __init__(self, **answers: Any) -> None:
        self._answers = answers

    def __getattr__(self, call: str) -> Any:
        def answer(**_: Any) -> Any:
            if isinstance(self._answers[call], Exception):
                raise self._answers[call]
            return self._answers[call]

        return answer


def error(code: str, call: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": f"{code} for {call}"}}, call)


def found(aws: Any, given: Parts, *unready: str) -> list[str]:
    cluster: Any = Pods(*unready)
    return missing(given, aws, cluster)


def test_nothing_is_missing_where_all_parts_are_ready() -> None:
    balancers = Recorded(describe_target_health={"TargetHealthDescriptions": [{"TargetHealth": {"State": "healthy"}}]})
    assert found(Clients(elbv2=balancers), parts(resource(TARGET_GROUP_TYPE, arn="arn"))) == []


def test_a_certificate_that_is_not_issued_is_named(aws: Any) -> None:
    arn = aws["acm"].request_certificate(DomainName="showdown.example.com", ValidationMethod="DNS")["CertificateArn"]
    given = parts(resource(CERTIFICATE_TYPE, arn=arn, domainName="showdown.example.com"))
    assert found(aws, given) == ["the certificate of showdown.example.com is PENDING_VALIDATION"]


def test_a_host_that_does_not_resolve_names_the_delegation() -> None:
    given = parts(resource(ZONE_TYPE, nameServers=NAME_SERVERS), host="cortex.default.showdown.invalid")
    (line,) = found(Clients(), given)
    assert (
        "NS record showdown.example.com" in line and ", ".join(NAME_SERVERS) in line and "zone of example.com" in line
    )


@pytest.mark.parametrize(
    ("healths", "lines"),
    [
        ([], ["the load balancer has no targets: its autoscaling groups have no instance in service"]),
        ([{"State": "healthy"}], []),
        (
            [{"State": "healthy"}, REGISTERING, REGISTERING],
            [
                "targets of the load balancer: 1 of 3 healthy; 2 initial (Elb.RegistrationInProgress: Target registration is "
                "in progress)"
            ],
        ),
    ],
)
def test_targets_are_counted_with_their_reasons(healths: Any, lines: list[str]) -> None:
    assert targets_in_words(healths, of_pods=False) == lines


def test_pods_that_nothing_registers_are_no_fault_of_autoscaling_groups() -> None:
    balancers = Recorded(describe_target_health={"TargetHealthDescriptions": []})
    (line,) = found(Clients(elbv2=balancers), parts(resource(TARGET_GROUP_TYPE, arn="arn", targetType="ip")))
    assert "no controller has registered the gateway's pods" in line and "autoscaling" not in line


class Stuck(Pods):
    """A cluster in which a quota admits no further pod of the gateway, and one pod cannot pull its image."""

    def __init__(self, status: dict[str, int]) -> None:
        super().__init__()
        self._status = status

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Any:
        found = super().get(api_version, kind, name, namespace)
        if kind != "Deployment":
            return found
        labels = {"matchLabels": {"app.kubernetes.io/name": "gateway"}}
        return found | {"spec": {"replicas": 2, "selector": labels}, "status": self._status}

    def objects(self, kind: str, namespace: str | None, query: Any) -> list[dict[str, Any]]:
        assert namespace == "opstrace"
        waiting = {"name": "envoy", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off"}}}
        found: dict[str, list[dict[str, Any]]] = {
            "replicasets": [{"metadata": {"name": "gateway-5d"}}],
            "pods": [{"metadata": {"name": "gateway-5d-a"}, "status": {"containerStatuses": [waiting]}}],
            "events": [
                {"involvedObject": {"name": "gateway-5d"}, "reason": "FailedCreate", "message": "exceeded quota: q"},
                {"involvedObject": {"name": "gateway-5d-a"}, "reason": "FailedScheduling", "message": "0/1 nodes"},
                {"involvedObject": {"name": "other"}, "reason": "FailedCreate", "message": "of another"},
            ],
        }
        return found.get(kind, [])


REASONS = (
    "pod gateway-5d-a, container envoy: ImagePullBackOff Back-off; FailedCreate: exceeded quota: q; "
    "FailedScheduling: 0/1 nodes"
)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ({}, "0 of 2 pods ready"),
        ({"readyReplicas": 1, "unavailableReplicas": 1}, "1 of 2 pods ready"),
        # Old pods serve, and a new one cannot start.
        ({"readyReplicas": 2, "unavailableReplicas": 1}, "2 of 2 pods ready, and 1 of a rollout not yet"),
    ],
)
def test_what_stops_pods_of_the_gateway_is_named(status: dict[str, int], state: str) -> None:
    cluster: Any = Stuck(status)
    aws: Any = Clients()
    assert missing(parts(), aws, cluster) == [f"gateway: {state}; {REASONS}"]


def test_a_gateway_that_is_gone_is_named() -> None:
    cluster: Any = EmptyCluster()
    aws: Any = Clients()
    assert missing(parts(), aws, cluster)[0] == "gateway: the Deployment is missing"


def test_pods_that_are_not_ready_are_named() -> None:
    lines = found(Clients(), parts(), "opstrace/gateway", "system-tenant/loki")
    assert lines == ["gateway: 0 of 2 pods ready", "tenant system: loki 0 of 2 ready"]


def test_a_refused_request_hides_one_part_alone() -> None:
    aws = Clients(elbv2=Recorded(describe_target_health=error("AccessDenied", "DescribeTargetHealth")))
    lines = found(aws, parts(resource(TARGET_GROUP_TYPE, arn="arn")), "opstrace/gateway")
    assert len(lines) == 2 and "is unknown" in lines[0] and "DescribeTargetHealth" in lines[0]


@pytest.mark.parametrize("kind", [CERTIFICATE_TYPE, TARGET_GROUP_TYPE])
def test_nothing_waits_for_a_part_that_is_gone(kind: str) -> None:
    gone = {
        "acm": Recorded(describe_certificate=error("ResourceNotFoundException", "DescribeCertificate")),
        "elbv2": Recorded(describe_target_health=error("TargetGroupNotFound", "DescribeTargetHealth")),
    }
    with pytest.raises(UserError, match="pulumi up --refresh --stack showdown"):
        found(Clients(gone), parts(resource(kind, arn="arn", name="group", domainName="example.com")))
