"""The refusals of the embedded AWS, with AWS's own codes, in each service's format."""

from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import UnknownServiceError
from botocore.model import OperationModel
from moto.core.errors import COMMON_ERROR_CODES
from moto.core.exceptions import ServiceException
from moto.core.request import Request, determine_request_protocol
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

MODELS = {"elasticloadbalancing": "elbv2"}  # name in signatures: name of botocore's model
ROUTE53_PATH = "/2013-04-01/"


@dataclass(frozen=True)
class Reason:
    """The reason of a refusal: its codes for S3, for services with JSON, and for other services.

    Sources: Amazon S3 API reference, 'List of error codes'; 'Common errors' of the APIs of IAM and of Secrets Manager.
    """

    s3: str
    json: str
    others: str
    text: str
    status: int = 403


MISSING = Reason(
    "AccessDenied",
    "MissingAuthenticationTokenException",
    "MissingAuthenticationToken",
    "The request has no signature of version 4.",
)
MALFORMED = Reason(
    "AuthorizationHeaderMalformed",
    "IncompleteSignatureException",
    "IncompleteSignature",
    "The request's signature does not have the format of version 4.",
)
UNKNOWN_KEY = Reason(
    "InvalidAccessKeyId",
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "The security token included in the request is invalid. The embedded cloud creates new credentials at each start: "
    'set them in your shell by `eval "$(./opstrace env local)"`.',
)
BAD_TOKEN = Reason(
    "InvalidToken",
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "The session token does not belong to the access key.",
)
EXPIRED = Reason("ExpiredToken", "ExpiredTokenException", "ExpiredToken", "The session or the signature has expired.")
SKEWED = Reason(
    "RequestTimeTooSkewed",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "The request's time and the server's differ by more than 15 minutes.",
)
MISMATCH = Reason(
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "The request signature we calculated does not match the signature you provided. Check your secret access key.",
)
NOT_SIGNED = Reason(
    "AccessDenied",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "There were headers present in the request which were not signed: each x-amz- header must be in SignedHeaders.",
)
OTHER_BODY = Reason(
    "XAmzContentSHA256Mismatch",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "The body differs from the one that was signed.",
    400,
)
DENIED = Reason(
    "AccessDenied", "AccessDeniedException", "AccessDenied", "The session's role does not permit this request."
)
UNUSABLE_KEY = Reason(
    "KMS.KMSInvalidStateException", "KMSInvalidStateException", "KMSInvalidState", "The key cannot be used.", 400
)
TOO_LARGE = Reason("EntityTooLarge", "RequestTooLarge", "RequestTooLarge", "The body is too large.", 413)
NO_SUCH_CALL = Reason(
    "MethodNotAllowed",
    "UnknownOperationException",
    "InvalidAction",
    "The embedded AWS has no such operation of this service.",
    400,
)
NO_SUCH_METHOD = Reason(
    "MethodNotAllowed",
    "UnknownOperationException",
    "InvalidAction",
    "The method is not allowed against this resource.",
    405,
)
NO_ACCESS_POINT = Reason(
    "NoSuchAccessPoint",
    "ResourceNotFoundException",
    "ResourceNotFound",
    "The specified access point does not exist.",
    404,
)
# moto warns of errors that are in no service's model, unless this list has them.
for _reason in [reason for reason in globals().values() if isinstance(reason, Reason)]:
    COMMON_ERROR_CODES.extend((_reason.json, _reason.others))


def not_authorized(caller: str, action: str, resource: str) -> Reason:
    """Return the refusal of an action that no policy of the caller permits, both named by their ARNs."""
    return replace(DENIED, text=f"User: {caller} is not authorized to perform: {action} on resource: {resource}")


class CodedError(ServiceException):
    """An error with a code of AWS. moto derives the service of an error from the module of its class."""


class RefusedError(HTTPException):
    """A refused request; werkzeug and moto answer with its status, headers and body."""

    def __init__(self, reason: Reason, request: Request, service: str | None = None) -> None:
        """Create a refusal. `service` is the name in the signature; without one it is derived from the request."""
        self.code = reason.status
        self._headers, self.description = _serialize(reason, request, service or _guess_service(request))
        super().__init__(self.description, Response(self.description, self.code, self._headers))

    def get_headers(self, *_: Any, **__: Any) -> list[tuple[str, str]]:
        """Return the answer's headers."""
        return [*self._headers.items()]


def _guess_service(request: Request) -> str:
    if "X-Amz-Target" in request.headers:
        return "secretsmanager"
    if request.path.startswith(ROUTE53_PATH):
        return "route53"
    is_query = "Action" in request.args or request.mimetype == "application/x-www-form-urlencoded"
    return "sts" if is_query else "s3"


def _serialize(reason: Reason, request: Request, service: str) -> tuple[dict[str, str], str]:
    try:
        model = get_service_model(MODELS.get(service, service))
        protocol = determine_request_protocol(model, request.content_type)
    except (UnknownServiceError, NotImplementedError):
        model = get_service_model("s3")
        protocol = determine_request_protocol(model)
    code = reason.s3 if model.service_name == "s3" else reason.json if "json" in protocol else reason.others
    if protocol == "ec2" and reason != NO_SUCH_CALL:
        code = "UnauthorizedOperation" if reason.others == DENIED.others else "AuthFailure"
    serializer = get_serializer_class(model.service_name, protocol)(operation_model=OperationModel({}, model))
    answer = serializer.serialize(CodedError(code, reason.text))
    return dict(answer["headers"]), "" if request.method == "HEAD" else str(answer["body"])
