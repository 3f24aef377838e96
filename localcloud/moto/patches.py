"""Corrections of moto's answers where they differ from AWS in a way that users would notice."""

import functools
import inspect
import os
import time
from collections.abc import Iterable
from typing import Any

from botocore.model import OperationNotFoundError
from moto.acm.models import AWSCertificateManagerBackend
from moto.autoscaling.models import AutoScalingBackend
from moto.core.request import normalize_request
from moto.core.responses import BaseResponse
from moto.elbv2.exceptions import (
    DuplicateListenerError,
    DuplicateLoadBalancerName,
    ELBClientError,
    TooManyCertificatesError,
)
from moto.elbv2.models import ELBv2Backend, FakeAction, FakeHealthStatus, FakeLoadBalancer
from moto.elbv2.responses import ELBV2Response
from moto.iam.models import IAMBackend
from moto.kms.models import KmsBackend
from moto.route53.exceptions import Route53ClientError
from moto.route53.models import HostedZoneIdentifier, Route53Backend
from moto.s3.models import S3Backend
from moto.s3.responses import S3Response
from moto.s3control.exceptions import AccessPointNotFound
from moto.secretsmanager.models import SecretsManagerBackend

from localcloud.moto.acm import by_key_type
from localcloud.moto.authorization.identities import require_policy
from localcloud.moto.authorization.refusals import NO_ACCESS_POINT, NO_SUCH_CALL, NO_SUCH_METHOD, RefusedError
from localcloud.moto.autoscaling import knowing_its_groups
from localcloud.moto.kms_keys import by_any_id, reading, storing, with_default_encryption

CERTIFICATES = "OPSTRACE_LOCAL_CERTIFICATES"  # the account's quota of certificates for a load balancer
DEFAULT_CERTIFICATES = 25
AUTHORITY = {
    "NS": "A HostedZone must contain at least one NS record for the zone itself.",
    "SOA": "A HostedZone must contain exactly one SOA record.",
}
# Source: Elastic Load Balancing API reference, LoadBalancerAttribute.
NETWORK_ATTRIBUTES = {
    "dns_record.client_routing_policy": "any_availability_zone",
    "zonal_shift.config.enabled": "false",
}
TARGET_SECONDS = "OPSTRACE_LOCAL_TARGET_SECONDS"  # how long a target takes until it is healthy; on AWS 3 to 5 minutes


@functools.cache
def correct() -> None:
    """Patch moto in this process so that it answers as AWS does; a second call changes nothing."""
    _replace(ELBv2Backend, "create_load_balancer", _once(_as_its_type(ELBv2Backend.create_load_balancer)))
    ELBV2Response.RESPONSE_KEY_PATH_TO_TRANSFORMER |= {
        f"{call}ListenerOutput.Listeners.Listener.Certificates": _default_certificate for call in ("Create", "Modify")
    } | {"DescribeListenersOutput.Listeners.Listener.Certificates": _default_certificate}
    _replace(ELBv2Backend, "create_listener", _once_a_port(ELBv2Backend.create_listener))
    _replace(ELBv2Backend, "modify_listener", _changing_tls(ELBv2Backend.modify_listener))
    _replace(ELBv2Backend, "add_listener_certificates", _add_once)
    _replace(ELBv2Backend, "delete_load_balancer", _keeping_protected(ELBv2Backend.delete_load_balancer))
    _replace(ELBv2Backend, "describe_target_health", _taking_time(ELBv2Backend.describe_target_health))
    listed = by_key_type(AWSCertificateManagerBackend.list_certificates)
    _replace(AWSCertificateManagerBackend, "list_certificates", listed)
    for name in ("create_role", "put_role_permissions_boundary"):
        _replace(IAMBackend, name, _knowing_its_policies(getattr(IAMBackend, name)))
    stage = SecretsManagerBackend.update_secret_version_stage
    _replace(SecretsManagerBackend, "update_secret_version_stage", _moving_current(stage))
    for name in ("put_secret_value", "update_secret"):
        _replace(SecretsManagerBackend, name, storing(getattr(SecretsManagerBackend, name)))
    _replace(SecretsManagerBackend, "get_secret_value", reading(SecretsManagerBackend.get_secret_value))
    for name in ("disable_key", "enable_key", "schedule_key_deletion", "cancel_key_deletion"):
        _replace(KmsBackend, name, by_any_id(getattr(KmsBackend, name)))
    _replace(S3Backend, "get_bucket_encryption", with_default_encryption(S3Backend.get_bucket_encryption))
    for name in ("attach_load_balancer_target_groups", "detach_load_balancer_target_groups"):
        _replace(AutoScalingBackend, name, knowing_its_groups(getattr(AutoScalingBackend, name)))
    change = Route53Backend.change_resource_record_sets
    _replace(Route53Backend, "change_resource_record_sets", _keeping_authority(change))
    _replace(HostedZoneIdentifier, "generate", _beginning_with_z(HostedZoneIdentifier.generate))
    _replace(BaseResponse, "_dispatch", _knowing_its_calls(BaseResponse._dispatch))
    for name in ("bucket_response", "key_response"):
        _replace(S3Response, name, _knowing_its_resources(getattr(S3Response, name)))


def _replace(owner: type, method: str, by: Any) -> None:
    setattr(owner, method, by)


def _once(create: Any) -> Any:
    """Make no second load balancer where a request is repeated, as after an answer that was lost.

    Source: Elastic Load Balancing API reference, CreateLoadBalancer.
    """

    def create_load_balancer(backend: Any, **options: Any) -> Any:
        made = next((one for one in backend.load_balancers.values() if one.name == options["name"]), None)
        if made and (made.type, made.scheme) == (options["loadbalancer_type"], options["scheme"]):
            return made
        if made:
            raise DuplicateLoadBalancerName
        return create(backend, **options)

    return create_load_balancer


def _as_its_type(create: Any) -> Any:
    """Give network load balancers the ARN and the attributes that AWS gives them; moto gives those of application ones."""

    def create_load_balancer(backend: Any, **options: Any) -> Any:
        balancer = create(backend, **options)
        if balancer.type == "network":
            balancer.attrs = NETWORK_ATTRIBUTES | balancer.attrs
            _rename(backend, balancer, balancer.arn.replace(":loadbalancer/app/", ":loadbalancer/net/"))
        return balancer

    return create_load_balancer


def _rename(backend: ELBv2Backend, balancer: FakeLoadBalancer, arn: str) -> None:
    """Give a new load balancer another ARN."""
    tagging, former = backend.tagging_service, balancer.arn
    tagging.tag_resource(arn, tagging.list_tags_for_resource(former)["Tags"])
    tagging.delete_all_tags_for_resource(former)
    backend.load_balancers[arn] = backend.load_balancers.pop(former)
    balancer.arn = arn


def _default_certificate(arns: list[str]) -> list[dict[str, str]] | None:
    """Return a listener's certificates as answers about listeners do: the default one; moto returns all.

    Source: Elastic Load Balancing API reference, Listener. DescribeListenerCertificates returns all.
    """
    return [{"CertificateArn": arn} for arn in arns[:1]] or None


def _once_a_port(create: Any) -> Any:
    """Allow one listener for each port of a load balancer; moto creates another one at each call.

    Source: Elastic Load Balancing API reference, CreateListener. A repeated call with the same settings, by a client whose
    answer was lost, succeeds without creating another listener.
    """

    def create_listener(backend: Any, **arguments: Any) -> Any:
        balancer = backend.load_balancers.get(arguments["load_balancer_arn"])
        requested = (
            arguments["protocol"],
            arguments["ssl_policy"],
            arguments["certificate"],
            _targets(map(FakeAction, arguments["actions"])),
        )
        for listener in balancer.listeners.values() if balancer else ():
            if listener.port == arguments["port"]:
                existing = (
                    listener.protocol,
                    listener.ssl_policy,
                    listener.certificate,
                    _targets(listener.default_actions),
                )
                if existing != requested:
                    raise DuplicateListenerError
                return listener
        return create(backend, **arguments)

    return create_listener


def _targets(actions: Iterable[Any]) -> list[tuple[str, str | None]]:
    return [(action.type, action.data.get("TargetGroupArn")) for action in actions]


def _changing_tls(change: Any) -> Any:
    """Allow changes of a TLS listener; moto creates such listeners, but refuses to change them.

    Another default certificate leaves the certificates of further names unchanged.
    """

    def modify_listener(backend: Any, arn: str, port: Any, protocol: Any, *arguments: Any) -> Any:
        if protocol != "TLS":
            return change(backend, arn, port, protocol, *arguments)
        policy, certificates, actions = arguments
        listener = change(backend, arn, port, None, policy, [], actions)
        listener.protocol = protocol
        for entry in certificates:
            listener.certificates = [entry["CertificateArn"], *listener.certificates[1:]]
            listener.certificate = entry["CertificateArn"]
        return listener

    return modify_listener


def _add_once(backend: Any, arn: str, certificates: list[dict[str, Any]]) -> list[str]:
    """Add certificates to a listener up to the account's quota; ignore those that it already has.

    A client whose answer was lost repeats the call. The quota is 25; AWS raises it on request, which moto cannot do.
    Sources: Elastic Load Balancing API reference, AddListenerCertificates; 'Quotas for your Network Load Balancers'.
    """
    certificate_arns: list[str] = backend.describe_listeners(None, [arn])[0].certificates
    new = [
        *dict.fromkeys(
            entry["CertificateArn"] for entry in certificates if entry["CertificateArn"] not in certificate_arns
        )
    ]
    if len(certificate_arns) + len(new) > int(os.environ.get(CERTIFICATES, DEFAULT_CERTIFICATES)):
        raise TooManyCertificatesError()
    certificate_arns.extend(new)
    return certificate_arns


def _keeping_protected(delete: Any) -> Any:
    """Refuse to delete a load balancer with deletion protection; moto deletes it.

    Source: Elastic Load Balancing API reference, DeleteLoadBalancer.
    """

    def delete_load_balancer(backend: ELBv2Backend, arn: str) -> None:
        balancer = backend.load_balancers.get(arn)
        if balancer and balancer.attrs.get("deletion_protection.enabled") == "true":
            message = f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled"
            raise ELBClientError("OperationNotPermitted", message)
        delete(backend, arn)

    return delete_load_balancer


def _taking_time(describe: Any) -> Any:
    """Let targets become healthy later: once a listener uses their group, and after the seconds in `TARGET_SECONDS`.

    The seconds count from the first time that the target's health is described; the load balancer does that at once.
    Source: Elastic Load Balancing API reference, TargetHealth.
    """
    used_since: dict[tuple[str, str], float] = {}

    def describe_target_health(backend: Any, target_group_arn: str, targets: Any) -> list[FakeHealthStatus]:
        statuses: list[FakeHealthStatus] = describe(backend, target_group_arn, targets)
        registered = backend.target_groups[target_group_arn].targets
        for key in [key for key in used_since if key[0] == target_group_arn and key[1] not in registered]:
            del used_since[key]
        listeners = [one for balancer in backend.load_balancers.values() for one in balancer.listeners.values()]
        used = any(arn == target_group_arn for one in listeners for _, arn in _targets(one.default_actions))
        for status in statuses:
            if status.status != "healthy":
                continue
            if not used:
                _set_state(status, "unused", "Target.NotInUse", "Target group is not configured to receive traffic")
                continue
            since = used_since.setdefault((target_group_arn, status.instance_id), time.monotonic())
            if time.monotonic() - since < float(os.environ.get(TARGET_SECONDS, "0")):
                _set_state(status, "initial", "Elb.RegistrationInProgress", "Target registration is in progress")
        return statuses

    return describe_target_health


def _set_state(status: FakeHealthStatus, state: str, reason: str, description: str) -> None:
    status.status, status.reason, status.description = state, reason, description


def _knowing_its_policies(call: Any) -> Any:
    """Refuse a permissions boundary of a role that does not exist."""

    def bounded(backend: IAMBackend, *arguments: Any, **named: Any) -> Any:
        given = inspect.signature(call).bind(backend, *arguments, **named).arguments
        require_policy(backend, given["permissions_boundary"])
        return call(backend, *arguments, **named)

    return bounded


def _moving_current(move: Any) -> Any:
    """Return the version to which AWSCURRENT was moved; moto keeps returning the former version."""

    def update_secret_version_stage(
        backend: Any, secret_id: str, version_stage: str, remove_from_version_id: str, move_to_version_id: str
    ) -> Any:
        answer = move(backend, secret_id, version_stage, remove_from_version_id, move_to_version_id)
        if version_stage == "AWSCURRENT":
            backend.secrets[secret_id].set_default_version_id(move_to_version_id)
        return answer

    return update_secret_version_stage


def _keeping_authority(change: Any) -> Any:
    """Refuse to delete the records of a zone about itself; moto deletes them.

    Source: Route 53 developer guide, 'NS and SOA records that Amazon Route 53 creates for a public hosted zone'.
    """

    def change_resource_record_sets(backend: Any, zoneid: str, change_list: list[dict[str, Any]]) -> None:
        zone = backend.get_hosted_zone(zoneid).name.rstrip(".")
        own = [entry for entry in change_list if entry["ResourceRecordSet"]["Name"].rstrip(".") == zone]
        for kind, needed in AUTHORITY.items():
            actions = {entry["Action"] for entry in own if entry["ResourceRecordSet"]["Type"] == kind}
            if actions == {"DELETE"}:
                raise Route53ClientError("InvalidChangeBatch", f"[{needed}]")
        change(backend, zoneid, change_list)

    return change_resource_record_sets


def _beginning_with_z(generate: Any) -> Any:
    """Return ids of hosted zones that begin with Z; moto's begin with any letter or digit.

    Source: Route 53 API reference, HostedZone; `aws.parentZoneId` of a stack accepts no other id.
    """

    def generated(identifier: HostedZoneIdentifier, *arguments: Any, **options: Any) -> str:
        return f"Z{generate(identifier, *arguments, **options)[1:]}"

    return generated


def _knowing_its_calls(call: Any) -> Any:
    """Refuse operations that a service does not have; moto answers with a traceback."""

    def dispatch(response: BaseResponse, request: Any, *rest: Any) -> Any:
        try:
            return call(response, request, *rest)
        except (NotImplementedError, OperationNotFoundError) as error:
            raise RefusedError(NO_SUCH_CALL, normalize_request(request), response.service_name) from error

    return dispatch


def _knowing_its_resources(answer: Any) -> Any:
    """Refuse methods and access points that S3 does not have; moto answers with a traceback."""

    def respond(response: S3Response, request: Any, *rest: Any) -> Any:
        try:
            return answer(response, request, *rest)
        except NotImplementedError as error:
            raise RefusedError(NO_SUCH_METHOD, normalize_request(request), "s3") from error
        except AccessPointNotFound as error:
            raise RefusedError(NO_ACCESS_POINT, normalize_request(request), "s3") from error

    return respond
