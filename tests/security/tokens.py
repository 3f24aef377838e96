"""Tokens that are wrong in one respect."""

from components.core.names import token_audience
from tests.security.case import ARRIVES, BAD, FORM, Case, refused
from tests.support.raw_client import Answer
from tests.support.token_variants import NULL, OMITTED, REVOKED, At, Forgery
from tests.support.user_session import INSTANCE

AUDIENCE = token_audience(INSTANCE)
SCOPE = refused("scope does not cover metrics:read")
OTHER_TENANT = refused("unexpected tenant: system")
LARGE: Answer = (431, "Request Header Fields Too Large")
JWK = {"kty": "oct", "k": "c2VjcmV0"}
EVIL = "https://evil.example.com/jwks.json"


def _case(name: str, answers: Answer, **forgery: object) -> Case:
    return Case(name, answers, Forgery(**forgery))  # type: ignore[arg-type]  # each call passes fields of Forgery, of several types


ALGORITHMS = [
    *(_case(f"alg {name!r}", FORM, algorithm=name, signature=b"") for name in ("none", "None", "NONE", "nOnE", "")),
    *(_case(f"alg {name!r} with a signature", BAD, algorithm=name, signature=b"x") for name in ("none", "None", "")),
    *(_case(f"{name} signed with the public key's text", BAD, algorithm=name) for name in ("HS256", "HS384", "HS512")),
    *(_case(name, BAD, algorithm=name) for name in ("RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "EdDSA")),
    *(_case(f"alg {name!r}", BAD, algorithm=name) for name in ("rs256", " RS256", "RS256\x00", "RSA-OAEP")),
    _case("alg that is a list", BAD, headers={"alg": ["RS256"]}),
    _case("alg null", BAD, headers={"alg": NULL}),
    _case("no alg", BAD, headers={"alg": OMITTED}),
    _case("alg twice, none last", BAD, more_headers='"alg": "none"'),
    _case("an empty signature", FORM, signature=b""),
    _case("a signature of zeros", BAD, signature=b"\0" * 256),
    _case("a signature of ones", BAD, signature=b"\xff" * 256),
]

KEY_IDS = [
    _case("no kid", BAD, headers={"kid": OMITTED}),
    _case("an empty kid", BAD, headers={"kid": ""}),
    _case("kid null", BAD, headers={"kid": NULL}),
    _case("kid a number", BAD, headers={"kid": 0}),
    _case("kid a list", BAD, headers={"kid": ["a"]}),
    _case("kid an object", BAD, headers={"kid": {"a": 1}}),
    _case("an unknown kid", BAD, headers={"kid": "0" * 40}),
    _case("a path as kid", BAD, headers={"kid": "../../etc/passwd"}),
    _case("an absolute path as kid", BAD, headers={"kid": "/dev/null"}),
    _case("a URL as kid", BAD, headers={"kid": EVIL}),
    _case("SQL as kid", BAD, headers={"kid": "' OR 1=1 --"}),
    _case("Lua as kid", BAD, headers={"kid": '"]={} os.exit() --'}),
    _case("a key of Lua's own tables as kid", BAD, headers={"kid": "__index"}),
    _case("a long kid", BAD, headers={"kid": "a" * 1_000}),
    _case("a huge kid", LARGE, headers={"kid": "a" * 12_000}),
    _case("a stranger's signature under a known kid", BAD, by="stranger"),
    _case("a limited key's token under the trusted key's kid", BAD, by="limited", kid_of="trusted"),
    _case("the trusted key's token under a limited key's kid", BAD, kid_of="limited"),
    _case("a stranger's token under its own kid", BAD, by="stranger", kid_of="stranger"),
    _case("a limited key's kid, and another behind it", BAD, by="limited", more_headers='"kid": "0"'),
    _case("jku with a stranger's key", BAD, by="stranger", headers={"jku": EVIL}),
    _case("x5u with a stranger's key", BAD, by="stranger", headers={"x5u": EVIL}),
    _case("jwk with a stranger's key", BAD, by="stranger", headers={"jwk": JWK}),
    _case("x5c with a stranger's key", BAD, by="stranger", headers={"x5c": ["MIIB"]}),
    _case("jku without a kid", BAD, by="stranger", headers={"jku": EVIL, "kid": OMITTED}),
]

ISSUED = [
    _case("another issuer", BAD, claims={"iss": "somebody"}),
    _case("the issuer in capitals", BAD, claims={"iss": "OPSTRACE-CLI"}),
    _case("the issuer and more", BAD, claims={"iss": "opstrace-cli\0"}),
    _case("the issuer in a list", BAD, claims={"iss": ["opstrace-cli"]}),
    _case("no issuer", BAD, claims={"iss": OMITTED}),
    _case("an empty issuer", BAD, claims={"iss": ""}),
    _case("another instance", BAD, claims={"aud": "opstrace-cluster-other"}),
    _case("an audience that this one's begins", BAD, claims={"aud": f"{AUDIENCE}2"}),
    _case("an audience with a blank", BAD, claims={"aud": f"{AUDIENCE} "}),
    _case("an audience in capitals", BAD, claims={"aud": AUDIENCE.upper()}),
    _case("an audience of slashes", BAD, claims={"aud": "https://opstrace-cluster-other/"}),
    _case("a list of other audiences", BAD, claims={"aud": ["opstrace-cluster-a", "opstrace-cluster-b"]}),
    _case("an empty list of audiences", BAD, claims={"aud": []}),
    _case("a list in a list of audiences", BAD, claims={"aud": [[AUDIENCE]]}),
    _case("an audience that is an object", BAD, claims={"aud": {AUDIENCE: 1}}),
    _case("an audience that is null", BAD, claims={"aud": NULL}),
    _case("no audience", BAD, claims={"aud": OMITTED}),
    _case("a list with this audience", ARRIVES, claims={"aud": ["opstrace-cluster-other", AUDIENCE]}),
]

TIMES = [
    _case("expired long ago", BAD, claims={"exp": 1}),
    _case("expired at the epoch", BAD, claims={"exp": 0}),
    _case("expired before the epoch", BAD, claims={"exp": -1}),
    _case("expired more than the clocks may differ", BAD, claims={"exp": At(-7)}),
    _case("expired less than the clocks may differ", ARRIVES, claims={"exp": At(-1)}),
    _case("no expiry", BAD, claims={"exp": OMITTED}),
    _case("an expiry that is null", BAD, claims={"exp": NULL}),
    _case("an expiry that is text", BAD, claims={"exp": At(600, str)}),
    _case("an expiry that is a list", BAD, claims={"exp": [2**40]}),
    _case("an expiry that is true", BAD, claims={"exp": True}),
    _case("an expiry beyond all numbers", BAD, claims={"exp": 10**400}),
    _case("expiry twice, the last one past", BAD, more_claims='"exp": 1'),
    _case("not before in a minute", BAD, claims={"nbf": At(60)}),
    _case("not before in more than the clocks may differ", BAD, claims={"nbf": At(15)}),
    _case("not before in less than the clocks may differ", ARRIVES, claims={"nbf": At(2)}),
    _case("not before that is text", BAD, claims={"nbf": "0"}),
    _case("issued in a minute", ARRIVES, claims={"iat": At(60)}),
]

SUBJECTS = [
    _case("another tenant", OTHER_TENANT, claims={"sub": "tenant-system"}),
    _case("no subject", BAD, claims={"sub": OMITTED}),
    _case("a subject that is null", BAD, claims={"sub": NULL}),
    _case("an empty subject", BAD, claims={"sub": ""}),
    _case("a list of subjects", BAD, claims={"sub": ["tenant-default"]}),
    _case("a subject without prefix", BAD, claims={"sub": "default"}),
    *(
        _case(f"subject {text!r}", BAD, claims={"sub": text})
        for text in (
            "tenant-DEFAULT",
            "Tenant-default",
            "tenant-default ",
            " tenant-default",
            "tenant-default\0",
            "tenant-default\0system",
            "tenant-default,tenant-system",
            "tenant-*",
            "tenant-.*",
            "tenant-%w+",
            "tenant-",
            "tenant-d\u0435fault",  # a Cyrillic letter
            "tenant-\uff44efault",  # a full-width letter
            "tenant-de\u200bfault",  # a zero-width space
            "tenant-default/../system",
        )
    ),
    _case("subject twice, the last one another's", BAD, more_claims='"sub": "tenant-system"'),
]

RIGHTS = [
    _case("scope null", refused("scope is null"), claims={"scope": NULL}),
    *(
        _case(f"scope {scope!r}", SCOPE, claims={"scope": scope})
        for scope in (
            "",
            " ",
            "metrics:write logs:read",
            ["metrics:read"],
            {"metrics:read": True},
            True,
            1,
            "METRICS:READ",
            "metrics:*",
            "*",
            "metrics:read,logs:read",
            "metrics:read\tlogs:read",
            "xmetrics:read",
            "metrics:readx",
            "metrics:read\0",
            "metrics%:read",
        )
    ),
    _case("scope twice, the last one another", BAD, more_claims='"scope": "x", "scope": "logs:read"'),
    _case("a revoked id", refused("revoked"), claims={"jti": REVOKED}),
    _case("a revoked id twice", BAD, more_claims=f'"jti": "{REVOKED}", "jti": "{REVOKED}"'),
    _case("another id, then a revoked one", BAD, more_claims=f'"jti": "x", "jti": "{REVOKED}"'),
    *(_case(f"id {value!r}", BAD, claims={"jti": value}) for value in (1, True, [REVOKED], {REVOKED: 1})),
    _case("an id that is null", BAD, claims={"jti": NULL}),
    _case("a key that may not read metrics", refused("its key does not cover metrics:read"), by="limited"),
    _case(
        "a limited key's token with a scope that the key has not",
        refused("its key does not cover metrics:read"),
        by="limited",
        claims={"scope": "metrics:read"},
    ),
    _case("a limited key's token for another's host", OTHER_TENANT, by="limited", claims={"sub": "tenant-system"}),
    Case(
        "a limited key's token for a tenant that it has not",
        refused("its key may not speak for this tenant"),
        Forgery(by="limited", claims={"sub": "tenant-system"}),
        host="cortex.system.DOMAIN",
    ),
    Case(
        "a limited key's token for an unknown tenant",
        refused("its key may not speak for this tenant"),
        Forgery(by="limited", claims={"sub": "tenant-nosuch"}),
        host="cortex.nosuch.DOMAIN",
    ),
    Case(
        "another tenant's token at a tenant's Alertmanager",
        OTHER_TENANT,
        Forgery(claims={"sub": "tenant-system"}),
        target="/alertmanager/",
    ),
]

SHAPES = [
    Case("no JWT", BAD, headers=["Authorization: Bearer a.b.c"]),
    Case("only dots", FORM, headers=["Authorization: Bearer .."]),
    Case("two parts", FORM, headers=["Authorization: Bearer a.b"]),
    Case("four parts", FORM, headers=["Authorization: Bearer TOKEN.x"]),
    Case("five parts, as an encrypted token", FORM, headers=["Authorization: Bearer a.b.c.d.e"]),
    Case("padding", FORM, headers=["Authorization: Bearer TOKEN="]),
    Case("a changed signature", BAD, headers=["Authorization: Bearer TOKENx"]),
    Case("JSON in the place of a token", FORM, headers=['Authorization: Bearer {"alg":"none"}']),
    Case("an empty object as each part", BAD, headers=["Authorization: Bearer e30.e30.e30"]),
    Case("a token of 8 KB", BAD, Forgery(claims={"x": "a" * 5_500}, by="stranger")),
    Case("a good token of 8 KB", BAD, Forgery(claims={"x": "a" * 5_500})),
    Case("a token of 16 KB", LARGE, Forgery(claims={"x": "a" * 11_000}, by="stranger")),
    Case("a token of 20 KB", LARGE, Forgery(claims={"x": "a" * 14_000}, by="stranger")),
    Case("a header of deep JSON", BAD, Forgery(by="stranger", more_headers='"x": ' + "[" * 3000 + "]" * 3000)),
    Case("claims of deep JSON", BAD, Forgery(by="stranger", more_claims='"x": ' + "[" * 3000 + "]" * 3000)),
]
TABLE = [*ALGORITHMS, *KEY_IDS, *ISSUED, *TIMES, *SUBJECTS, *RIGHTS, *SHAPES]
