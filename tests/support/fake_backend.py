"""The engine's backend in memory: stacks with their tenants, and what was done to each stack."""

from typing import Any

from components.core.errors import UserError
from components.core.names import SYSTEM
from components.core.resource_names import BUCKET_TYPE, TENANT_TYPE, build_urn, tenant_name


class FakeBackend:
    """Stacks by name, each with the resources of its state. Updates of the stacks in `failing` fail.

    `calls` has each operation with its stack, and `providers` the secrets provider of each stack that was created.
    """

    def __init__(self, instance: str, *tenants: str) -> None:
        self.states: dict[str, list[dict[str, Any]]] = {}
        self.failing: set[str] = set()
        self.calls: list[tuple[str, str]] = []
        self.providers: dict[str, str | None] = {}
        self.record(instance, SYSTEM, *tenants)

    def record(self, stack: str, *tenants: str, settings: dict[str, Any] | None = None) -> None:
        """Let the state of a stack have these tenants."""
        self.states[stack] = [
            {
                "type": TENANT_TYPE,
                "urn": build_urn(stack, TENANT_TYPE, tenant_name(tenant)),
                "outputs": {"settings": settings or {}},
            }
            for tenant in tenants
        ]

    def give_data(self, stack: str, tenant: str) -> None:
        """Give a tenant in the state of a stack a bucket, which an update without the tenant would purge."""
        name = f"{tenant_name(tenant)}-metrics-bucket"
        owner = build_urn(stack, TENANT_TYPE, tenant_name(tenant))
        bucket = {"type": BUCKET_TYPE, "urn": build_urn(stack, BUCKET_TYPE, name), "parent": owner, "id": name}
        self.states[stack].append(bucket)

    def of(self, operation: str) -> list[str]:
        """Return the stacks to which this was done, in order."""
        return [stack for done, stack in self.calls if done == operation]

    def engine(self, stack: str) -> "FakeEngine":
        """Return the engine on a stack."""
        return FakeEngine(self, stack)


class FakeEngine:
    """The engine on one stack of a backend in memory."""

    def __init__(self, backend: FakeBackend, stack: str) -> None:
        self._backend, self.instance = backend, stack

    def stacks(self) -> list[str]:
        return [*self._backend.states]

    def state(self) -> list[dict[str, Any]]:
        return self._backend.states.get(self.instance, [])

    def require_programs(self) -> None:
        self._backend.calls.append(("programs", self.instance))

    def create_stack(self, secrets_provider: str | None) -> None:
        assert self.instance not in self._backend.states
        self._backend.states[self.instance] = []
        self._backend.providers[self.instance] = secrets_provider

    def preview(self) -> None:
        self._backend.calls.append(("preview", self.instance))

    def up(self, *_: Any) -> None:
        assert self.instance in self._backend.states
        self.apply()

    def apply(self) -> None:
        self._backend.calls.append(("up", self.instance))
        if self.instance in self._backend.failing:
            raise UserError("`pulumi up` failed")
        if tenant := self.instance.partition(".")[2]:
            self._backend.record(self.instance, tenant)
