"""Writing the configuration of a client: everything is checked before the first file is written."""

from __future__ import annotations

import shlex
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from components.core.errors import TokenError, UserError
from components.core.names import api_url, duplicates, instance_domain
from scripts.integrations import files, request
from scripts.integrations.formats.kubernetes import TOKENS
from scripts.integrations.integration import Destination, Integration
from scripts.integrations.tokens import require_accepted, require_readable, tokens_by_tenant
from scripts.stackfile.file import own_stack_tenants
from scripts.tenants.locate import require_tenants
from scripts.tokens.issued import record
from scripts.tokens.key_files import read_key_pair
from scripts.tokens.parse import Token, read_token, token_in
from scripts.tokens.passphrase import reader
from scripts.tokens.signing import Grant, Signer
from scripts.ui.new_files import require_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from components.config.stack import StackConfig
    from scripts.context.context import Context
    from scripts.integrations.request import Request

REACH_SECONDS = 15  # for a connection and for a TLS handshake
Tokens = dict[str, tuple[Path, Token]]


@dataclass(frozen=True)
class Created:
    """New tokens, which the ledger of issued tokens does not have yet."""

    kid: str = ""
    grants: list[Grant] = field(default_factory=list)
    files: list[files.NewFile] = field(default_factory=list)


@dataclass(frozen=True)
class Written:
    """What `write` has written, and what the user must know about it."""

    id: str
    paths: list[Path]
    notes: list[str]


def write_integration(context: Context, asked: Request) -> Written:
    """Check what is asked for, write the files, and return what was written.

    Raises `UserError` with the first problem. Nothing is written then, except the empty folder.
    """
    asked.require_valid()
    config = context.require_file(asked.instance).config()
    require_tenants(context, asked.instance, asked.tenants)
    integration_id = asked.id or str(uuid.uuid4())
    tokens, created = _tokens(asked, integration_id)
    if tokens:
        alone = own_stack_tenants(context.stacks, asked.instance)
        needed = asked.format.scopes
        require_accepted(tokens, needed, config, asked.instance, alone=alone, key_pair=asked.create_token)
    if asked.create_token is None:
        require_readable(tokens, asked.format.program, bare=asked.format.bare_token)
    ca, notes = _ca(context, asked, config)
    integration = _integration(asked, config, integration_id, tokens, with_ca=ca is not None)
    mode = files.RUNNABLE if asked.format.first_line else files.READABLE
    contents = asked.format.contents(integration)
    made = [files.NewFile(asked.output / name, text, mode=mode) for name, text in contents.items()]
    new = [files.NewFile(asked.output / files.CA_NAME, ca)] if ca is not None else []
    require_folder(asked.output, "--output")
    with files.alone_in(asked.output):
        notes += [*_notes_on_replaced(asked, created), *_secret_notes(asked, tokens, with_ca=ca is not None)]
        _replace(asked, [*made, *new, *created.files], created)
    notes[:0] = filter(None, [asked.format.warning])
    notes.append(f"When the client runs, check it: {check_command(asked, integration_id, tokens)}")
    return Written(integration_id, [one.path for one in (*made, *new, *created.files)], notes)


def _replace(asked: Request, new: list[files.NewFile], created: Created) -> None:
    """Write the new files, or none of them; raises `UserError` where files of others are there."""
    found_id = files.current_id([asked.output / name for name in asked.format.files])
    new = [one for one in new if not one.is_there()]
    files.require_replaceable([one.path for one in new], found_id, asked.id, force=asked.force)
    with files.Staging() as staging:
        staging.add(one for one in new if not one.secret)
        if created.grants:
            record(created.kid, created.grants)  # before anybody has a token
        staging.add(one for one in new if one.secret)
        staging.move()


def _tokens(asked: Request, integration_id: str) -> tuple[Tokens, Created]:
    """Return the token of each tenant with its file. New ones are signed, but not written."""
    if asked.create_token is None:
        if asked.format.in_kubernetes and not asked.token_files:
            return {}, Created()
        return tokens_by_tenant(asked.token_files, asked.tenants), Created()
    signer = Signer(read_key_pair(asked.create_token, reader(asked.passphrase_file)))
    created, tokens = Created(signer.kid), Tokens()
    for tenant in asked.tenants:
        grant = Grant(
            instance=asked.instance,
            tenant=tenant,
            seconds=asked.seconds,
            scopes=asked.format.scopes,
            name=f"{asked.format.name} integration {integration_id}",
        )
        text = signer.token(grant)
        path = asked.output / f"{tenant}.{asked.format.name}.jwt"
        created.grants.append(grant)
        created.files.append(files.NewFile(path, text, secret=True))
        tokens[tenant] = (path, read_token(text))
    return tokens, created


def _ca(context: Context, asked: Request, config: StackConfig) -> tuple[str | None, list[str]]:
    """Return the content of the CA file, None without one, and notes; raises `UserError` for one that does not fit."""
    provider = context.provider(asked.provider)
    ca_file = asked.ca_file or provider.ca_file
    named = "--ca-file" if asked.ca_file else "the CA of the instance"
    text = None if ca_file is None else files.certificates_in(ca_file, named)
    obstacle = context.obstacle(_destination_urls(asked, config, asked.tenant)[0], ca_file, REACH_SECONDS)
    if obstacle is None:
        return text, []
    if obstacle.stage == "TLS" and asked.ca_file:
        raise UserError(f"--ca-file {asked.ca_file} does not fit: {obstacle.in_words()}")
    if obstacle.stage == "TLS":
        return text, [f"This machine does not trust the gateway, and the client may not either: {obstacle.in_words()}"]
    if asked.ca_file is None:
        return text, []
    return text, [
        f"It was not checked whether the CA fits, because this machine does not reach the gateway: {obstacle.reason}"
    ]


def _destination_urls(asked: Request, config: StackConfig, tenant: str) -> tuple[str, str]:
    domain, port = instance_domain(asked.instance, config.domain), config.load_balancer.port
    return api_url("cortex", tenant, domain, port), api_url("loki", tenant, domain, port)


def _integration(
    asked: Request, config: StackConfig, integration_id: str, tokens: Tokens, *, with_ca: bool
) -> Integration:
    folder = TOKENS if asked.format.in_kubernetes else asked.home
    token_paths = {tenant: _token_path(asked, tenant, tokens, folder) for tenant in asked.tenants}
    ca_path = f"{folder}/{files.CA_NAME}" if with_ca else None
    problems = request.path_problems([*token_paths.values()])
    ours = [f"{folder}/{name}" for name in asked.format.files]
    problems += [
        f"{path} would be two files on the client's machine; give the token files other names"
        for path in duplicates([*token_paths.values(), *ours, *([ca_path] if ca_path else [])])
    ]
    problems += filter(None, (request.token_file_problem(asked.format, path) for path in token_paths.values()))
    if problems:
        raise UserError("; ".join(problems))
    return Integration(
        id=integration_id,
        instance=asked.instance,
        destinations=[
            Destination(tenant, *_destination_urls(asked, config, tenant), token_paths[tenant])
            for tenant in asked.tenants
        ],
        folder=folder,
        ca_path=ca_path,
        proxy=asked.proxy,
        namespaces=dict(asked.namespaces),
        scrape=asked.jobs(),
        log_files=(asked.log_files or request.DEFAULT_LOG_FILES) if asked.format.follows else (),
        secret=asked.secret,
        namespace=asked.pods_namespace,
        command=command(asked, integration_id, tokens),
    )


def _token_path(asked: Request, tenant: str, tokens: Mapping[str, tuple[Path, Token]], folder: str) -> str:
    """Return the path of a tenant's token file on the client's machine."""
    if asked.format.in_kubernetes:
        return f"{folder}/{tenant}.jwt"
    file = tokens[tenant][0]
    return f"{folder}/{file.name}" if asked.client_folder else str(file.absolute())


def command(asked: Request, integration_id: str, tokens: Mapping[str, tuple[Path, Token]]) -> str:
    """Return the command that writes the same files again. It names token files, and makes no new tokens."""
    words = ["./opstrace", "integrations", "write", asked.provider, asked.instance, asked.tenant, asked.format.name]
    words += ["--id", integration_id]
    for file, _ in tokens.values():
        words += ["--token-file", str(file)]
    mapped = ",".join(f"{namespace}={tenant}" for namespace, tenant in asked.namespaces)
    options = {
        "--secret": asked.secret,
        "--namespace": asked.namespace,
        "--client-folder": asked.client_folder,
        "--ca-file": asked.ca_file,
        "--proxy": asked.proxy,
        "--namespace-map": mapped or None,
    }
    words += [word for name, value in options.items() if value is not None for word in (name, str(value))]
    words += [word for target in asked.scrape for word in ("--scrape", target)]
    words += [word for pattern in asked.log_files for word in ("--log-file", pattern)]
    return shlex.join([*words, "--output", str(asked.output)])


def check_command(asked: Request, integration_id: str, tokens: Mapping[str, tuple[Path, Token]]) -> str:
    """Return the command that checks whether the data of the first tenant arrives."""
    words = [
        "./opstrace",
        "integrations",
        "check",
        asked.provider,
        asked.instance,
        asked.tenant,
        "--id",
        integration_id,
    ]
    words += ["--token-file", str(tokens[asked.tenant][0])] if tokens else []
    words += ["--ca-file", str(asked.ca_file)] if asked.ca_file else []
    return shlex.join([*words, *([] if asked.format.writes else ["--reads"])])


def _notes_on_replaced(asked: Request, created: Created) -> list[str]:
    """Return how to revoke the tokens whose files are replaced."""
    ids = []
    for file in created.files:
        try:
            ids.append(token_in(str(file.path)).text_of("jti"))
        except TokenError:  # there is none, or something else
            continue
    return [
        "The token before stays valid. Once the client uses the new one, revoke it: "
        + shlex.join(["./opstrace", "ta-revoke-token", asked.provider, asked.instance, one])
        for one in ids
        if one is not None
    ]


def _secret_notes(asked: Request, tokens: Mapping[str, tuple[Path, Token]], *, with_ca: bool) -> list[str]:
    """Return how to make the Kubernetes Secret, or to replace what is in it."""
    if not asked.secret:
        return []
    unchecked = (
        []
        if tokens
        else [
            f"The tokens in the Secret {asked.secret} were not checked: this command does not read your cluster. To check them, "
            "name each token's file with --token-file here, or in `./opstrace integrations check`."
        ]
    )
    sources = [
        f"--from-file={tenant}.jwt={tokens[tenant][0] if tenant in tokens else 'FILE'}" for tenant in asked.tenants
    ]
    if with_ca:
        sources.append(f"--from-file={asked.output / files.CA_NAME}")
    kubectl = shlex.join(["kubectl", *(["--namespace", asked.pods_namespace] if asked.pods_namespace else [])])
    create = shlex.join(["create", "secret", "generic", asked.secret, *sources])
    where = f"the namespace {asked.pods_namespace}" if asked.pods_namespace else "the collector's namespace"
    return [
        *unchecked,
        f"Make or replace the Secret in {where}: {kubectl} {create} --dry-run=client --output=yaml | "
        f"{kubectl} apply --server-side --force-conflicts -f -",
    ]
