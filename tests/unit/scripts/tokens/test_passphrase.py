"""Key pair files: their size, and the passphrase that encrypts them."""

import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from components.core.errors import KeyFileError
from components.core.public_keys import public_key
from scripts.cli.tokens.create import ta_create_keypair, ta_create_token
from scripts.tokens import passphrase
from scripts.tokens.key_files import new_key, read_key_pair, read_public_key

CANARY = "canary of the passphrase"


def make(path: Path, *options: str) -> Result:
    return CliRunner().invoke(ta_create_keypair, [str(path), *options])


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.write_text(CANARY + "\n")
    return path


@pytest.fixture
def encrypted(tmp_path: Path, secret: Path) -> Path:
    path = tmp_path / "pair.pem"
    assert make(path, "--passphrase-file", str(secret)).exit_code == 0
    return path


def test_bits_are_2048_to_4096(tmp_path: Path) -> None:
    assert make(tmp_path / "pair.pem", "--bits", "3072").exit_code == 0
    assert read_key_pair(tmp_path / "pair.pem").key_size == 3072
    for bits in ("2047", "4097"):
        done = make(tmp_path / "none.pem", "--bits", bits)
        assert done.exit_code == 2 and "2048<=x<=4096" in done.stderr
    assert not (tmp_path / "none.pem").exists()


def test_a_key_of_more_bits_is_refused_wherever_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = rsa.RSAPublicNumbers(65537, (1 << 4103) + 1).public_key()
    text = large.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "public.pem").write_bytes(text)
    with pytest.raises(KeyFileError, match="4104 bits: use at most 4096 bits"):
        public_key(text.decode())
    with pytest.raises(KeyFileError, match="4104 bits: use at most 4096 bits"):
        read_public_key(tmp_path / "public.pem")
    make(tmp_path / "pair.pem")
    monkeypatch.setattr("components.core.public_keys.MAXIMUM_BITS", 2047)  # making a pair of 4,104 bits takes seconds
    with pytest.raises(KeyFileError, match="2048 bits: use at most 2047 bits"):
        read_key_pair(tmp_path / "pair.pem")


def test_an_encrypted_pair_opens_by_file_and_by_environment(
    encrypted: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert b"ENCRYPTED PRIVATE KEY" in encrypted.read_bytes() and stat.S_IMODE(encrypted.stat().st_mode) == 0o600
    arguments = ["showdown", "default", str(encrypted)]
    by_file = CliRunner().invoke(ta_create_token, [*arguments, "--passphrase-file", str(secret)])
    monkeypatch.setenv(passphrase.VARIABLE, CANARY)
    by_environment = CliRunner().invoke(ta_create_token, arguments)
    assert by_file.stdout.count(".") == by_environment.stdout.count(".") == 2
    assert read_public_key(encrypted).key_size == 2048


def test_the_environment_encrypts_a_new_pair_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(passphrase.VARIABLE, CANARY)
    make(tmp_path / "pair.pem")
    assert b"ENCRYPTED" in (tmp_path / "pair.pem").read_bytes()


def test_the_terminal_is_asked_twice_for_a_new_pair_and_once_for_an_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts: list[dict[str, object]] = []

    def prompt(text: str, **options: object) -> str:
        prompts.append({"text": text} | options)
        return CANARY

    monkeypatch.setattr("sys.stdin", type("Terminal", (), {"isatty": lambda self: True})())
    monkeypatch.setattr("click.prompt", prompt)
    new = passphrase.of_new_key(tmp_path / "pair.pem", None, ask=True)
    assert new == passphrase.of_existing_key(tmp_path / "pair.pem") == CANARY.encode()
    assert all(call["hide_input"] and call["err"] for call in prompts)
    assert [call.get("confirmation_prompt", False) for call in prompts] == [True, False]


def test_without_a_passphrase_and_a_terminal_the_error_names_the_remedy(encrypted: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(ta_create_token, ["showdown", "default", str(encrypted)])
    assert isinstance(done.exception, KeyFileError) and "--passphrase-file" in str(done.exception)
    assert "--passphrase-file" in str(make(tmp_path / "other.pem", "--encrypt").exception)


@pytest.mark.parametrize(
    ("content", "reason"), [("fortytwo", "passphrase is wrong"), ("", "0 bytes"), ("x" * 1024, "1024 bytes")]
)
def test_a_wrong_passphrase_is_an_error_that_does_not_show_it(
    encrypted: Path, secret: Path, content: str, reason: str
) -> None:
    secret.write_text(content)
    done = CliRunner().invoke(
        ta_create_token, ["showdown", "default", str(encrypted), "--passphrase-file", str(secret)]
    )
    assert isinstance(done.exception, KeyFileError) and reason in str(done.exception) and not done.stdout
    assert content not in str(done.exception) or not content


def test_encrypted_pkcs1_files_are_read(tmp_path: Path, secret: Path) -> None:
    path = tmp_path / "pkcs1.pem"
    form = PrivateFormat.TraditionalOpenSSL
    path.write_bytes(new_key().private_bytes(Encoding.PEM, form, BestAvailableEncryption(CANARY.encode())))
    assert read_key_pair(path, passphrase.reader(secret)).key_size == 2048


PEM = st.sampled_from([b"-----BEGIN PRIVATE KEY-----\n", b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n", b""])


@given(st.tuples(PEM, st.binary(), st.sampled_from([b"\n-----END PRIVATE KEY-----", b""])).map(b"".join))
def test_no_key_file_raises_anything_but_its_own_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.pem"
    path.write_bytes(content)
    for read in (read_key_pair, read_public_key):
        with pytest.raises(KeyFileError):
            read(path)


def test_a_passphrase_in_the_environment_goes_to_no_program_that_the_command_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(passphrase.VARIABLE, "secret")
    monkeypatch.setattr(passphrase, "_from_environment", {})
    passphrase.keep_from_others()
    assert passphrase.VARIABLE not in os.environ
    assert passphrase.of_existing_key(tmp_path / "pair.pem") == b"secret"
