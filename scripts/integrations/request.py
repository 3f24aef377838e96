"""What the user of `write` asks for, and the checks of it that need no file and no network."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from components.core.errors import UserError
from components.core.names import COLLECTORS_NAMESPACE, duplicates
from scripts.integrations.catalog import Format
from scripts.integrations.integration import id_problem

# No configuration format gives these characters a meaning, so that none needs quotes.
PATH_PATTERN, GLOB_PATTERN = r"/[A-Za-z0-9._/+@-]+", r"/[A-Za-z0-9._/+@*?-]+"
TARGET_PATTERN = r"(?:([A-Za-z_][A-Za-z0-9_-]*)=)?([A-Za-z0-9.-]+:([1-9][0-9]{0,4}))"
LARGEST_PORT = 65535
NAMESPACE_PATTERN = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
OBJECT_PATTERN = r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*"
VECTOR_NAMES = r"[A-Za-z0-9_.]+"
NAME_CHARACTERS = "use a-z, 0-9 and '-'"
DEFAULT_LOG_FILES = ("/var/log/*.log",)
DEFAULT_JOB = "app"
DEFAULT_NAMESPACE = "opstrace-integration"


@dataclass(frozen=True, kw_only=True)
class Request:
    """The arguments and options of `write`.

    Attributes:
        provider: The name of the provider.
        instance: The name of the instance.
        tenant: The tenant that gets the data, or whose data is read.
        format: The format of the configuration.
        output: The folder for the files.
        id: The id of an integration to update; None for a new one.
        token_files: Files with a token for each tenant.
        create_token: The key pair that signs a new token for each tenant.
        seconds: How long new tokens are valid.
        passphrase_file: A file with the passphrase of the key pair.
        client_folder: The folder of the files on the client's machine; None for `output`.
        ca_file: A file with a CA that signed the gateway's certificates.
        proxy: The URL of a proxy.
        namespaces: Kubernetes namespaces and their tenants.
        scrape: Scrape targets, as `[JOB=]HOST:PORT`.
        log_files: Patterns of log files.
        secret: The Kubernetes Secret that has the token files.
        namespace: The Kubernetes namespace of the client; None for the default.
        force: Whether to replace files of others without a question.
    """

    provider: str
    instance: str
    tenant: str
    format: Format
    output: Path
    id: str | None = None
    token_files: Sequence[Path] = ()
    create_token: Path | None = None
    seconds: int
    passphrase_file: Path | None = None
    client_folder: str | None = None
    ca_file: Path | None = None
    proxy: str | None = None
    namespaces: Sequence[tuple[str, str]] = ()
    scrape: Sequence[str] = ()
    log_files: Sequence[str] = ()
    secret: str | None = None
    namespace: str | None = None
    force: bool = False

    @property
    def tenants(self) -> list[str]:
        """The tenants, the one of all other data first, each once."""
        return [*dict.fromkeys([self.tenant, *(tenant for _, tenant in self.namespaces)])]

    @property
    def home(self) -> str:
        """The absolute path of the folder of the files on the client's machine."""
        folder = str(self.output.absolute()) if self.client_folder is None else self.client_folder
        return folder.rstrip("/") or folder

    @property
    def pods_namespace(self) -> str:
        """The Kubernetes namespace of the client; empty where the format does not fix it."""
        return (self.namespace or DEFAULT_NAMESPACE) if self.format.has_namespace else ""

    def jobs(self) -> dict[str, list[str]]:
        """Return the scrape targets by the names of their jobs."""
        jobs: dict[str, list[str]] = {}
        for text in self.scrape:
            match = re.fullmatch(TARGET_PATTERN, text)
            if match is None or int(match[3]) > LARGEST_PORT:
                raise UserError(
                    f"--scrape {text!r}: write it as HOST:PORT or JOB=HOST:PORT, such as app=127.0.0.1:8080"
                )
            jobs.setdefault(match[1] or DEFAULT_JOB, []).append(match[2])
        return jobs

    def require_valid(self) -> None:
        """Raise `UserError` with every option that is invalid, or that the format does not have."""
        problems = [*self._of_format(), *self._of_values()]
        if problems:
            raise UserError("; ".join(problems))
        self.jobs()

    def _of_format(self) -> list[str]:
        chosen = self.format
        options = {
            "--scrape": (bool(self.scrape), chosen.scrapes, "it takes no targets by their names"),
            "--log-file": (bool(self.log_files), chosen.follows, "it follows no log files"),
            "--proxy": (self.proxy is not None, chosen.proxied, f"set it in the environment of {chosen.program}"),
            "--namespace-map": (bool(self.namespaces), chosen.routes, "it sends to one tenant alone"),
            "--secret": (self.secret is not None, chosen.in_kubernetes, "it reads token files of its machine"),
            "--namespace": (self.namespace is not None, chosen.has_namespace, "it does not fix its namespace"),
            "--client-folder": (
                self.client_folder is not None,
                not chosen.in_kubernetes,
                "its files are in a Secret and a ConfigMap",
            ),
        }
        problems = [
            f"the format {chosen.name} does not take {option}: {why}"
            for option, (given, taken, why) in options.items()
            if given and not taken
        ]
        if chosen.in_kubernetes and not self.secret:
            problems.append(f"the format {chosen.name} needs --secret NAME, the Kubernetes Secret for the token files")
        if self.token_files and self.create_token:
            problems.append("--token-file and --create-token exclude each other; give one of them")
        return problems

    def _of_values(self) -> list[str]:
        problems = []
        if self.id is not None and (problem := id_problem(self.id)):
            problems.append(problem)
        if Path("-") in self.token_files:
            problems.append("--token-file -: the client reads the token from a file; name that file")
        if self.output == Path("-"):
            problems.append("--output -: the command writes files into a folder; name that folder")
        problems += [
            f"the path {str(path)!r} has characters that cannot be printed, and it is in the comments of the file; rename it"
            for path in (*self.token_files, self.ca_file, self.output)
            if not str(path or "").isprintable()
        ]
        twice = duplicates([namespace for namespace, _ in self.namespaces])
        problems += [f"--namespace-map: {namespace} is mapped twice; map it to one tenant" for namespace in twice]
        problems += [
            f"--namespace-map: {namespace!r} is no name of a Kubernetes namespace; {NAME_CHARACTERS}"
            for namespace, _ in self.namespaces
            if not re.fullmatch(NAMESPACE_PATTERN, namespace)
        ]
        problems += [
            f"--log-file {pattern!r}: use an absolute path of letters, digits and . _ / + @ - * ?"
            for pattern in self.log_files
            if not re.fullmatch(GLOB_PATTERN, pattern)
        ]
        if self.secret is not None and not re.fullmatch(OBJECT_PATTERN, self.secret):
            problems.append(f"--secret {self.secret!r} is no name of a Kubernetes Secret; {NAME_CHARACTERS} or '.'")
        if self.namespace is not None and not re.fullmatch(NAMESPACE_PATTERN, self.namespace):
            problems.append(f"--namespace {self.namespace!r} is no name of a Kubernetes namespace; {NAME_CHARACTERS}")
        if self.namespace == COLLECTORS_NAMESPACE:
            problems.append(
                f"--namespace {self.namespace}: an instance's own collectors have this namespace; name another"
            )
        return [*problems, *path_problems([self.home]), *_proxy_problems(self.proxy)]


def path_problems(paths: Sequence[str]) -> list[str]:
    """Return why paths cannot stand in a configuration of every format."""
    other = "name another folder, or that on the client's machine with --client-folder"
    return [
        f"the path {path} has characters other than letters, digits and . _ / + @ -, which some formats misread; {other}"
        if path.startswith("/")
        else f"the path {path!r} on the client's machine is not absolute; begin it with /"
        for path in paths
        if not re.fullmatch(PATH_PATTERN, path)
    ]


def token_file_problem(chosen: Format, path: str) -> str | None:
    """Return why the format cannot name this token file, None where it can."""
    name = path.rpartition("/")[2]
    if chosen.name == "vector" and not re.fullmatch(VECTOR_NAMES, name):
        return f"Vector takes names of secrets of letters, digits, '_' and '.' alone; rename the token file {name}"
    return None


def _proxy_problems(proxy: str | None) -> list[str]:
    if proxy is None:
        return []
    if "@" in proxy:  # the proxy's own text would show the password
        return ["--proxy has a user name or a password, which would be in the configuration; use a proxy without"]
    match = re.fullmatch(r"https?://[A-Za-z0-9.-]+(?::([1-9][0-9]{0,4}))?/?", proxy)
    if match is None or int(match[1] or 0) > LARGEST_PORT:
        return [f"--proxy {proxy!r}: write it as http://HOST:PORT"]
    return []


def parse_namespace_map(text: str) -> list[tuple[str, str]]:
    """Return pairs of namespace and tenant in `NAMESPACE=TENANT,…`; raises `UserError` for another form."""
    pairs = []
    for part in text.split(","):
        namespace, equals, tenant = part.strip().partition("=")
        if not (namespace and equals and tenant):
            raise UserError(f"--namespace-map {text!r}: write it as NAMESPACE=TENANT,NAMESPACE=TENANT")
        pairs.append((namespace, tenant))
    return pairs
