"""The digest of an image's tag in its registry, by the OCI distribution API."""

import hashlib
import re
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlencode, urljoin
from urllib.request import parse_http_list, parse_keqv_list

import requests

from localcloud.toolchain.sources import UnavailableError

TIMEOUT_SECONDS = 30
MANIFEST_BYTES = 4 << 20  # the distribution specification's limit for a manifest
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# The index of all platforms comes first: nodes may have another processor than the machine that pins.
MANIFEST_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
HUB = "registry-1.docker.io"  # has the API for images whose names begin with docker.io/


@dataclass(frozen=True)
class Reference:
    """An image by its tag. `scheme` is `http` only for a registry on loopback."""

    registry: str
    repository: str
    tag: str
    scheme: str = "https"

    @classmethod
    def parsed(cls, image: str) -> "Reference":
        """Return the parts of a full name such as `quay.io/cortexproject/cortex:v1`; raises `ValueError` for other names."""
        parts = re.fullmatch(r"([^/]+[.:][^/]+)/([a-z0-9._/-]+):([\w.-]+)", image)
        if not parts:
            raise ValueError(
                f"{image!r} is no full name of an image with a tag, such as quay.io/cortexproject/cortex:v1"
            )
        registry, repository, tag = parts.groups()
        on_loopback = registry.split(":")[0] in ("127.0.0.1", "localhost")
        return cls(HUB if registry == "docker.io" else registry, repository, tag, "http" if on_loopback else "https")

    @property
    def manifest(self) -> str:
        """Return the URL of the manifest."""
        return f"{self.scheme}://{self.registry}/v2/{self.repository}/manifests/{self.tag}"


def digest(image: str) -> str:
    """Return the digest of the index that the image's tag points to, or of the manifest of an image without an index.

    Raises `UnavailableError` where the registry cannot be reached, or does not answer with a digest.
    """
    reference = Reference.parsed(image)
    with requests.Session() as session:
        session.headers["Accept"] = ", ".join(MANIFEST_TYPES)
        try:
            answer = _authorized(session, "HEAD", reference)
            result = answer.headers.get("Docker-Content-Digest")
            if not result:  # the header is optional
                result = f"sha256:{hashlib.sha256(_body(_authorized(session, 'GET', reference))).hexdigest()}"
        except requests.RequestException as error:
            raise UnavailableError(f"{image}: {reference.registry} cannot be reached: {error}") from error
    if not DIGEST.fullmatch(result):
        raise UnavailableError(f"{image}: {reference.registry} answered with {result!r}, which is no SHA-256 digest")
    return result


def _body(answer: requests.Response) -> bytes:
    if len(answer.content) > MANIFEST_BYTES:
        raise UnavailableError(
            f"{answer.url} answered with {len(answer.content)} bytes, but a manifest has at most {MANIFEST_BYTES}"
        )
    return answer.content


def _authorized(session: requests.Session, method: str, reference: Reference) -> requests.Response:
    """Return the registry's answer, requested with a token where the registry requires one."""
    answer = session.request(method, reference.manifest, timeout=TIMEOUT_SECONDS)
    if answer.status_code == HTTPStatus.UNAUTHORIZED:
        session.headers["Authorization"] = f"Bearer {_token(session, answer, reference)}"
        answer = session.request(method, reference.manifest, timeout=TIMEOUT_SECONDS)
    if answer.status_code != HTTPStatus.OK:
        raise UnavailableError(f"{reference.manifest} answered {answer.status_code}")
    return answer


def _token(session: requests.Session, answer: requests.Response, reference: Reference) -> str:
    """Return an anonymous pull token from the service that the registry's challenge names."""
    kind, _, rest = answer.headers.get("WWW-Authenticate", "").partition(" ")
    challenge = parse_keqv_list(parse_http_list(rest)) if kind.lower() == "bearer" else {}
    realm = urljoin(reference.manifest, challenge.get("realm", ""))
    if "realm" not in challenge or not realm.startswith(f"{reference.scheme}://"):
        raise UnavailableError(
            f"{reference.manifest} requires credentials, but names no {reference.scheme} token service"
        )
    scope = challenge.get("scope", f"repository:{reference.repository}:pull")
    query = {"scope": scope} | {name: challenge[name] for name in ("service",) if name in challenge}
    granted = session.get(f"{realm}?{urlencode(query)}", timeout=TIMEOUT_SECONDS)
    if granted.status_code != HTTPStatus.OK:
        raise UnavailableError(f"{realm} answered {granted.status_code}")
    token = granted.json().get("token") or granted.json().get("access_token")
    if not isinstance(token, str):
        raise UnavailableError(f"{realm} answered without a token")
    return token
