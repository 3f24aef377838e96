"""The texts of configuration problems: the setting, the problem and the value."""

import difflib
import re
from collections.abc import Mapping, Sequence
from datetime import date
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel

from components.config.backend_limits import DURATION_PATTERN, LABEL_PATTERN, SIZE_PATTERN
from components.config.base import NAME_PATTERN, Section
from components.config.engine_values import shown_path
from components.config.load_balancer import VPC_PATTERN
from components.config.platform.aws import BOUNDARY_PATTERN, REGION_PATTERN, ROLE_PATH_PATTERN, ZONE_PATTERN
from components.config.platform.collectors import JOB_PATTERN, NAMESPACE_PATTERN, RUNBOOKS_PATTERN, SCRAPE_PATH_PATTERN
from components.config.platform.images import DIGEST_PATTERN, REGISTRY_PREFIX_PATTERN
from components.config.platform.pods import LABEL_KEY_PATTERN, LABEL_VALUE_PATTERN, OBJECT_NAME_PATTERN
from components.config.stack import (
    EKS_NAME_PATTERN,
    OIDC_ISSUER_PATTERN,
    OIDC_PROVIDER_PATTERN,
    SECURITY_GROUP_PATTERN,
)
from components.config.tenant import OWNER_PATTERN
from components.core.scopes import TOKEN_ID_PATTERN
from components.core.units import QUANTITY

FORMS = {
    NAME_PATTERN: "a name in one line, without spaces at its ends",
    QUANTITY: "a quantity above 0 such as 500m, 2 or 20Mi (units m, K, M, G, T, Ki, Mi, Gi, Ti)",
    DURATION_PATTERN: "a duration such as 90s, 12h or 1d12h (units y, w, d, h, m, s, ms, from large to small), or 0",
    SIZE_PATTERN: "a size such as 256KB (units B, KB, MB, GB)",
    LABEL_PATTERN: "the name of a label: letters, digits and _, the first no digit",
    TOKEN_ID_PATTERN: "the id of a token: 8 to 128 characters of A-Z, a-z, 0-9 and ._~-, the first a letter or a digit",
    OIDC_PROVIDER_PATTERN: "an ARN such as arn:aws:iam::111122223333:oidc-provider/HOST/PATH",
    OIDC_ISSUER_PATTERN: "an https URL without a final slash",
    EKS_NAME_PATTERN: "the name of an EKS cluster: 1 to 100 letters, digits and '-' or '_', the first a letter or a digit",
    SECURITY_GROUP_PATTERN: "the id of a security group such as sg-0123456789abcdef0",
    VPC_PATTERN: "the id of a VPC such as vpc-0123456789abcdef0",
    REGION_PATTERN: "a region such as us-west-2",
    ZONE_PATTERN: "the id of a hosted zone such as Z0123456789EXAMPLE",
    OWNER_PATTERN: "a text of letters, digits, spaces and _.:/=+-@",
    REGISTRY_PREFIX_PATTERN: "a registry, with a path or without, such as registry.example.com/mirror: no scheme, no tag, no final "
    "slash",
    DIGEST_PATTERN: "a tag and its digest such as v1.2.3@sha256: and 64 hexadecimal digits",
    BOUNDARY_PATTERN: "the ARN of an IAM policy such as arn:aws:iam::111122223333:policy/NAME",
    ROLE_PATH_PATTERN: "a path that begins and ends with a slash, such as /observability/",
    LABEL_KEY_PATTERN: "the key of a label such as dedicated or example.com/pool",
    LABEL_VALUE_PATTERN: "the value of a label: at most 63 letters, digits and _.-",
    NAMESPACE_PATTERN: "the name of a namespace: 1 to 63 characters of a-z, 0-9 and '-', without '-' at either end",
    JOB_PATTERN: "a name of 1 to 63 letters, digits and _./-, with a letter or a digit at both ends",
    SCRAPE_PATH_PATTERN: "a path such as /metrics, of letters, digits and /._~-",
    RUNBOOKS_PATTERN: "a URL or a path without spaces and without #",
    OBJECT_NAME_PATTERN: "the name of a Kubernetes object, at most 253 characters of a-z, 0-9, '-' and '.'",
}
KINDS = {
    "string_type": "must be a text; write it in quotes",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "invalid_key": "a name must be a text; write it in quotes",
    "model_type": "must be a mapping of names to values",
    "dict_type": "must be a mapping of names to values",
    "list_type": "must be a list",
}
NO_TEXTS = {  # values that are no texts in quotes either
    dict: "must be one text, but is a mapping; write the text itself in place of the names and values",
    list: "must be one text, but is a list; write the text itself, without brackets and dashes",
    NoneType: "must be a text, but has no value; write one",
}
MOST_NAMES = 5  # of settings that a message lists
LONGEST_VALUE = 80  # characters of a value that a message repeats


def described(error: Mapping[str, Any], model: type[Section], settings: Mapping[str, Any]) -> str:
    """Return the text of one of Pydantic's errors about the `settings` of a stack, which `model` describes."""
    is_unknown = error["type"] == "extra_forbidden"
    path, names, below = _place(error["loc"], model, is_unknown=is_unknown)
    where = shown_path(path, settings)
    if is_unknown and len(path) == 1 and re.split(r"[.\[]", str(path[0]), maxsplit=1)[0] in names:
        return (
            f"{where}: is one name with a dot or a bracket, as `pulumi config set` writes it without `--path`; remove it by "
            f"`pulumi config rm '{where}'`, then run `pulumi config set --path '{where}' VALUE`"
        )
    if is_unknown:
        near = difflib.get_close_matches(str(path[-1]), names, 1)
        return f"{where}: there is no such setting" + (f"; did you mean {near[0]!r}?" if near else "; remove it")
    if error["type"] == "missing":
        return f"{where}: is required, but not set"
    message, value = _message(error), error.get("input")
    if error["type"] == "model_type" and below:
        message += f"; it has {_listed(below)}"
    if isinstance(value, date):
        value = str(value)
    if not isinstance(value, (str, int, float, bool)) or repr(value) in message:
        return f"{where}: {message}"
    shown = repr(value) if len(repr(value)) <= LONGEST_VALUE else f"{repr(value)[:LONGEST_VALUE]}…"
    return f"{where}: {message} (given: {shown})"


def _message(error: Mapping[str, Any]) -> str:
    """Return the problem of a value, in the configuration's words instead of Pydantic's."""
    context = error.get("ctx", {})
    match error["type"]:
        case "string_pattern_mismatch" if context["pattern"] == DURATION_PATTERN and str(error["input"]).isdecimal():
            return f"has no unit; write {error['input']}d for days, {error['input']}h for hours, or another unit"
        case "string_pattern_mismatch":
            return f"must be {FORMS[context['pattern']]}"
        case "too_short":
            return f"must have at least {context['min_length']} item"
        case "string_type" if type(error["input"]) in NO_TEXTS:
            return NO_TEXTS[type(error["input"])]
        case kind if kind in KINDS:
            return KINDS[kind]
    text = str(error["msg"]).removeprefix("Value error, ")
    return text.replace("Input should ", "must ", 1).replace("String should ", "must ", 1)


def _place(
    location: Sequence[int | str], model: type[BaseModel], *, is_unknown: bool
) -> tuple[list[int | str], list[str], list[str]]:
    """Return the path of an error in the settings, and the names of the settings beside it, and of those below it.

    Pydantic's location also has parts that are no names: a mark of an error in a key, and the member of a union.
    """
    path: list[int | str] = []
    names: list[str] = []
    annotation: Any = model
    for number, part in enumerate(location):
        annotation = _bare(annotation)
        if fields := _fields(annotation):
            if part in fields or (is_unknown and number == len(location) - 1):
                path.append(part)
                names = list(fields)
                annotation = fields[str(part)].annotation if part in fields else None
        elif get_origin(annotation) in (dict, list):
            path.append(part)
            annotation = get_args(annotation)[-1]
    return path, names, [*_fields(_bare(annotation))]


def _fields(annotation: Any) -> dict[str, Any]:
    """Return the fields of a model by the names of the settings; none of another type."""
    if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return {}
    return {field.alias or name: field for name, field in annotation.model_fields.items()}


def _listed(names: Sequence[str]) -> str:
    """Return the first names in words."""
    if len(names) > MOST_NAMES:
        return f"{', '.join(names[:MOST_NAMES])} and others"
    return f"{', '.join(names[:-1])} and {names[-1]}" if names[1:] else names[0]


def _bare(annotation: Any) -> Any:
    """Return an annotation without its metadata and None; of a union of a model and others, the model."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    parts = [_bare(part) for part in get_args(annotation) if part is not NoneType]
    if get_origin(annotation) in (dict, list) or not parts:
        return annotation
    models = [part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)]
    return models[0] if models else parts[0]
