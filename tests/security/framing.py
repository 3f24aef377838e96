"""Requests whose end two programs could find in different places; and HTTP/2, which is refused."""

from collections.abc import Sequence
from typing import Any

from tests.security.case import ARRIVES, BAD_REQUEST, MISSING, Case, Http2, refused
from tests.support.raw_client import Answer
from tests.support.token_variants import Forgery

HEAD = "POST /loki/api/v1/labels HTTP/1.1\r\nHost: HOST\r\n"
GOOD = "Authorization: Bearer GOOD\r\n"
HIDDEN = "GET /loki/api/v1/labels HTTP/1.1\r\nHost: x\r\nX-Scope-OrgID: system\r\nX: "
MANY = "X: x\r\n" * 200
CHUNKED = "Transfer-Encoding: chunked\r\n"
OLD = (426, "use HTTP/1.1: other versions are refused")
NEXT = f"GET /loki/api/v1/labels HTTP/1.1\r\nHost: HOST\r\n{GOOD}Connection: close\r\n\r\n"


def _case(name: str, answers: Answer | Sequence[Answer], *raw: str, perhaps: int = 0) -> Case:
    return Case(name, answers, raw=raw, api="loki", perhaps=perhaps)


BOTH = f"{HEAD}{GOOD}Content-Length: {len(HIDDEN) + 5}\r\n"
LENGTHS = [
    _case("CL.TE", BAD_REQUEST, f"{BOTH}{CHUNKED}\r\n0\r\n\r\n{HIDDEN}"),
    _case("TE.CL", BAD_REQUEST, f"{HEAD}{GOOD}{CHUNKED}Content-Length: 4\r\n\r\n5c\r\n{HIDDEN}\r\n0\r\n\r\n"),
    *(
        _case(f"Transfer-Encoding as {form!r}, and a length", BAD_REQUEST, f"{BOTH}{form}\r\n\r\n0\r\n\r\n{HIDDEN}")
        for form in (
            "transfer-encoding: CHUNKED",
            "Transfer-Encoding: xchunked",
            "Transfer-Encoding: chunked, identity",
            "Transfer-Encoding: identity, chunked",
            "Transfer-Encoding:\tchunked",
            "Transfer-Encoding : chunked",
            "Transfer-Encoding: \x0bchunked",
            "Transfer-Encoding: 'chunked'",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            "Transfer-Encoding\n: chunked",
            "X: x\nTransfer-Encoding: chunked",
        )
    ),
    _case(
        "Transfer-Encoding behind a bare carriage return",
        ARRIVES,
        f"{BOTH}X: x\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}",
    ),
    *(
        _case(f"Transfer-Encoding as {form!r}", answer, f"{HEAD}{GOOD}{form}\r\n\r\n0\r\n\r\n")
        for form, answer in {
            "Transfer-Encoding: gzip, chunked": (501, "Not Implemented"),
            "Transfer-Encoding: identity": (501, "Not Implemented"),
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked": (501, "Not Implemented"),
        }.items()
    ),
    *(
        _case(
            f"lengths {first!r} and {second!r}",
            BAD_REQUEST,
            f"{HEAD}{GOOD}Content-Length: {first}\r\nContent-Length: {second}\r\n\r\nabc",
        )
        for first, second in (("0", "3"), ("3", "0"), ("3", "3"))
    ),
    *(
        _case(f"a length of {length!r}", BAD_REQUEST, f"{HEAD}{GOOD}Content-Length: {length}\r\n\r\nabc")
        for length in ("3, 3", "3,0", "+3", "-1", "0x3", "3.0", "3 0", "a", "99999999999999999999999", "\u0663")
    ),
    *(
        _case(
            f"a chunk whose size is {size!r}",
            BAD_REQUEST,
            f"{HEAD}{GOOD}{CHUNKED}\r\n{size}\r\nabc\r\n0\r\n\r\n",
            perhaps=1,
        )
        for size in ("-3", "+3", "0x3", "x", "", "fffffffffffffffff", " 3")
    ),
    # Where no byte limit holds, the gateway streams bodies of any length that a request may have.
    _case("80 KiB in a chunk", ARRIVES, f"{HEAD}{GOOD}{CHUNKED}\r\n14000\r\n{'x' * 0x14000}\r\n0\r\n\r\n"),
    _case("a chunk without its line's end", BAD_REQUEST, f"{HEAD}{GOOD}{CHUNKED}\r\n3\r\nabcX0\r\n\r\n", perhaps=1),
    _case(
        "a chunk's size that ends with a line feed alone",
        BAD_REQUEST,
        f"{HEAD}{GOOD}{CHUNKED}\r\n3\nabc\r\n0\r\n\r\n",
        perhaps=1,
    ),
]

LINES = [
    _case("a header that is folded", ARRIVES, f"{HEAD}X: x\r\n y\r\n{GOOD}\r\n"),
    _case("a folded Authorization", ARRIVES, f"{HEAD}Authorization: Bearer\r\n GOOD\r\n\r\n"),
    _case("a folded Transfer-Encoding", BAD_REQUEST, f"{BOTH}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n{HIDDEN}"),
    _case(
        "a blank before the first header",
        BAD_REQUEST,
        f"POST /loki/api/v1/labels HTTP/1.1\r\n Host: HOST\r\n{GOOD}\r\n",
    ),
    _case("a header without a colon", BAD_REQUEST, f"{HEAD}X-Scope-OrgID\r\n{GOOD}\r\n"),
    _case("a header without a name", BAD_REQUEST, f"{HEAD}: system\r\n{GOOD}\r\n"),
    _case("a null byte in a name", BAD_REQUEST, f"{HEAD}X\0Y: x\r\n{GOOD}\r\n"),
    _case("a null byte in a value", BAD_REQUEST, f"{HEAD}X: x\0y\r\n{GOOD}\r\n"),
    _case("a bare carriage return in a value", ARRIVES, f"{HEAD}X: x\rX-Scope-OrgID: system\r\n{GOOD}\r\n"),
    _case("a header's name in Unicode", BAD_REQUEST, f"{HEAD}X-Sc\u043epe-OrgID: system\r\n{GOOD}\r\n"),
    _case("a null byte in the path", BAD_REQUEST, f"GET /loki/api/v1/labels\0 HTTP/1.1\r\nHost: HOST\r\n{GOOD}\r\n"),
    _case("two blanks before the path", ARRIVES, f"GET  /loki/api/v1/labels HTTP/1.1\r\nHost: HOST\r\n{GOOD}\r\n"),
    _case("a tab before the path", ARRIVES, f"GET\t/loki/api/v1/labels HTTP/1.1\r\nHost: HOST\r\n{GOOD}\r\n"),
    _case("HTTP/0.9", OLD, "GET /loki/api/v1/labels\r\n"),
    _case("HTTP/1.0", OLD, f"GET /loki/api/v1/labels HTTP/1.0\r\nHost: HOST\r\n{GOOD}\r\n"),
    _case("HTTP/1.0 without a token", OLD, "GET /loki/api/v1/labels HTTP/1.0\r\nHost: HOST\r\n\r\n"),
    _case(
        "HTTP/1.0 to another tenant",
        OLD,
        f"GET /loki/api/v1/labels HTTP/1.0\r\nHost: loki.system.DOMAIN\r\n{GOOD}\r\n",
    ),
    _case("HTTP/1.0 without a host", OLD, f"GET /loki/api/v1/labels HTTP/1.0\r\n{GOOD}\r\n"),
    _case(
        "HTTP/1.0 with a length and chunks",
        BAD_REQUEST,
        f"POST /loki/api/v1/labels HTTP/1.0\r\nHost: HOST\r\n{GOOD}Content-Length: 4\r\n{CHUNKED}\r\n0\r\n\r\n{HIDDEN}",
    ),
    _case(
        "a second request behind one by HTTP/1.0",
        [OLD],
        f"GET /loki/api/v1/labels HTTP/1.0\r\nHost: HOST\r\n{GOOD}\r\n{NEXT}",
    ),
    _case("HTTP/1.2", OLD, f"GET /loki/api/v1/labels HTTP/1.2\r\nHost: HOST\r\n{GOOD}\r\n"),
    _case("HTTP/9.9", OLD, f"GET /loki/api/v1/labels HTTP/9.9\r\nHost: HOST\r\n{GOOD}\r\n"),
    _case("no host", (400, ""), f"GET /loki/api/v1/labels HTTP/1.1\r\n{GOOD}\r\n"),
    _case("200 headers", (431, "Request Header Fields Too Large"), f"{HEAD}{MANY}{GOOD}\r\n"),
    _case("no HTTP at all", BAD_REQUEST, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    _case("a second proxy protocol header", BAD_REQUEST, f"PROXY TCP4 10.0.0.1 10.0.0.1 1 1\r\n{HEAD}{GOOD}\r\n"),
]

SEQUENCES = [
    # A refusal closes the connection.
    _case("a second request behind a refused one", [MISSING], f"{HEAD}Content-Length: 0\r\n\r\n{NEXT}"),
    _case(
        "a second request that has no token of its own",
        [ARRIVES, MISSING],
        f"{HEAD}{GOOD}Content-Length: 0\r\n\r\n{HEAD}Connection: close\r\nContent-Length: 0\r\n\r\n",
    ),
    _case(
        "a request in the body of a refused one",
        [MISSING],
        f"{HEAD}Connection: close\r\nContent-Length: {len(NEXT)}\r\n\r\n",
        NEXT,
    ),
    _case(
        "a request behind one for another tenant",
        [refused("unexpected tenant: default")],
        f"GET /loki/api/v1/labels HTTP/1.1\r\nHost: loki.system.DOMAIN\r\n{GOOD}\r\n{NEXT}",
    ),
    _case(
        "Expect: 100-continue without a token",
        [MISSING],
        f"{HEAD}Expect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n\r\n",
    ),
    _case(
        "a body that stops, without a token", [MISSING], f"{HEAD}Content-Length: 1000\r\nConnection: close\r\n\r\nabc"
    ),
    _case("headers that never end", [(408, "request header timeout")], f"{HEAD}{GOOD}X: "),
]


def _h2(name: str, *fields: tuple[str, str | None], **more: Any) -> Http2:
    return Http2(name, fields, **more)


# The gateway supports HTTP/1.1 only: requests by HTTP/2 are refused, and reach no back end.
HTTP2 = [
    _h2("as it should be"),
    _h2("no token", ("authorization", None)),
    _h2("a forged token", token=Forgery(algorithm="none", signature=b"x")),
    _h2("two tokens", ("+authorization", "Bearer GOOD")),
    _h2("another tenant's authority", (":authority", "cortex.system.DOMAIN")),
    _h2("no authority", (":authority", None)),
    _h2("an empty authority", (":authority", "")),
    _h2("two authorities", ("+:authority", "cortex.system.DOMAIN")),
    _h2("an authority, and another host", ("host", "cortex.system.DOMAIN")),
    _h2(
        "another authority, and the right host",
        (":authority", "cortex.system.DOMAIN"),
        ("host", "HOST"),
    ),
    _h2("a user in the authority", (":authority", "x@HOST")),
    _h2("a path in the authority", (":authority", "HOST/x")),
    _h2("a line's end in the authority", (":authority", "HOST\r\nX-Scope-OrgID: system")),
    _h2("two paths", ("+:path", "/config")),
    _h2("no path", (":path", None)),
    _h2("an empty path", (":path", "")),
    _h2("a path without a slash", (":path", "api/v1/labels")),
    _h2("an absolute path", (":path", "https://HOST/config")),
    _h2("a blank in the path", (":path", "/api/v1/labels HTTP/1.1")),
    _h2("a request in the path", (":path", "/api/v1/labels HTTP/1.1\r\nHost: x\r\n\r\nGET /config")),
    _h2("dots in the path", (":path", "/api/v1/labels/../../../config")),
    _h2("a null byte in the path", (":path", "/api/v1/labels\0")),
    _h2("a fragment in the path", (":path", "/api/v1/labels#x")),
    _h2("a line's end in the method", (":method", "GET / HTTP/1.1\r\nX: x")),
    _h2("a blank in the method", (":method", "GET /config")),
    _h2("no method", (":method", None)),
    _h2("CONNECT", (":method", "CONNECT"), (":path", None), (":scheme", None)),
    _h2(
        "a websocket by CONNECT, without a token",
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":path", "/loki/api/v1/tail"),
        ("authorization", None),
        api="loki",
    ),
    _h2("another scheme", (":scheme", "http")),
    _h2("a scheme that is a URL", (":scheme", "http://evil.example.com/?")),
    _h2("a pseudo-header that does not exist", (":tenant", "system")),
    _h2("a pseudo-header behind the others", ("+:scheme", "https")),
    _h2("a line's end in a value", ("x", "x\r\nX-Scope-OrgID: system")),
    _h2("a line feed in a value", ("x", "x\nX-Scope-OrgID: system")),
    _h2("a null byte in a value", ("x", "x\0")),
    _h2("a line's end in a name", ("x: y\r\nx-scope-orgid", "system")),
    _h2("a colon in a name", ("x-scope-orgid:", "system")),
    _h2("a blank behind a name", ("x-scope-orgid ", "system")),
    _h2("capitals in a name", ("X-Scope-OrgID", "system")),
    _h2("underscores in a name", ("x_scope_orgid", "system"), api="loki"),
    _h2("another tenant claimed", ("x-scope-orgid", "system"), api="loki"),
    _h2("Transfer-Encoding", ("transfer-encoding", "chunked"), body="0\r\n\r\nGET /config HTTP/1.1\r\n\r\n"),
    _h2("Connection", ("connection", "x-scope-orgid")),
    _h2("an upgrade", ("connection", "upgrade"), ("upgrade", "websocket")),
    _h2("TE that is not trailers", ("te", "chunked")),
    _h2(
        "a length that is too short",
        (":method", "POST"),
        ("content-length", "0"),
        body="GET /config HTTP/1.1\r\nX: ",
    ),
    _h2(
        "a length that is too long",
        (":method", "POST"),
        ("content-length", "99"),
        body="abc",
    ),
    _h2("two lengths", (":method", "POST"), ("content-length", "3"), ("content-length", "0"), body="abc"),
    _h2("a length that is none", (":method", "POST"), ("content-length", "x"), body="abc"),
]
TABLE = [*LENGTHS, *LINES, *SEQUENCES]
