"""The measurements of an attack, and their thresholds."""

from collections.abc import Callable
from dataclasses import dataclass, field

from components.gateway.settings import MEMORY_MIB
from tests.security.cost.cgroup import MIB

LEAST_P99 = 0.250
TIMES_BASELINE = 3
MOST_MEMORY = 0.9
BACK_SECONDS = 5.0
MOST_TRIALS = 4


class LateError(AssertionError):
    """The good client or the probes were slow during an attack; nothing else was wrong."""


def repeated_while_late(trial: Callable[[int], None]) -> None:
    """Run a trial, given its number, until the good client is not slow, four times at most.

    Other work on the machine only adds to a time. An attack that slows the good client does so in every trial.
    """
    for number in range(MOST_TRIALS - 1):
        try:
            trial(number)
        except LateError as error:
            print(f"\nonce more: {error}")
        else:
            return
    trial(MOST_TRIALS - 1)


@dataclass
class Result:
    """The result of one request of the good client; status 0 means no answer."""

    at: float
    seconds: float
    status: int


def quantile(results: list[Result], share: float) -> float:
    """Return the seconds within which this share of the requests ended."""
    ordered = sorted(one.seconds for one in results)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("inf")


@dataclass
class Figures:
    """The measurements of one attack."""

    name: str
    before: list[Result] = field(default_factory=list)
    during: list[Result] = field(default_factory=list)
    probed: list[Result] = field(default_factory=list)
    peak: int = 0
    sockets: int = 0  # the part of sockets' buffers
    kills: int = 0
    has_ended: bool = False  # Envoy has ended
    on_probe_port: bool = False  # probes may fail while their own port is attacked
    back_after: float = float("inf")
    least_mib: int = 0  # in use before the attack

    @property
    def success(self) -> float:
        return sum(one.status == 200 for one in self.during) / max(1, len(self.during))

    @property
    def ready(self) -> float:
        return sum(one.status == 200 for one in self.probed) / max(1, len(self.probed))

    @property
    def allowed_p99(self) -> float:
        return max(LEAST_P99, TIMES_BASELINE * quantile(self.before, 0.99))

    def __str__(self) -> str:
        p50, p99 = (1000 * quantile(self.during, share) for share in (0.5, 0.99))
        own50, own99 = (1000 * quantile(self.before, share) for share in (0.5, 0.99))
        end = ", killed" if self.kills or self.has_ended else ""
        return (
            f"{self.name:<34} good {100 * self.success:5.1f} % of {len(self.during):3}  p50/p99 {p50:4.0f}/{p99:4.0f} ms "
            f"(baseline {own50:3.0f}/{own99:3.0f})  memory {self.least_mib:3} -> {self.peak / MIB:3.0f} of {MEMORY_MIB} MiB (sockets {self.sockets // MIB}){end}"
            f"  probes {100 * self.ready:3.0f} %  back after {self.back_after:3.1f} s"
        )

    def assert_held(self) -> None:
        """Fail with all thresholds that were missed.

        Raises:
            LateError: The p99 was missed or probes had no answer in time, and nothing else is wrong.
        """
        statuses = sorted({one.status for one in self.during if one.status != 200})
        late = {
            f"{100 * self.ready:.0f} % of the probes had a good answer": self.on_probe_port or self.ready == 1,
            f"its p99 is not below {1000 * self.allowed_p99:.0f} ms": quantile(self.during, 0.99) < self.allowed_p99,
        }
        checks = late | {
            f"the good client was answered {statuses}, where 0 is no answer": self.success == 1,
            "its baseline has failures": all(one.status == 200 for one in self.before),
            f"memory is not below {MOST_MEMORY * MEMORY_MIB:.0f} MiB": self.peak < MOST_MEMORY * MEMORY_MIB * MIB,
            f"Envoy was killed {self.kills} times, or has ended": not self.kills and not self.has_ended,
            f"good answers are not back {BACK_SECONDS} s after the end": self.back_after <= BACK_SECONDS,
        }
        wrong = [text for text, holds in checks.items() if not holds]
        text = f"{self}\n" + "\n".join(wrong)
        refused = [one for one in self.probed if one.status not in (0, 200)]
        if wrong and late.keys() >= {*wrong} and not refused:
            raise LateError(text)
        assert not wrong, text
