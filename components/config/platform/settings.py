"""The settings of a platform that all pods of an instance follow, those of tenants with stacks of their own too."""

from typing import Any

from components.config.base import Section
from components.config.platform.images import ImagesConfig
from components.config.platform.pods import PodsConfig
from components.shared.pod_settings import PodSettings


class PlatformSettings(Section):
    """What a platform wants of all pods."""

    images: ImagesConfig = ImagesConfig()
    pods: PodsConfig = PodsConfig()

    @property
    def pod_settings(self) -> PodSettings:
        """What the pods of tenants and of the probe of network policies get of it."""
        return self.pods.applied(PodSettings(images=self.images.source), self.pods.tenant_priority_class)

    @property
    def gateway_pod_settings(self) -> PodSettings:
        """What the gateway's pods get of it; without a priority class, they have the instance's own."""
        return self.pods.applied(PodSettings(images=self.images.source), self.pods.gateway_priority_class)

    def exported(self) -> dict[str, Any]:
        """Return the settings as an instance exports them: without those that are the defaults."""
        return self.model_dump(by_alias=True, exclude_defaults=True)


NO_PLATFORM = PlatformSettings()
