"""Which RSA keys the real Envoy uses, and that one which it drops neither ends the others nor stops a new pod."""

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from components.core import public_keys
from components.core.errors import KeyFileError
from components.core.public_keys import canonical_pem, key_id, public_key
from components.core.scopes import UNLIMITED
from components.gateway.watched_files import ACCESS, TOKEN, access_file, keys_file
from scripts.clients.gateway.state import PodState
from scripts.tokens.key_files import read_key_pair, read_public_key
from scripts.tokens.signing import Grant, Signer
from tests.support.gateway import BAD, KEYS, KID, Gateway, signed


def key_of(exponent: int, file: Path) -> RSAPrivateKey:
    """Return a new key pair from OpenSSL; `file` contains it too."""
    options = ("rsa_keygen_bits:2048", f"rsa_keygen_pubexp:{exponent}")
    command = [
        "openssl",
        "genpkey",
        "-algorithm",
        "RSA",
        *(part for option in options for part in ("-pkeyopt", option)),
    ]
    subprocess.run([*command, "-out", file], check=True, capture_output=True)
    file.chmod(0o600)
    key = load_pem_private_key(file.read_bytes(), None)
    assert isinstance(key, RSAPrivateKey)
    return key


def give(gateway: Gateway, keys: dict[str, str]) -> None:
    """Give the gateway keys that the commands refuse, as an older version did."""
    gateway.set_keys(KEYS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(public_keys, "_envoy_problem", lambda _: None)
        gateway.put(TOKEN, keys_file("showdown", keys))
    gateway.put(ACCESS, access_file(dict.fromkeys(keys, UNLIMITED), []))


@pytest.mark.parametrize("exponent", [3, 5, 37, 257, 65535, 65537, 65539])
def test_the_commands_take_the_exponents_that_envoy_takes(gateway: Gateway, tmp_path: Path, exponent: int) -> None:
    file = tmp_path / "pair.pem"
    key = key_of(exponent, file)
    kid, pem = key_id(key.public_key()), canonical_pem(key.public_key())
    give(gateway, KEYS | {kid: pem})
    gateway.start()
    token = Signer(key).token(Grant(instance="showdown", tenant="default"))
    if exponent in public_keys.EXPONENTS:
        assert gateway.ask(token) == (200, "ok")
        assert gateway.state() == PodState(sorted([KID, kid]), current=True, refused=False)
        assert public_key(pem) == read_public_key(file) == read_key_pair(file).public_key()
    else:
        assert gateway.ask(token) == (401, BAD)
        assert gateway.state() == PodState([KID], current=False, refused=True)
        for read in (read_public_key, read_key_pair):
            with pytest.raises(KeyFileError, match=rf"exponent {exponent},.*`./opstrace ta-create-keypair FILE`"):
                read(file)
    assert gateway.ask(signed()) == (200, "ok")


def test_a_new_pod_starts_with_no_usable_key_and_takes_the_next_good_one(gateway: Gateway, tmp_path: Path) -> None:
    key = key_of(37, tmp_path / "pair.pem")
    give(gateway, {key_id(key.public_key()): canonical_pem(key.public_key())})
    gateway.start()
    assert gateway.is_ready()
    assert gateway.state() == PodState([], current=False, refused=True)
    assert gateway.ask(signed()) == (401, BAD)
    gateway.set_keys(KEYS)
    gateway.await_state(PodState([KID], current=True, refused=False))
    gateway.eventually((200, "ok"), signed())
