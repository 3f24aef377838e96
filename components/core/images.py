"""The container images of the pods, and their digests. The embedded cloud builds images of the same versions."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

CORTEX_IMAGE = "quay.io/cortexproject/cortex:v1.21.1"
LOKI_IMAGE = "docker.io/grafana/loki:3.7.8"
ENVOY_IMAGE = "docker.io/envoyproxy/envoy:v1.40.0"
COLLECTOR_IMAGE = "docker.io/otel/opentelemetry-collector-k8s:0.149.0"
IMAGES = (CORTEX_IMAGE, LOKI_IMAGE, ENVOY_IMAGE, COLLECTOR_IMAGE)
PROGRAMS = {"cortex": CORTEX_IMAGE, "loki": LOKI_IMAGE, "envoy": ENVOY_IMAGE, "collector": COLLECTOR_IMAGE}
UPSTREAM_REGISTRIES = tuple(sorted({image.split("/")[0] for image in IMAGES}))

DIGESTS_FILE = Path(__file__).parent / "image_digests.json"  # written by localcloud/toolchain/pin.py
DIGESTS: dict[str, str] = json.loads(DIGESTS_FILE.read_text())


@dataclass(frozen=True, kw_only=True)
class ImageSource:
    """Where the nodes get the images from; by default from the registries that publish them.

    Attributes:
        registry: The prefix in place of every image's registry; None for the image's own.
        registries: Prefixes by upstream registry, which precede `registry`.
        digests: Digests by image, which precede the pinned ones.
        pull_secrets: The names of the Secrets with credentials for the registries.
    """

    registry: str | None = None
    registries: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    pull_secrets: tuple[str, ...] = ()

    def pinned(self, image: str, domain: str) -> str:
        """Return the image reference for the pods of the instance at `domain`, with a digest, if there is one.

        Below `localhost`, which RFC 6761 reserves for this machine, no digest is pinned: images are built from local
        files.
        """
        pinned = None if domain.endswith(".localhost") else DIGESTS.get(image)
        digest = self.digests.get(image, pinned)
        upstream, path = image.split("/", 1)
        prefix = self.registries.get(upstream, self.registry or upstream)
        return f"{prefix}/{path}@{digest}" if digest else f"{prefix}/{path}"

    def without_digest(self) -> list[str]:
        """Return the images without a digest, be it pinned or of this source."""
        return [image for image in IMAGES if image not in DIGESTS and image not in self.digests]


PUBLIC = ImageSource()


def tag_of(image: str) -> str:
    """Return the tag of one of the images."""
    return image.rsplit(":", 1)[1]
