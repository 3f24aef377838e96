"""Authentication of requests to the embedded AWS: only requests with a valid signature reach moto.

- The administrator's credentials permit everything, including moto's own control paths.
- An access key of an IAM user reaches the services of `localcloud.moto.authorization.requested`, as far as the user's
  policies permit.
- A role's session reaches S3 and STS, where `localcloud.moto.authorization.enforcement` checks the role's policies.
- `sts:AssumeRoleWithWebIdentity` needs no signature, as on AWS: its token is the proof.
"""

import io
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from moto.core.request import Request
from moto.utilities.utils import get_partition
from werkzeug.exceptions import HTTPException

from localcloud.moto.authorization.enforcement import (
    ADMINISTRATOR,
    CALLER,
    SESSION,
    UNSIGNED_ACTION,
    USER,
    WEB_IDENTITY,
)
from localcloud.moto.authorization.refusals import DENIED, EXPIRED, MALFORMED, TOO_LARGE, UNKNOWN_KEY, RefusedError
from localcloud.moto.authorization.requested import SERVICES
from localcloud.moto.authorization.signatures import Signature, Verifier, check_token
from localcloud.moto.authorization.users import key_of
from localcloud.moto.authorization.web_identity import PARTITION, has_ended, session_of

# Services in which policies are checked for every action, by the kind of caller.
PERMITTED = {SESSION: ("s3", "sts"), USER: ("s3", *SERVICES)}
CONTROL_PATHS = ("/moto-api", "/latest/", "/favicon.ico", "/v20180820/")  # moto's own, and those that no pod may use
LARGEST_CALL = 1 << 20  # bytes that are read before the signature is checked; S3's signatures do not need the body


@dataclass(frozen=True)
class Gate:
    """A WSGI application in front of moto's; `administrator` are the administrator's credentials."""

    application: Any
    administrator: Mapping[str, str]

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        """Answer a request by a refusal, or pass it on to moto."""
        request = Request(environ)
        try:
            environ[CALLER] = self._caller(request)
        except HTTPException as refusal:
            return refusal.get_response(environ)(environ, start)
        answer: Iterable[bytes] = self.application(environ, start)
        return answer

    def _caller(self, request: Request) -> str:
        """Return the kind of caller; raises `RefusedError`."""
        if not request.environ.get("RAW_URI", "").startswith("/"):
            raise RefusedError(MALFORMED, request)
        if _is_web_identity(request):
            return WEB_IDENTITY
        signature = Signature.of(request)
        caller, secret = self._identify(request, signature)
        verifier = Verifier(request, signature, secret)
        if verifier.needs_body:
            body = _read(request, LARGEST_CALL)
            verifier.check(body)
        else:
            verifier.check()
            body = _read(request)
            verifier.check_body(body)
        if caller != ADMINISTRATOR and not _is_permitted(request, signature, PERMITTED[caller]):
            raise RefusedError(DENIED, request, signature.service)
        if signature.seconds is not None:  # moto finds the service, and `session_of` the role, by the headers
            request.environ["HTTP_AUTHORIZATION"] = signature.header
            if signature.token:
                request.environ["HTTP_X_AMZ_SECURITY_TOKEN"] = signature.token
        return caller

    def _identify(self, request: Request, signature: Signature) -> tuple[str, str]:
        """Return the kind of caller with this access key, and the key's secret; raises `RefusedError`."""
        if get_partition(signature.region) != PARTITION:  # another partition has other credentials
            raise RefusedError(UNKNOWN_KEY, request, signature.service)
        if signature.key == self.administrator["aws_access_key_id"] and not signature.token:
            return ADMINISTRATOR, self.administrator["aws_secret_access_key"]
        if (key := key_of(signature.key)) and not signature.token:
            return USER, key.secret_access_key
        session = session_of(signature.key)
        if session is None:
            raise RefusedError(UNKNOWN_KEY, request, signature.service)
        check_token(request, signature, session.session_token)
        if has_ended(session):
            raise RefusedError(EXPIRED, request, signature.service)
        return SESSION, session.secret_access_key


def _is_permitted(request: Request, signature: Signature, services: Collection[str]) -> bool:
    is_control = request.path.startswith(CONTROL_PATHS) or "s3-control" in request.host
    return signature.service in services and not is_control


def _is_web_identity(request: Request) -> bool:
    """Tell whether a request is the one call that needs no signature, and no part of moto can read it as another call."""
    if request.method != "POST" or request.environ["RAW_URI"] != "/" or "X-Amz-Target" in request.headers:
        return False
    if "Authorization" in request.headers or request.mimetype != "application/x-www-form-urlencoded":
        return False
    fields = parse_qs(_read(request, LARGEST_CALL).decode("utf-8", "replace"), keep_blank_values=True)
    return fields.get("Action") == [UNSIGNED_ACTION] and all(len(values) == 1 for values in fields.values())


def _read(request: Request, at_most: int | None = None) -> bytes:
    """Return the body, which can be read again afterwards; raises `RefusedError` where it has more than `at_most` bytes."""
    environ = request.environ
    if at_most is not None:
        request.max_content_length = at_most
        if (request.content_length or 0) > at_most:
            raise RefusedError(TOO_LARGE, request)
    body: bytes = request.get_data(cache=True, parse_form_data=False)
    environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    return body
