"""The gateway under its pod's memory limit, with a good client of one tenant and an attacker of another."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from components.core.names import ALERTMANAGER, APIS
from components.gateway.limits import GatewayLimits
from components.gateway.settings import MEMORY_MIB
from tests.security.cost.cgroup import MIB, PodCgroup, drop_page_cache
from tests.security.cost.figures import BACK_SECONDS, Figures, Result
from tests.support.gateway import KEYS, Gateway, Variant, signed
from tests.support.name_server import NameServer
from tests.support.placeholder_keys import placeholder_keys
from tests.support.polling import eventually
from tests.support.ports import own_address
from tests.support.shell import ROOT

GOOD, EVIL = "good", "evil"
DOMAIN = "showdown.example.com"
CORTEX = f"cortex.{EVIL}.{DOMAIN}"
LOKI = f"loki.{EVIL}.{DOMAIN}"
ATTACKER = "198.51.100.1"
TRUSTED_KEYS = 125
BASELINE_SECONDS = 2.0
SETTLED = 10  # good answers in a row that end a trial
START_SECONDS = 20.0
SAMPLE_SECONDS = 0.05
# All processes have the same priority, above that of other tests: the suite measures their cost to each other. If the
# kernel shares CPU time by session (`autogroup`), the session's priority counts. No process outlives the tests, even if
# they are killed.
URGENT = (
    *("setpriv", "--pdeathsig", "KILL", "nice", "-n", "-10", "setsid"),
    *("sh", "-c", '[ -w /proc/$$/autogroup ] && echo -10 > /proc/$$/autogroup; exec "$@"', "sh"),
)


def _python(module: str) -> list[str]:
    return [*URGENT, sys.executable, "-P", "-m", f"tests.security.cost.{module}"]


def _environment() -> dict[str, str]:
    return dict(os.environ) | {"PYTHONPATH": str(ROOT)}


class PodGateway(Gateway):
    """An Envoy in the cgroup of its pod, behind the load balancer, which sends each client's address first."""

    direct = False
    group: PodCgroup
    envoy: subprocess.Popen[bytes]

    def launch(self, command: list[str]) -> subprocess.Popen[bytes]:
        # A copy that no other process has mapped: its page cache counts here, as on a node that has just pulled the image.
        own = self.folder / "envoy"
        shutil.copy(command[0], own)
        self.forget_program()
        # The log goes through a pipe, as with a container runtime: its page cache is not the pod's.
        with self.log.open("w") as log:
            logger = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=log)
        command = self.group.command([*URGENT, str(own), *command[1:], "--log-level", "warn"])
        assert logger.stdin
        with logger.stdin:
            self._started.append(logger)
            self.envoy = subprocess.Popen(command, stdout=logger.stdin, stderr=logger.stdin)
        return self.envoy

    def forget_program(self) -> None:
        """Drop the program's page cache that is not in use, as the kernel would before it kills for memory."""
        drop_page_cache(self.folder / "envoy")

    def has_all(self) -> bool:
        return self.is_ready()


class Good:
    """The good client's process, and its results."""

    def __init__(self, port: int, health_port: int) -> None:
        plan = {"port": port, "health_port": health_port, "host": f"cortex.{GOOD}.{DOMAIN}"}
        plan["token"] = signed(tenant=GOOD)
        self._results: dict[str, list[Result]] = {"asked": [], "probed": []}
        self._open: dict[tuple[str, str], float] = {}
        self.process = _start_process("good", plan)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout as lines:
            for line in lines:
                kind, number, at, *more = line.decode().split()
                if more:
                    self._results[kind].append(Result(float(at), float(more[0]), int(more[1])))
                    del self._open[kind, number]
                else:
                    self._open[kind, number] = float(at)

    def close(self) -> None:
        """End the process, and read its last results."""
        self.process.kill()
        self._reader.join()
        _end(self.process)

    def between(self, start: float, end: float, kind: str = "asked") -> list[Result]:
        """Return the results of requests that started in this time; those of probes with `kind` "probed"."""
        return [one for one in self._results[kind] if start <= one.at < end]

    def has_results(self, until: float) -> bool:
        """Return whether the results of all requests that started before an instant have arrived."""
        return all(at >= until for at in [*self._open.values()])


def _start_process(module: str, plan: Mapping[str, Any]) -> subprocess.Popen[bytes]:
    """Start a process that reads its plan from standard input, since a plan may have tokens in it."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(_python(module), stdin=pipe, stdout=pipe, cwd=ROOT, env=_environment())
    assert process.stdin
    process.stdin.write(json.dumps(plan).encode() + b"\n")
    process.stdin.flush()
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in filter(None, (process.stdin, process.stdout)):
        pipe.close()


class Pod:
    """The gateway, its back ends, the good client, and attacks."""

    def __init__(self, folder: Path) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []
        self._attackers: list[subprocess.Popen[bytes]] = []
        self.good: Good | None = None
        (folder / "names").mkdir()
        no_back_end: Any = None  # the gateway resolves the tenants' names
        self.gateway = PodGateway(folder, no_back_end, self._processes)
        with contextlib.ExitStack() as ends:
            name = f"gateway-cost-{os.getpid()}-{uuid.uuid4().hex[:6]}"
            self.group = self.gateway.group = PodCgroup(name, MEMORY_MIB * MIB)
            ends.callback(self.group.close)
            self._names = ends.enter_context(contextlib.closing(NameServer(folder / "names", URGENT)))
            ends.callback(self._end_processes)
            self._ends = ends.pop_all()

    def _start_back_ends(self, addresses: Mapping[str, str]) -> None:
        """Start the back ends of tenants at these addresses, and add their names to the name server."""
        names: dict[str, str] = {}
        for tenant, address in addresses.items():
            back_end = subprocess.Popen(
                [*_python("backend"), address], stdout=subprocess.PIPE, cwd=ROOT, env=_environment()
            )
            self._processes.append(back_end)
            assert back_end.stdout and back_end.stdout.readline() == b"ready\n"
            names |= {f"{program}.{tenant}-tenant.svc.cluster.local": address for program in (*APIS, ALERTMANAGER)}
        self._names.set_records(names)

    def start(self, limits: GatewayLimits | None = None, *, revoked: Sequence[str] = ()) -> "Pod":
        """Start the gateway with as many keys as an instance may trust, and wait until the good client is served."""
        self.gateway.set_keys(KEYS | placeholder_keys(TRUSTED_KEYS - 1), revoked)
        self.gateway.limit(limits or GatewayLimits())
        self._start_back_ends({GOOD: own_address(3), EVIL: own_address(4)})
        self.gateway.start(variant=Variant(name_server=self._names.port))
        good = self.good = Good(self.gateway.port, self.gateway.health_port)
        self._ends.callback(good.close)

        def is_answered() -> bool:
            """Return whether the last answers are good: the name server may not have read its names at first."""
            last = good.between(0, time.monotonic())[-SETTLED:]
            return len(last) == SETTLED and all(one.status == 200 for one in last)

        eventually(is_answered, START_SECONDS, 0.05)
        return self

    def attack(self, *parts: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Run the parts of an attack together, and return their results; connections stay until `end_attacks`."""
        plan = {"parts": [{"port": self.gateway.port, "client": ATTACKER, **part} for part in parts]}
        process = _start_process("attacks", plan)
        self._attackers.append(process)
        assert process.stdout
        return list(json.loads(process.stdout.readline()))

    def end_attacks(self) -> None:
        """End the connections of all attacks."""
        while self._attackers:
            _end(self._attackers.pop())

    @contextlib.contextmanager
    def trial(self, name: str, *, on_probe_port: bool = False) -> Iterator[Figures]:
        """Measure the good client before, during and after the attack in the block."""
        assert self.good
        figures = Figures(name, on_probe_port=on_probe_port)
        self.gateway.forget_program()
        start = time.monotonic()
        time.sleep(BASELINE_SECONDS)
        begun = time.monotonic()
        figures.before = self.good.between(start, begun)
        figures.least_mib = self.group.used() // MIB
        with self._sampling():
            yield figures
        ended = time.monotonic()
        self.end_attacks()
        self._wait_until_back(figures, ended)
        figures.during = self.good.between(begun, ended)
        figures.probed = self.good.between(begun, ended, "probed")
        figures.peak, figures.sockets = self.group.peaks()
        figures.kills = self.group.kills()
        figures.has_ended = self.gateway.envoy.poll() is not None
        print(f"\n{figures}")

    @contextlib.contextmanager
    def _sampling(self) -> Iterator[None]:
        over = threading.Event()

        def sample() -> None:
            while not over.wait(SAMPLE_SECONDS):
                self.group.sample()

        thread = threading.Thread(target=sample)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _wait_until_back(self, figures: Figures, ended: float) -> None:
        """Wait for the results of all requests during the attack, and for good answers in a row after it."""
        assert self.good
        deadline = ended + BACK_SECONDS + 2
        while not self.good.has_results(ended):  # clients have timeouts
            time.sleep(0.05)
        while time.monotonic() < deadline:
            time.sleep(0.1)
            after = self.good.between(ended, time.monotonic())
            last = after[-SETTLED:]
            if len(last) == SETTLED and all(one.status == 200 for one in last):
                bad = [one.at + one.seconds - ended for one in after if one.status != 200]
                figures.back_after = max([0.0, *bad])
                return

    def _end_processes(self) -> None:
        self.end_attacks()
        for process in reversed(self._processes):
            _end(process)

    def close(self) -> None:
        """End all processes."""
        self._ends.close()
