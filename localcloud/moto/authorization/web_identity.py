"""Sessions by web identity: the embedded STS verifies the token and the role's trust policy, as AWS's does.

Source: 'AssumeRoleWithWebIdentity' (STS API reference).
"""

import json
import secrets
import threading
from collections.abc import Sequence
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.utils import utcnow
from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends
from moto.sts.models import AssumedRole, STSBackend, sts_backends
from moto.sts.responses import TokenResponse

from localcloud.moto.authorization.refusals import DENIED, CodedError, RefusedError
from localcloud.settings import Settings

ACTION = "sts:AssumeRoleWithWebIdentity"
ALGORITHMS = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"]  # EKS uses the first
PARTITION = "aws"
MIN_SECONDS = 900  # of a session
SECRET_BYTES, TOKEN_BYTES = 30, 96


def issuer_keys(settings: Settings) -> list[jwt.PyJWK]:
    """Return the public keys of the cluster's service account tokens."""
    if settings.user_cluster:
        return [jwt.PyJWK.from_dict(key) for key in settings.user_cluster.issuer_keys]
    if not settings.service_account_key.exists():
        return []
    private = serialization.load_pem_private_key(settings.service_account_key.read_bytes(), None)
    jwk = jwt.algorithms.RSAAlgorithm.to_jwk(private.public_key())  # type: ignore[arg-type]  # the key of service accounts is an RSA key
    return [jwt.PyJWK.from_json(jwk)]


def session_of(access_key: str) -> AssumedRole | None:
    """Return the session with this access key, also an expired one; None for an unknown key."""
    return sts_backends[DEFAULT_ACCOUNT_ID][PARTITION].get_assumed_role_from_access_key(access_key)


def has_ended(session: AssumedRole) -> bool:
    """Tell whether a session has expired."""
    return bool(session.expiration <= utcnow())


def make_session(make: Any) -> Any:
    """Wrap `STSBackend.assume_role`: draw secrets from the system's random source, and remove expired sessions.

    moto draws the secrets from a generator whose later numbers can be predicted from earlier ones.
    """
    lock = threading.Lock()  # calls run in several threads, and each replaces the list of sessions

    def assume_role(backend: STSBackend, **arguments: Any) -> AssumedRole:
        with lock:
            sts = sts_backends[DEFAULT_ACCOUNT_ID][PARTITION]
            sts.assumed_roles = [session for session in sts.assumed_roles if not has_ended(session)]
            session: AssumedRole = make(backend, **arguments)
            session.secret_access_key = session.access_key.secret_access_key = secrets.token_urlsafe(SECRET_BYTES)
            session.session_token = secrets.token_urlsafe(TOKEN_BYTES)
        return session

    return assume_role


class WebIdentity:
    """Verifies the tokens of one issuer by its keys."""

    def __init__(self, issuer: str, keys: Sequence[jwt.PyJWK]) -> None:
        self._issuer, self._keys = issuer, keys

    def wrap(self, make: Any) -> Any:
        """Wrap `TokenResponse.assume_role_with_web_identity` so that it verifies the token first."""

        def assume_role_with_web_identity(response: TokenResponse) -> Any:
            self._require(response)
            return make(response)

        return assume_role_with_web_identity

    def _require(self, response: TokenResponse) -> None:
        """Raise AWS's error unless the token and the trust policy permit the role for the requested time."""
        claims = self._claims(str(response._get_param("WebIdentityToken", "")))
        arn = str(response._get_param("RoleArn", ""))
        iam = iam_backends[DEFAULT_ACCOUNT_ID][PARTITION]
        host = self._issuer.removeprefix("https://")
        providers = {key: provider for key, provider in iam.open_id_providers.items() if provider.url == host}
        claimed = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        audiences = [text for text in claimed for provider in providers.values() if text in provider.client_id_list]
        if not audiences:
            raise CodedError("InvalidIdentityToken", "Incorrect token audience, or no OpenID Connect provider")
        try:
            role = iam.get_role_by_arn(arn)
        except NotFoundException as error:
            raise RefusedError(DENIED, response.normalized_request, "sts") from error
        values = {f"{host}:aud": audiences[0], f"{host}:sub": str(claims["sub"])}
        trust = IAMPolicy(_text(role.assume_role_policy_document))
        results = [trust.is_action_permitted(ACTION, arn, provider, values) for provider in providers]
        if PermissionResult.PERMITTED not in results or PermissionResult.DENIED in results:
            raise RefusedError(DENIED, response.normalized_request, "sts")
        _require_session(response, role)

    def _claims(self, token: str) -> dict[str, Any]:
        options = {
            "require": ["exp", "iat", "iss", "aud", "sub"],
            "verify_aud": False,
        }  # checked by the provider's list
        for key in self._keys:
            try:
                return dict(jwt.decode(token, key, ALGORITHMS, issuer=self._issuer, options=options))  # type: ignore[arg-type]  # PyJWT types the options as a TypedDict
            except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError):
                continue
            except jwt.ExpiredSignatureError as error:
                raise CodedError("ExpiredTokenException", f"Token expired: {error}") from error
            except jwt.InvalidTokenError as error:
                raise CodedError("InvalidIdentityToken", f"The token is invalid: {error}") from error
        raise CodedError("InvalidIdentityToken", "No key of the issuer verifies the token's signature")


def _require_session(response: TokenResponse, role: Any) -> None:
    seconds = int(response._get_param("DurationSeconds", 3600))
    maximum = int(role.max_session_duration or 3600)
    if not MIN_SECONDS <= seconds <= maximum:
        text = f"DurationSeconds is {seconds}, but must be from {MIN_SECONDS} to the role's maximum of {maximum}"
        raise CodedError("ValidationError", text)
    if response._get_param("Policy") or response._get_param("PolicyArns"):
        raise CodedError("ValidationError", "Session policies are not implemented in the embedded AWS")


def _text(document: Any) -> str:
    return document if isinstance(document, str) else json.dumps(document)
