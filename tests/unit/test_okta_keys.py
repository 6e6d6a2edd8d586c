"""The private key of a service app: what is taken, and how what is not is refused."""

from __future__ import annotations

import json
from base64 import encodebytes
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from rosterhook.errors import ConfigError
from rosterhook.okta.keys import load_signing_key
from rosterhook.private_files import is_open_to_others

NATIVE = rsa.generate_private_key(65537, 2048)
RSA = RSAKey.import_key(NATIVE)
EC = ECKey.generate_key("P-256")
JWK: dict[str, Any] = dict(RSA.as_dict(private=True))
EC_JWK: dict[str, Any] = dict(EC.as_dict(private=True))


def pem(key: Any, form: PrivateFormat = PrivateFormat.PKCS8, password: bytes | None = None) -> str:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, form, encryption).decode()


def refused(text: str, **settings: str) -> str:
    """The error; it never holds a part of the key."""
    with pytest.raises(ConfigError) as caught:
        load_signing_key(text, name="okta.private_key", **settings)
    assert caught.value.__cause__ is None
    said = str(caught.value)
    assert said.startswith("okta.private_key ")
    assert caught.value.hint
    assert not [line for line in text.splitlines() if len(line) > 30 and "-----" not in line and line in said]
    return said


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL, PrivateFormat.OpenSSH])
@pytest.mark.parametrize(("key", "algorithm"), [(NATIVE, "RS256"), (EC.private_key, "ES256")], ids=["RSA", "EC"])
def test_every_form_of_pem_is_read(form: PrivateFormat, key: Any, algorithm: str) -> None:
    """PKCS#8, PKCS#1 or SEC1, and OpenSSH: what it signs verifies with the public key."""
    signing = load_signing_key(pem(key, form))
    public = RSA if algorithm == "RS256" else EC
    token = jwt.decode(signing.signed({"sub": "app"}), public, algorithms=[algorithm])
    assert (token.claims, token.header) == ({"sub": "app"}, {"typ": "JWT", "alg": algorithm})


@pytest.mark.parametrize(("curve", "algorithm"), [("P-256", "ES256"), ("P-384", "ES384"), ("P-521", "ES512")])
def test_the_curve_decides_the_algorithm(curve: str, algorithm: str) -> None:
    """An EC key has one way to sign."""
    key = ECKey.generate_key(curve)
    assert load_signing_key(key.as_pem(private=True).decode()).algorithm == algorithm
    assert load_signing_key(json.dumps(key.as_dict(private=True))).algorithm == algorithm


def test_a_jwk_brings_its_kid_and_its_alg() -> None:
    """The JSON that Okta shows when it makes a key needs no other setting."""
    signing = load_signing_key(json.dumps({**JWK, "kid": "k1", "alg": "RS384", "use": "sig", "key_ops": ["verify"]}))
    token = jwt.decode(signing.signed({}), RSA, algorithms=["RS384"])
    assert token.header == {"typ": "JWT", "alg": "RS384", "kid": "k1"}


def test_what_is_configured_wins_over_the_jwk() -> None:
    """okta.key_id and okta.algorithm are the operator's word."""
    signing = load_signing_key(json.dumps({**JWK, "kid": "k1", "alg": "RS384"}), algorithm="RS512", key_id="k2")
    assert (signing.key_id, signing.algorithm) == ("k2", "RS512")
    assert jwt.decode(signing.signed({}), RSA, algorithms=["RS512"]).header["kid"] == "k2"


def test_a_jwk_of_three_numbers_and_a_set_of_one_are_read() -> None:
    """n, e and d are a whole key; a set with one key in it is that key."""
    few = {part: JWK[part] for part in ("kty", "n", "e", "d")}
    assert load_signing_key(json.dumps({"keys": [few]})).algorithm == "RS256"


def test_pem_on_one_line_is_read() -> None:
    """Written-out line ends, a byte order mark and blanks around, as in many a variable, do no harm."""
    assert load_signing_key("\ufeff" + pem(NATIVE).strip().replace("\n", "\\n") + " ").algorithm == "RS256"


SMALL = rsa.generate_private_key(65537, 1024)
NUMBERS = "numbers are missing or do not belong together"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (NATIVE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(), "public key"),
        (NATIVE.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode(), "public key"),
        ("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", "certificate"),
        (json.dumps(RSA.as_dict(private=False)), "public key"),
        (pem(NATIVE, password=b"x"), "encrypted with a passphrase"),
        (pem(NATIVE, PrivateFormat.TraditionalOpenSSL, b"x"), "encrypted with a passphrase"),
        (pem(SMALL), "RSA key of 1024 bits"),
        (json.dumps(RSAKey.import_key(pem(NATIVE)).as_dict(private=True) | {"n": "AQAB", "d": "AQAB"}), NUMBERS),
        (pem(ec.generate_private_key(ec.SECP256K1())), "curve that Okta does not take"),
        (pem(ec.generate_private_key(ec.BrainpoolP256R1())), "curve that Okta does not take"),
        (json.dumps({**EC_JWK, "crv": "secp256k1"}), "curve that Okta does not take"),
        (json.dumps({**EC_JWK, "x": JWK["n"]}), NUMBERS),
        (json.dumps({**EC_JWK, "d": 5}), NUMBERS),
        (json.dumps({**JWK, "n": "ä"}), NUMBERS),
        (pem(ed25519.Ed25519PrivateKey.generate()), "takes RSA and EC"),
        (pem(dsa.generate_private_key(1024)), "takes RSA and EC"),
        (json.dumps(OKPKey.generate_key("Ed25519").as_dict(private=True)), "kind that Okta does not take"),
        (json.dumps({"kty": "oct", "k": "c2hhcmVk"}), "kind that Okta does not take"),
        (json.dumps({"keys": [JWK, JWK]}), "set of keys"),
        (json.dumps(JWK)[:-9], "no whole JSON"),
        (pem(NATIVE)[:300] + "\n-----END PRIVATE KEY-----", "no whole PEM"),
        ("0oa1service", "neither PEM nor a JWK"),
        ("", "neither PEM nor a JWK"),
        ("[]", "neither PEM nor a JWK"),
    ],
)
@pytest.mark.filterwarnings("ignore")  # cryptography's, about the weak keys that this test makes
def test_what_is_no_usable_key_is_refused_in_clear_words(text: str, why: str) -> None:
    """Each mistake has its own message, which names the key of the configuration and never quotes its value."""
    assert why in refused(text)


def test_an_encrypted_openssh_key_is_told_as_such() -> None:
    """The form that ssh-keygen writes tells of its passphrase inside."""
    point = EC.public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    public = _strings(b"ecdsa-sha2-nistp256", b"nistp256", point)
    salted = _strings(b"salt of 16 bytes") + (16).to_bytes(4, "big")
    head = b"openssh-key-v1\0" + _strings(b"aes256-ctr", b"bcrypt", salted) + (1).to_bytes(4, "big")
    body = encodebytes(head + _strings(public, b"\0" * 160)).decode()
    text = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{body}-----END OPENSSH PRIVATE KEY-----\n"
    assert "encrypted with a passphrase" in refused(text)


def _strings(*parts: bytes) -> bytes:
    """Each with its length before it, as SSH writes them."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


@pytest.mark.parametrize(("key", "algorithm"), [(JWK, "ES256"), (EC_JWK, "RS256"), (EC_JWK, "ES384")])
def test_an_algorithm_that_does_not_fit_the_key_is_refused(key: dict[str, Any], algorithm: str) -> None:
    """The message tells what the key can do."""
    assert "this key signs with" in refused(json.dumps(key), algorithm=algorithm)


@pytest.mark.parametrize("alg", ["PS256", "none", "HS256", 7, ["RS256"]])
def test_a_jwk_for_another_algorithm_is_refused(alg: Any) -> None:
    """What Okta does not take is not signed with; the cure is to name another."""
    assert 'okta.algorithm to "RS256"' in refused(json.dumps({**JWK, "alg": alg}))


_NAMES = st.sampled_from(["kty", "crv", "d", "n", "e", "x", "y", "keys"])
_VALUES = st.sampled_from(["RSA", "EC", "P-256", "AQAB", "", 1, None, []])


@settings(deadline=None)
@given(text=st.text(max_size=60) | st.dictionaries(_NAMES, _VALUES, max_size=8).map(json.dumps))
def test_nothing_but_a_key_is_a_key(text: str) -> None:
    """Whatever stands there, it is refused in our words and never with a traceback."""
    refused(text)


@pytest.mark.parametrize(("mode", "is_open"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)])
def test_a_file_that_others_may_read_is_noticed(tmp_path: Path, mode: int, is_open: bool) -> None:
    """Read or write for group or others is too much for a private key; a file that is gone is no matter here."""
    path = tmp_path / "key.pem"
    path.write_text("x")
    path.chmod(mode)
    assert is_open_to_others(path) is is_open
    assert not is_open_to_others(tmp_path / "gone")


def test_a_key_is_never_printed() -> None:
    """repr shows no number of the key."""
    shown = repr(load_signing_key(json.dumps(JWK)))
    assert not [part for part in JWK.values() if len(str(part)) > 10 and str(part) in shown]
