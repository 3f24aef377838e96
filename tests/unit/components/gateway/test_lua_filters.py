"""The gateway's Lua on its own, in LuaJIT as Envoy has it. tests/integration runs it in Envoy."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lupa.luajit21 import LuaRuntime

from components.core.scopes import UNLIMITED, KeyLimits
from components.gateway.lua_filters import (
    BAD_TOKEN,
    ENTRY_BYTES,
    FILES,
    HEADER_BYTES_KEPT,
    MOST_BRACKETS,
    MOST_SEPARATORS,
    after_authentication,
    before_authentication,
    before_authentication_at_instance,
    before_bytes,
    close_refused,
    closed_path,
    cut_body,
    keys_of,
    push_answers,
    refuse_connection,
    to_lua,
)

FILTERS = {
    "at a tenant's name": before_authentication("cortex", "a.example.com", authentication=True),
    "without authentication": before_authentication("loki", "a.example.com", authentication=False, per_address=True),
    "at the instance's name": before_authentication_at_instance("a.example.com"),
    "after authentication": after_authentication({"a" * 40: KeyLimits(("x",), ("logs:read",), 1)}, ["some-token"]),
    "too many connections": refuse_connection(),
    "behind a refusal": close_refused(),
    "at a closed path": closed_path(),
    "before bytes": before_bytes(),
    "cut body": cut_body(),
    "pushes": push_answers(legacy_errors=True),
}
# Every file's functions are local, so the text of a test returns the function under test.
PARTS = "\n".join((FILES / f"{name}.lua").read_text() for name in ("base64", "simple", "memoize", "json", "key_id"))
PARAMETERS = (
    f"local PARAMETERS = {{entry_bytes = {ENTRY_BYTES}, header_bytes = {HEADER_BYTES_KEPT}, "
    f"most_brackets = {MOST_BRACKETS}, most_separators = {MOST_SEPARATORS}}}\n"
)


@pytest.fixture(scope="module")
def runtime() -> LuaRuntime:
    return LuaRuntime(encoding="latin-1")


@pytest.fixture(scope="module")
def decoded(runtime: LuaRuntime) -> Any:
    return runtime.execute(f"{PARAMETERS}{PARTS}\nreturn decoded")


@pytest.fixture(scope="module")
def names_key(runtime: LuaRuntime) -> Any:
    return runtime.execute(f"{PARAMETERS}{PARTS}\nreturn function(text) return (names_key(text)) end")


@pytest.fixture(scope="module")
def object_in(runtime: LuaRuntime) -> Any:
    """Return the function that reads JSON; null and what is nested come as None and as `...`."""
    plain = f"""{PARAMETERS}{PARTS}
        return function(text, null, nested)
          local members = object_in(text)
          for name, value in pairs(members or {{}}) do
            if value == NULL then members[name] = null elseif value == NESTED then members[name] = nested end
          end
          return members
        end"""
    read = runtime.execute(plain)

    def members(text: str) -> dict[str, Any] | None:
        found = read(text.encode().decode("latin-1"), "null", "nested")
        return found and {str(name).encode("latin-1").decode(): value for name, value in found.items()}

    return members


@pytest.fixture(scope="module")
def is_simple(runtime: LuaRuntime) -> Any:
    return runtime.execute(f"{PARAMETERS}{PARTS}\nreturn is_simple")


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_loads_and_has_a_function_that_envoy_calls(name: str) -> None:
    fresh = LuaRuntime(encoding="latin-1")
    fresh.execute(FILTERS[name])
    functions = {str(key) for key, value in fresh.globals().items() if str(key).startswith("envoy_on_")}
    assert functions and functions <= {"envoy_on_request", "envoy_on_response"}


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_leaves_nothing_in_the_globals_but_such_functions(name: str) -> None:
    fresh = LuaRuntime(encoding="latin-1")
    before = {str(key) for key in fresh.globals()}
    fresh.execute(FILTERS[name])
    assert {str(key) for key in fresh.globals()} - before <= {"envoy_on_request", "envoy_on_response"}


@given(st.binary(max_size=400), st.booleans(), st.booleans())
def test_base64_is_decoded_with_either_alphabet_and_with_padding_or_without(
    decoded: Any, data: bytes, is_url: bool, is_padded: bool
) -> None:
    text = (base64.urlsafe_b64encode if is_url else base64.b64encode)(data).decode()
    assert decoded(text if is_padded else text.rstrip("=")).encode("latin-1") == data


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["kid", '"kid":"a"', "{", "}", "\\"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.just("kid"), inner, max_size=3)
    ),
    max_leaves=6,
)


def is_as_simple(text: str) -> bool:
    brackets, separators = (sum(map(text.count, symbols)) for symbols in ("[{", ",:"))
    return brackets <= MOST_BRACKETS and separators <= MOST_SEPARATORS


def in_base64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@given(
    st.dictionaries(st.sampled_from(["kid", "alg", "typ", "jwk"]) | st.text(max_size=4), JSON, max_size=4),
    st.booleans(),
)
def test_a_header_has_a_key_id_where_its_outermost_object_names_one(
    names_key: Any, header: dict[str, Any], is_compact: bool
) -> None:
    kid = header.get("kid")
    text = json.dumps(header, separators=(",", ":") if is_compact else None, ensure_ascii=False)
    assert names_key(in_base64(text)) == (isinstance(kid, str) and kid != "" and is_as_simple(text))


@given(st.text(alphabet='[{,:"a0]}', max_size=200))
def test_brackets_and_separators_are_counted_wherever_they_stand(is_simple: Any, text: str) -> None:
    assert is_simple(in_base64(text)) == is_as_simple(text)


@given(st.dictionaries(st.text(max_size=4), JSON, max_size=5), st.booleans())
def test_an_object_in_json_is_read_as_python_reads_it(object_in: Any, members: dict[str, Any], is_ascii: bool) -> None:
    def kept(value: Any) -> Any:
        if isinstance(value, str):
            return value.encode().decode("latin-1")
        return "null" if value is None else "nested" if isinstance(value, dict | list) else value

    read = object_in(json.dumps(members, ensure_ascii=is_ascii))
    assert read == {name: kept(value) for name, value in members.items()}


NO_OBJECT = [
    "",
    "1",
    "[]",
    '"a"',
    "null",
    "{",
    "}",
    "{}}",
    "{} x",
    "{a:1}",
    "{'a':1}",
    '{"a"}',
    '{"a":}',
    '{"a":1,}',
    '{"a":x}',
]
NO_OBJECT += [
    '{"a":1 "b":2}',
    '{"a":[1}',
    '{"a":{]}',
    '{"a":"\\x"}',
    '{"a":"\\u12"}',
    '{"a":"\\ud800"}',
    '{"a":"\\udc00"}',
]
NAMED_TWICE = ['{"a":1,"a":1}', '{"a":null,"a":1}', '{"a":1,"\\u0061":2}', '{"x":{"a":1,"a":2}}', '{"a":[],"a":false}']


@pytest.mark.parametrize("text", [*NO_OBJECT, *NAMED_TWICE])
def test_what_is_no_object_or_names_a_member_twice_is_not_read(object_in: Any, text: str) -> None:
    assert object_in(text) is None


@given(st.text(alphabet='[{,:"\\u0ad8}]', max_size=60) | st.text(max_size=60))
def test_no_text_raises_an_error_where_json_is_read(object_in: Any, text: str) -> None:
    object_in("{" + text)


NO_KEY = ["", "1", '"kid":"a"', '[{"kid":"a"}]', '{"kid"', '{"kid":', '{"kid":"', '{"a":"\\', "}{"]
SINGLE_QUOTES = ["""{'a':',"kid":"x"'}""", """{a:'"kid":"x"'}"""]


@pytest.mark.parametrize("text", [*NO_KEY, *SINGLE_QUOTES])
def test_what_names_no_key_has_none(names_key: Any, text: str) -> None:
    assert names_key(in_base64(text)) is False


@given(st.text(max_size=60))
def test_no_text_raises_an_error(names_key: Any, text: str) -> None:
    assert names_key(in_base64(text)) in (True, False)


@pytest.fixture
def keep(runtime: LuaRuntime) -> Any:
    """A function that is remembered within 10 kB and refuses texts that begin with `-`; returns how often it was asked."""
    return runtime.execute(f"""{PARAMETERS}{PARTS}
        local asked = 0
        local find = memoized(function(text) asked = asked + 1 return text:sub(1, 1) ~= "-" end, 10 * 1000)
        return function(text) find(text) return asked end""")


def of_a_kilobyte(number: int) -> str:
    """Return a text that takes 1 kB with what its entry takes."""
    return f"{number:0{1000 - ENTRY_BYTES}d}"


def test_what_is_remembered_is_bounded_by_bytes(keep: Any) -> None:
    texts = [of_a_kilobyte(number) for number in range(11)]
    assert [keep(text) for text in texts] == [*range(1, 12)]
    assert [keep(text) for text in texts[6:]] == [11] * 5  # the eleventh has dropped the first five
    assert keep(texts[0]) == 12
    assert [keep("-refused") for _ in range(3)] == [13, 14, 15]


def test_what_is_in_use_outlives_texts_that_come_once(keep: Any) -> None:
    used, asked = of_a_kilobyte(0), 0
    keep(used)
    for number in range(1, 101):
        asked = keep(of_a_kilobyte(number))
        assert keep(used) == asked == number + 1


def test_a_result_that_is_false_comes_with_its_reason(runtime: LuaRuntime) -> None:
    find = runtime.execute(f"""{PARAMETERS}{PARTS}
        return memoized(function(text) if text == "bad" then return false, "the reason" end return true end, 1000)""")
    assert [find("good"), find("bad"), find("bad"), find("good")] == [
        True,
        (False, "the reason"),
        (False, "the reason"),
        True,
    ]


def test_the_keys_of_a_filter_are_read_from_its_data() -> None:
    keys = {"a" * 40: UNLIMITED, "b" * 40: KeyLimits(tenants=("x",))}
    assert keys_of(after_authentication(keys, [])) == {*keys}
    assert keys_of("function envoy_on_request(handle) end") == set()


@pytest.mark.parametrize("text", ['"', "\\", "\n", "\r", "\0", "é"])
def test_nothing_that_could_end_a_lua_string_gets_into_a_filter(text: str) -> None:
    with pytest.raises(ValueError, match="has a character that is not allowed in the gateway's Lua"):
        to_lua(f"a{text}b")


def test_the_text_of_a_refused_token_is_one_constant() -> None:
    sources = {path.stem: path.read_text() for path in FILES.glob("*.lua")}
    assert {name for name, text in sources.items() if "PARAMETERS.bad_token" in text} == {
        "after_authentication",
        "credentials",
    }
    assert not [name for name, text in sources.items() if BAD_TOKEN in text]
    assert all(BAD_TOKEN in FILTERS[name] for name in ("at a tenant's name", "after authentication"))
