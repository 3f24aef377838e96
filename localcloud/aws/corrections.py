"""Where moto answers otherwise than AWS, and a tenant or an administrator would notice."""

import copy
import json
import os
from collections.abc import Iterable
from typing import Any

from flask import request
from moto.elbv2.exceptions import DuplicateListenerError, TooManyCertificatesError
from moto.elbv2.models import ELBv2Backend, FakeAction
from moto.s3.models import FakeBucket
from moto.secretsmanager.models import SecretsManagerBackend

CERTIFICATES = "OPSTRACE_LOCAL_CERTIFICATES"  # the account's quota of certificates for a load balancer
DEFAULT_CERTIFICATES = 25


def correct() -> None:
    """Make this process's moto answer as AWS does."""
    _replace(FakeBucket, "get_permission", _heeding_secure_transport(FakeBucket.get_permission))
    _replace(ELBv2Backend, "create_listener", _once_a_port(ELBv2Backend.create_listener))
    _replace(ELBv2Backend, "modify_listener", _changing_tls(ELBv2Backend.modify_listener))
    _replace(ELBv2Backend, "add_listener_certificates", _add_once)
    stage = SecretsManagerBackend.update_secret_version_stage
    _replace(SecretsManagerBackend, "update_secret_version_stage", _moving_current(stage))


def _replace(owner: type, method: str, by: Any) -> None:
    setattr(owner, method, by)


def _is_met(statement: dict[str, Any]) -> bool:
    wanted = statement.get("Condition", {}).get("Bool", {}).get("aws:SecureTransport")
    return wanted is None or (wanted == "true") == request.is_secure


def _heeding_secure_transport(permission: Any) -> Any:
    """Let bucket policies tell TLS from plain HTTP; moto itself ignores conditions."""

    def get_permission(bucket: Any, action: str, resource: str) -> Any:
        if bucket.policy is None:
            return permission(bucket, action, resource)
        policy = json.loads(bucket.policy)
        policy["Statement"] = [statement for statement in policy["Statement"] if _is_met(statement)]
        heeding = copy.copy(bucket)
        heeding.policy = json.dumps(policy).encode()
        return permission(heeding, action, resource)

    return get_permission


def _once_a_port(create: Any) -> Any:
    """Let a load balancer have one listener a port; moto makes another each time that it is asked.

    Source: Elastic Load Balancing API reference, CreateListener: asked for one with the same settings again (by a client
    whose answer was lost), it succeeds, and makes none.
    """

    def create_listener(backend: Any, **asked: Any) -> Any:
        balancer = backend.load_balancers.get(asked["load_balancer_arn"])
        wanted = (
            asked["protocol"],
            asked["ssl_policy"],
            asked["certificate"],
            _targets(map(FakeAction, asked["actions"])),
        )
        for listener in balancer.listeners.values() if balancer else ():
            if listener.port == asked["port"]:
                there = (
                    listener.protocol,
                    listener.ssl_policy,
                    listener.certificate,
                    _targets(listener.default_actions),
                )
                if there != wanted:
                    raise DuplicateListenerError
                return listener
        return create(backend, **asked)

    return create_listener


def _targets(actions: Iterable[Any]) -> list[tuple[str, str | None]]:
    return [(action.type, action.data.get("TargetGroupArn")) for action in actions]


def _changing_tls(change: Any) -> Any:
    """Let a TLS listener be changed; moto makes such ones and refuses to change them.

    Another default certificate leaves those that were added for further names.
    """

    def modify_listener(
        backend: Any, arn: str, port: Any, protocol: Any, policy: Any, certificates: Any, actions: Any
    ) -> Any:
        if protocol != "TLS":
            return change(backend, arn, port, protocol, policy, certificates, actions)
        listener = change(backend, arn, port, None, policy, [], actions)
        listener.protocol = protocol
        for entry in certificates:
            listener.certificates = [entry["CertificateArn"], *listener.certificates[1:]]
            listener.certificate = entry["CertificateArn"]
        return listener

    return modify_listener


def _add_once(backend: Any, arn: str, certificates: list[dict[str, Any]]) -> list[str]:
    """Add certificates to a listener, those that it has already without a change, up to the account's quota.

    Sources: Elastic Load Balancing API reference, AddListenerCertificates (a client whose answer was lost asks again);
    'Quotas for your Network Load Balancers' (25, which AWS raises on request; in moto it cannot be raised).
    """
    known: list[str] = backend.describe_listeners(None, [arn])[0].certificates
    new = [*dict.fromkeys(entry["CertificateArn"] for entry in certificates if entry["CertificateArn"] not in known)]
    if len(known) + len(new) > int(os.environ.get(CERTIFICATES, DEFAULT_CERTIFICATES)):
        raise TooManyCertificatesError()
    known.extend(new)
    return known


def _moving_current(move: Any) -> Any:
    """Let a reader get the version that AWSCURRENT was moved to; moto keeps giving the other one."""

    def update_secret_version_stage(
        backend: Any, secret_id: str, version_stage: str, remove_from_version_id: str, move_to_version_id: str
    ) -> Any:
        answer = move(backend, secret_id, version_stage, remove_from_version_id, move_to_version_id)
        if version_stage == "AWSCURRENT":
            backend.secrets[secret_id].set_default_version_id(move_to_version_id)
        return answer

    return update_secret_version_stage
