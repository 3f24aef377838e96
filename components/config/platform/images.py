"""The settings of the container images: where they come from, which digests, and with which pull secrets."""

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from components.config.base import Section, value_without_problems, without_duplicates
from components.config.platform.pods import ObjectName
from components.core.images import PROGRAMS, UPSTREAM_REGISTRIES, ImageSource, tag_of

# A registry as image references name it: with a dot or a port, then a path in lower case (distribution/reference).
REGISTRY_PREFIX_PATTERN = (
    r"^([a-z0-9-]+(\.[a-z0-9-]+)+(:[0-9]{1,5})?|[a-z0-9-]+:[0-9]{1,5})"
    r"(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$"
)
DIGEST_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}@sha256:[0-9a-f]{64}$"

RegistryPrefix = Annotated[str, Field(pattern=REGISTRY_PREFIX_PATTERN)]
Digest = Annotated[str, Field(pattern=DIGEST_PATTERN)]


class ImageDigests(Section):
    """Digests of images, each as TAG@sha256:DIGEST. The tag must be the one that this version of Opstrace runs."""

    cortex: Annotated[
        Digest | None, Field(description="Of Cortex, for metrics and the Alertmanager. A change restarts the pods.")
    ] = None
    loki: Annotated[Digest | None, Field(description="Of Loki, for logs. A change restarts the pods.")] = None
    envoy: Annotated[
        Digest | None, Field(description="Of Envoy, the gateway. A change replaces its pods one by one.")
    ] = None

    collector: Annotated[
        Digest | None,
        Field(description="Of the OpenTelemetry Collector. A change replaces the collectors node by node."),
    ] = None

    @field_validator("cortex", "loki", "envoy", "collector")
    @classmethod
    def _of_the_tag(cls, digest: str | None, info: ValidationInfo) -> str | None:
        image = PROGRAMS[str(info.field_name)]
        if digest and digest.split("@")[0] != tag_of(image):  # the digest would win, and run another version
            raise ValueError(
                f"is a digest of {digest.split('@')[0]}, but this version of Opstrace runs {image}; write "
                f"{tag_of(image)}@ and that image's digest, or remove the line"
            )
        return digest


class ImagesConfig(Section):
    """Where the images of all pods come from. A change of a registry or a digest restarts the pods one by one."""

    registry: Annotated[
        RegistryPrefix | None,
        Field(
            description="Prefix in place of the registry of every image: `registry.example.com/mirror` gives "
            "`registry.example.com/mirror/grafana/loki`. Default: the images' own registries."
        ),
    ] = None
    registries: Annotated[
        dict[str, RegistryPrefix],
        Field(
            description=f"Prefixes by upstream registry ({', '.join(UPSTREAM_REGISTRIES)}), as pull-through caches of ECR need: "
            "`quay.io: 111122223333.dkr.ecr.us-west-2.amazonaws.com/quay`. They precede `registry`. Default: none."
        ),
    ] = {}
    digests: Annotated[
        ImageDigests,
        Field(
            description="Digests of the images, such as those of a mirror that builds its own. Default: those of this version "
            "of Opstrace, as far as they are pinned."
        ),
    ] = ImageDigests()
    pull_secrets: Annotated[
        list[ObjectName],
        Field(
            description="Names of image pull Secrets. They must exist in the namespaces `opstrace` and `opstrace-collectors`, and in each "
            "tenant's; "
            "Opstrace does not create them. A change restarts the pods. Default: none."
        ),
    ] = []

    @field_validator("registries")
    @classmethod
    def _upstream(cls, registries: dict[str, str]) -> dict[str, str]:
        choices = ", ".join(UPSTREAM_REGISTRIES)
        unknown = [
            f"no image is from {name!r}; choose from {choices}"
            for name in registries
            if name not in UPSTREAM_REGISTRIES
        ]
        return value_without_problems(unknown, registries)

    @field_validator("pull_secrets")
    @classmethod
    def _distinct(cls, names: list[str]) -> list[str]:
        return without_duplicates(names)

    @property
    def source(self) -> ImageSource:
        """Where the images come from."""
        digests = self.digests.model_dump(exclude_none=True)
        return ImageSource(
            registry=self.registry,
            registries=self.registries,
            digests={PROGRAMS[name]: digest.split("@")[1] for name, digest in digests.items()},
            pull_secrets=tuple(self.pull_secrets),
        )
