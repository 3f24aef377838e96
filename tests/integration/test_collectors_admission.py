"""Which pods the collectors' namespace admits, by a real API server."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from components.core.names import COLLECTORS_NAMESPACE
from components.core.resource_names import (
    ADMISSION_BINDING_TYPE,
    ADMISSION_POLICY_TYPE,
    DAEMON_SET_TYPE,
    DEPLOYMENT_TYPE,
    NAMESPACE_TYPE,
    SERVICE_ACCOUNT_TYPE,
)
from tests.support.factories import settings
from tests.support.polling import eventually
from tests.support.pulumi_mocks import declared
from tests.support.shell import run
from tests.support.stack import Stack

KINDS = (NAMESPACE_TYPE, SERVICE_ACCOUNT_TYPE, ADMISSION_POLICY_TYPE, ADMISSION_BINDING_TYPE)
REFUSED = f"{COLLECTORS_NAMESPACE} admits a pod only if "
Pod = dict[str, Any]
Change = Callable[[Pod], Any]


class Namespace:
    """The collectors' namespace and its policy in a cluster."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        inputs = [(entry.typ, entry.inputs) for entry in declared(settings()) if entry.name.startswith("collectors-")]
        self.objects = [manifest for kind, manifest in inputs if kind in KINDS]
        self.pods = {
            manifest["metadata"]["name"]: manifest["spec"]["template"]["spec"]
            for kind, manifest in inputs
            if kind in (DAEMON_SET_TYPE, DEPLOYMENT_TYPE)
        }

    def kubectl(self, *command: str, typed: Any = None) -> tuple[int, str]:
        text = json.dumps(typed) if typed else None
        done = run("kubectl", *command, env=self._stack.environment, check=False, typed=text)
        return done.returncode, done.stdout + done.stderr

    def create(self) -> None:
        items = {"apiVersion": "v1", "kind": "List", "items": self.objects}
        assert self.kubectl("apply", "-f", "-", typed=items)[0] == 0
        # The API server learns of a new policy within seconds.
        eventually(lambda: REFUSED in self.refusal(self.pod("node-collector", lambda pod: pod.update(hostPID=True))))

    def pod(self, program: str, change: Change = lambda _: None) -> Pod:
        """Return the manifest of a collector's pod, with a change in its spec."""
        spec = copy.deepcopy(self.pods[program])
        change(spec)
        metadata = {"name": program, "namespace": COLLECTORS_NAMESPACE}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}

    def refusal(self, pod: Pod) -> str:
        """Return why the pod is refused, an empty text if it is admitted. Nothing is created."""
        code, text = self.kubectl("create", "--dry-run=server", "-f", "-", typed=pod)
        return text if code else ""


@pytest.fixture(scope="module")
def namespace(bare_stack: Stack) -> Iterator[Namespace]:
    created = Namespace(bare_stack)
    try:
        created.create()
        yield created
    finally:
        for kind in ("namespace", "validatingadmissionpolicybinding", "validatingadmissionpolicy"):
            created.kubectl("delete", kind, COLLECTORS_NAMESPACE, "--ignore-not-found")


@pytest.mark.parametrize("program", ["node-collector", "cluster-collector"])
def test_the_collectors_are_admitted(namespace: Namespace, program: str) -> None:
    assert namespace.refusal(namespace.pod(program)) == ""


def _container(**changes: Any) -> Change:
    return lambda pod: pod["containers"][0].update(changes)


def _context(**changes: Any) -> Change:
    return lambda pod: pod["containers"][0]["securityContext"].update(changes)


def _pod_context(**changes: Any) -> Change:
    return lambda pod: pod["securityContext"].update(changes)


def _volume(name: str, **source: Any) -> Change:
    return lambda pod: pod["volumes"].append({"name": name, **source})


def _env(*variables: Any) -> Change:
    return lambda pod: pod["containers"][0]["env"].extend(variables)


def _mount(volume: str, path: str) -> Change:
    return lambda pod: pod["containers"][0]["volumeMounts"].append({"name": volume, "mountPath": path})


def _other_configuration(pod: Pod) -> None:
    pod["volumes"][0]["configMap"]["name"] = "kube-root-ca.crt"


def _mounted_to_write(pod: Pod) -> None:
    for mount in pod["containers"][0]["volumeMounts"]:
        mount.pop("readOnly", None)


EVIL = "yaml:receivers::filelog::include: /var/log/pods/*/*/*.log"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda pod: pod.update(serviceAccountName="default"), "its service account is one of"),
        (lambda pod: pod.pop("serviceAccountName"), "its service account is one of"),
        (lambda pod: pod["containers"].append(pod["containers"][0] | {"name": "b"}), "it has one container"),
        (lambda pod: pod.update(initContainers=[{"name": "b", "image": "busybox"}]), "it has one container"),
        (_container(image="docker.io/library/busybox:1"), "its image is docker.io/otel/"),
        (lambda pod: pod.update(hostNetwork=True), "it has no namespace and no port of the node"),
        (lambda pod: pod.update(hostPID=True), "it has no namespace and no port of the node"),
        (lambda pod: pod.update(hostIPC=True), "it has no namespace and no port of the node"),
        (_container(securityContext={}), "its container drops all capabilities"),
        (lambda pod: pod["containers"][0].pop("securityContext"), "its container drops all capabilities"),
        (_context(capabilities={"drop": ["ALL"], "add": ["SYS_ADMIN"]}), "its container drops all capabilities"),
        (_context(readOnlyRootFilesystem=False), "its container drops all capabilities"),
        (_context(seccompProfile={"type": "Unconfined"}), "its container drops all capabilities"),
        (_context(allowPrivilegeEscalation=True), "its container drops all capabilities"),
        (_context(seLinuxOptions={"type": "spc_t"}), "its container drops all capabilities"),
        (_context(appArmorProfile={"type": "Unconfined"}), "its container drops all capabilities"),
        (_pod_context(seLinuxOptions={"type": "spc_t"}), "it has the seccomp profile RuntimeDefault"),
        (_pod_context(appArmorProfile={"type": "Unconfined"}), "it has the seccomp profile RuntimeDefault"),
        (_pod_context(sysctls=[{"name": "net.ipv4.tcp_syncookies", "value": "0"}]), "it has the seccomp profile"),
        (_container(ports=[{"containerPort": 80, "hostPort": 80}]), "it has no namespace and no port of the node"),
        (_container(command=["/bin/sh"]), "it runs --config="),
        (_container(args=[f"--config={EVIL}"]), "it runs --config="),
        (lambda pod: pod["containers"][0]["args"].append(f"--config={EVIL}"), "it runs --config="),
        (lambda pod: pod["containers"][0].pop("args"), "it runs --config="),
        (_container(lifecycle={"postStart": {"exec": {"command": ["/otelcol"]}}}), "it runs --config="),
        (_container(livenessProbe={"exec": {"command": ["/otelcol"]}}), "it runs --config="),
        (_env({"name": "NODE_NAME", "value": "a\nb: c"}), "its environment is NODE_NAME"),
        (_env({"name": "NODE_IP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}), "its environment is"),
        (_env({"name": "GOMEMLIMIT", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}), "its environment is"),
        (
            lambda pod: pod.update(hostAliases=[{"ip": "192.0.2.1", "hostnames": ["loki.system-tenant.svc"]}]),
            "it resolves",
        ),
        (lambda pod: pod.update(dnsPolicy="None", dnsConfig={"nameservers": ["192.0.2.1"]}), "it resolves names"),
        (lambda pod: pod["dnsConfig"].update(searches=["evil.example"]), "it resolves names"),
        (_container(livenessProbe={"httpGet": {"host": "192.0.2.1", "port": 80}}), "it runs --config="),
        (_container(readinessProbe={"tcpSocket": {"host": "192.0.2.1", "port": 80}}), "it runs --config="),
        (_volume("kube-api-access-x", projected={"sources": [{"secret": {"name": "a"}}]}), "its volumes are"),
        (_env({"name": "HTTPS_PROXY", "value": "http://proxy.example.com"}), "its environment is NODE_NAME"),
        (_container(envFrom=[{"configMapRef": {"name": "a"}}]), "its environment is NODE_NAME"),
        (lambda pod: pod["securityContext"].pop("seccompProfile"), "it has the seccomp profile RuntimeDefault"),
        (_volume("root", hostPath={"path": "/"}), "its volumes are"),
        (_volume("queue2", hostPath={"path": "/var/lib/opstrace-collectors/showdown"}), "its volumes are"),
        (_volume("other", configMap={"name": "kube-root-ca.crt"}), "its volumes are"),
        (_volume("other", secret={"secretName": "other"}), "its volumes are"),
        (_volume("other", emptyDir={}), "its volumes are"),
        (_other_configuration, "its volumes are"),
        (_mount("queue", "/etc/opstrace/config.yaml"), "it mounts each volume at its own path"),
        (_mount("logs", "/var/log/pods2"), "it mounts each volume at its own path"),
        (_mounted_to_write, "it mounts each volume at its own path"),
    ],
)
def test_any_other_pod_is_refused_with_the_reason(namespace: Namespace, change: Change, told: str) -> None:
    assert f"{REFUSED}{told}" in namespace.refusal(namespace.pod("node-collector", change))


@pytest.fixture(scope="module")
def collector(namespace: Namespace) -> str:
    """The name of a collector's pod, which no node runs."""
    assert namespace.kubectl("create", "-f", "-", typed=namespace.pod("node-collector"))[0] == 0
    return "node-collector"


def test_a_container_to_debug_a_collector_is_refused(namespace: Namespace, collector: str) -> None:
    code, text = namespace.kubectl("debug", collector, "-n", COLLECTORS_NAMESPACE, "--image=busybox", "--attach=false")
    assert code and f"{REFUSED}it has one container" in text


@pytest.mark.parametrize("command", [("exec", "node-collector", "--", "/otelcol-k8s"), ("attach", "node-collector")])
def test_nobody_gets_into_a_collector_s_container(
    namespace: Namespace, collector: str, command: tuple[str, ...]
) -> None:
    """Its program could run once more, with another configuration."""
    code, text = namespace.kubectl("-n", COLLECTORS_NAMESPACE, *command)
    assert code and f"{COLLECTORS_NAMESPACE} admits neither exec nor attach" in text


def test_the_policy_holds_in_no_other_namespace(namespace: Namespace) -> None:
    pod = namespace.pod("node-collector", lambda pod: pod.update(serviceAccountName="default"))
    pod["metadata"]["namespace"] = "default"
    assert namespace.refusal(pod) == ""
