"""Verification of the signatures (version 4) of requests to the embedded AWS, by botocore's own calculation.

Sources: 'AWS Signature Version 4 for API requests' (IAM user guide). For chunks and URLs, the Amazon S3 API reference:
'Signature calculations for the Authorization header: transferring a payload in multiple chunks' and '… by using query
parameters'.
"""

import datetime
import hmac
import io
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.core.request import Request

from localcloud.moto.authorization.refusals import (
    BAD_TOKEN,
    EXPIRED,
    MALFORMED,
    MISMATCH,
    MISSING,
    NOT_SIGNED,
    OTHER_BODY,
    SKEWED,
    RefusedError,
)

ALGORITHM = "AWS4-HMAC-SHA256"
TIME = "%Y%m%dT%H%M%SZ"
MAX_SKEW = datetime.timedelta(minutes=15)
MAX_SECONDS = 7 * 24 * 3600  # for which a URL can be signed
CREDENTIAL = r"(?P<key>\w+)/(?P<day>\d{8})/(?P<region>[a-z0-9-]+)/(?P<service>[a-z0-9-]+)/aws4_request"
HEADER = re.compile(
    rf"{ALGORITHM} Credential={CREDENTIAL}, ?SignedHeaders=(?P<headers>[a-z0-9_.;-]+), ?Signature=(?P<signature>[0-9a-f]{{64}})",
    re.ASCII,
)
UNSIGNED = ("UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
IN_CHUNKS = ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER")
NOTHING = sha256(b"").hexdigest()
OF_AWS = "x-amz-"  # headers that change the effect of a request: the signature must cover them
COVERED = "x-amz-content-sha256"  # signed as the payload's digest, even where it is not among the signed headers


@dataclass(frozen=True)
class Signature:
    """A request's signature. `seconds` is how long it is valid, for one that is part of the URL."""

    key: str
    day: str
    region: str
    service: str
    headers: tuple[str, ...]
    value: str
    time: str
    token: str
    seconds: int | None = None

    @classmethod
    def of(cls, request: Request) -> "Signature":
        """Return the signature of a request; raises `RefusedError` where it has no signature of version 4."""
        header = request.headers.get("Authorization")
        if header is not None:
            match = HEADER.fullmatch(header)
            fields: Any = request.headers
        elif request.args.get("X-Amz-Algorithm") == ALGORITHM:
            names = ("Credential", "SignedHeaders", "Signature")
            written = ", ".join(f"{name}={request.args.get(f'X-Amz-{name}', '')}" for name in names)
            match = HEADER.fullmatch(f"{ALGORITHM} {written}")
            fields = request.args
        else:
            raise RefusedError(MISSING, request)
        expires = fields.get("X-Amz-Expires", "") if header is None else None
        if not match or (
            header is None and (match["service"] != "s3" or not re.fullmatch(r"[0-9]{1,6}", expires or ""))
        ):
            raise RefusedError(MALFORMED, request)
        return cls(
            *(match["key"], match["day"], match["region"], match["service"], tuple(match["headers"].split(";"))),
            *(match["signature"], fields.get("X-Amz-Date", ""), fields.get("X-Amz-Security-Token", "")),
            None if expires is None else int(expires),
        )

    @property
    def header(self) -> str:
        """The signature in the form of the header `Authorization`."""
        scope = f"{self.key}/{self.day}/{self.region}/{self.service}/aws4_request"
        return f"{ALGORITHM} Credential={scope}, SignedHeaders={';'.join(self.headers)}, Signature={self.value}"


class Verifier:
    """Verifies the signature of one request by the secret of its access key."""

    def __init__(self, request: Request, signature: Signature, secret: str) -> None:
        self._request, self._signature = request, signature
        kind = S3SigV4Auth if signature.service == "s3" else SigV4Auth
        self._auth = kind(Credentials(signature.key, secret), signature.service, signature.region)
        self._payload = request.headers.get("X-Amz-Content-Sha256") or (
            UNSIGNED[0] if signature.seconds is not None else None
        )

    @property
    def needs_body(self) -> bool:
        """Whether the signature can only be checked with the body, because no header has the body's digest."""
        return self._payload is None

    def check(self, body: bytes = b"") -> None:
        """Raise `RefusedError` unless time and signature are right; uses the body only to calculate its digest."""
        self._check_time()
        request, signed = self._request, self._signature
        digest = self._payload or sha256(body).hexdigest()
        names = {name.lower(): value for name, value in request.headers.items() if name.lower() in signed.headers}
        pairs = parse_qsl(request.query_string.decode("ascii", "replace"), keep_blank_values=True)
        if signed.seconds is not None:
            pairs = [(name, value) for name, value in pairs if name != "X-Amz-Signature"]
        unsigned = AWSRequest(request.method, f"http://{request.host}{request.raw_path}", names, params=pairs)
        unsigned.context["timestamp"] = signed.time
        self._auth.payload = lambda _: digest
        text = self._auth.string_to_sign(unsigned, self._auth.canonical_request(unsigned))
        expected = self._auth.signature(text, unsigned)
        signed_names = self._auth.signed_headers(self._auth.headers_to_sign(unsigned))
        if signed_names != ";".join(signed.headers) or not hmac.compare_digest(expected, signed.value):
            raise RefusedError(MISMATCH, request, signed.service)
        headers = {name.lower() for name, _ in request.headers}
        if any(name.startswith(OF_AWS) for name in headers - {*signed.headers, COVERED}):
            raise RefusedError(NOT_SIGNED, request, signed.service)

    def _check_time(self) -> None:
        request, signed = self._request, self._signature
        try:
            began = datetime.datetime.strptime(signed.time, TIME).replace(tzinfo=datetime.UTC)
        except ValueError as error:
            raise RefusedError(MALFORMED, request, signed.service) from error
        if signed.time[:8] != signed.day or "host" not in signed.headers:
            raise RefusedError(MALFORMED, request, signed.service)
        late = datetime.datetime.now(datetime.UTC) - began
        if signed.seconds is not None:
            if signed.seconds > MAX_SECONDS or late > datetime.timedelta(seconds=signed.seconds):
                raise RefusedError(EXPIRED, request, signed.service)
            late = min(late, datetime.timedelta(0))
        if abs(late) > MAX_SKEW:
            raise RefusedError(SKEWED, request, signed.service)

    def check_body(self, body: bytes) -> None:
        """Raise `RefusedError` unless the body is the one that was signed; the signature itself has been checked."""
        service = self._signature.service
        if self._payload in IN_CHUNKS and service == "s3":
            self._check_chunks(body)
            return
        if self._payload is None or (self._payload in UNSIGNED and service == "s3"):
            return
        if self._payload != sha256(body).hexdigest():
            raise RefusedError(OTHER_BODY, self._request, service)

    def _check_chunks(self, body: bytes) -> None:
        """Check the signature of each chunk; ignore the checksum after the last one."""
        signed, stream, before = self._signature, io.BytesIO(body), self._signature.value
        dated = AWSRequest("PUT", "http://s3/")
        dated.context["timestamp"] = signed.time
        scope = f"{signed.day}/{signed.region}/s3/aws4_request"
        size = 1
        while size:
            line = re.fullmatch(
                rb"([0-9a-f]{1,8});chunk-signature=([0-9a-f]{64})\r\n", stream.readline(), re.IGNORECASE
            )
            if not line:
                raise RefusedError(OTHER_BODY, self._request, "s3")
            size = int(line[1], 16)
            chunk = sha256(stream.read(size)).hexdigest()
            text = "\n".join((f"{ALGORITHM}-PAYLOAD", signed.time, scope, before, NOTHING, chunk))
            before = self._auth.signature(text, dated)
            if not hmac.compare_digest(before.encode(), line[2]) or (size and stream.read(2) != b"\r\n"):
                raise RefusedError(MISMATCH, self._request, "s3")


def check_token(request: Request, signature: Signature, token: str) -> None:
    """Raise `RefusedError` unless the request has the token of its access key's session."""
    if not hmac.compare_digest(signature.token.encode(), token.encode()):
        raise RefusedError(BAD_TOKEN, request, signature.service)
