"""The private key that a service app logs in with: PEM or JWK, refused in clear words before it signs anything."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from rosterhook.errors import ConfigError

#: Okta takes no shorter one. (Its guide "Implement OAuth for Okta with a service app".)
MIN_RSA_BITS = 2048
#: The default first. (The same guide: RS256/384/512 and ES256/384/512.)
_OF_RSA = ("RS256", "RS384", "RS512")
_OF_CURVE = {"secp256r1": ("ES256",), "secp384r1": ("ES384",), "secp521r1": ("ES512",)}
_CURVES = ("P-256", "P-384", "P-521")
_JWK_PARTS = ("kty", "n", "e", "d", "p", "q", "dp", "dq", "qi", "crv", "x", "y")

_WANTED = "Give the private key that Okta showed when it made the pair, as PEM or as JSON (JWK)."
_NEW_KEY = "Make a new key in Okta: Applications > the app > General > Client Credentials > Public keys."

PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key, and how to sign with it.

    Attributes:
        algorithm: the `alg` of what it signs, such as "RS256".
        key_id: the `kid` that Okta knows the key by; None leaves it out, which is enough for an app with one key.
    """

    key: RSAKey | ECKey = field(repr=False)
    algorithm: str
    key_id: str | None = None

    def signed(self, claims: Mapping[str, Any]) -> str:
        """The claims as a compact JWT."""
        header = {"alg": self.algorithm} | ({"kid": self.key_id} if self.key_id else {})
        return jwt.encode(header, dict(claims), self.key, algorithms=[self.algorithm])


def load_signing_key(
    text: str, *, name: str = "okta.private_key", algorithm: str | None = None, key_id: str | None = None
) -> SigningKey:
    """Read a private key.

    Args:
        text: PEM (PKCS#8, PKCS#1, SEC1 or OpenSSH), or a JWK as JSON.
        name: where it is configured; stands in the errors, which never quote the key.
        algorithm: how to sign; else the `alg` of the JWK, else RS256, or what the curve asks for.
        key_id: the `kid`; else that of the JWK.

    Raises:
        ConfigError: it is no private key that Okta could take, or it cannot sign with this algorithm.
    """
    text = _unfolded(text)
    native, jwk = _from_jwk(text, name) if text.startswith("{") else (_from_pem(text, name), {})
    possible = _algorithms(native, name)
    chosen = algorithm or jwk.get("alg") or possible[0]
    if chosen not in possible:
        asked = f"okta.algorithm {algorithm}" if algorithm else 'the "alg" of the JWK'
        raise ConfigError(
            f"{name} cannot sign as {asked} wants: this key signs with {' or '.join(possible)}.",
            hint="Leave okta.algorithm out." if algorithm else f'Set okta.algorithm to "{possible[0]}".',
        )
    kid = key_id or jwk.get("kid")
    key = RSAKey.import_key(native) if isinstance(native, RSAPrivateKey) else ECKey.import_key(native)
    return SigningKey(key, chosen, kid if isinstance(kid, str) else None)


def _unfolded(text: str) -> str:
    """One line with written-out line ends is what becomes of PEM in many a variable."""
    text = text.strip().lstrip("\ufeff")
    return text.replace("\\n", "\n") if "\n" not in text and not text.startswith("{") else text


def _from_pem(text: str, name: str) -> PrivateKey | Any:
    if "PRIVATE KEY-----" not in text:
        is_public = "PUBLIC KEY-----" in text or "CERTIFICATE-----" in text or text.startswith(("ssh-", "ecdsa-"))
        raise _wrong(name, "is a public key or a certificate" if is_public else "is neither PEM nor a JWK", _WANTED)
    load = load_ssh_private_key if "OPENSSH" in text else load_pem_private_key
    try:
        return load(text.encode(), password=None)
    except TypeError:
        raise _wrong(
            name,
            "is encrypted with a passphrase, which rosterhook cannot ask for",
            "Write it without: openssl pkey -in KEY -out PLAIN; chmod 600 PLAIN.",
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise _wrong(name, "is no whole PEM: cut off, changed, or of a kind that cannot be read", _WANTED) from None


def _from_jwk(text: str, name: str) -> tuple[PrivateKey, Mapping[str, Any]]:
    jwk = _one_jwk(text, name)
    kind = jwk.get("kty")
    if kind not in ("RSA", "EC"):
        raise _wrong(name, "is a JWK of a kind that Okta does not take", _NEW_KEY)
    if "d" not in jwk:
        raise _wrong(name, "is a public key", _WANTED)
    if kind == "EC" and jwk.get("crv") not in _CURVES:
        raise _unknown_curve(name)
    parts = {part: jwk[part] for part in _JWK_PARTS if part in jwk}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a short key, which is refused below
            key = RSAKey.import_key(parts) if kind == "RSA" else ECKey.import_key(parts)
            native = key.private_key
    except (JoseError, ValueError, TypeError, KeyError, OverflowError, UnsupportedAlgorithm):
        native = None
    if native is None:
        raise _wrong(name, "is a JWK whose numbers are missing or do not belong together", _WANTED)
    return native, jwk


def _one_jwk(text: str, name: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise _wrong(name, 'begins with "{" but is no whole JSON', _WANTED) from None
    several = found.get("keys")
    if several is None:
        return dict(found)
    if isinstance(several, list) and len(several) == 1 and isinstance(several[0], dict):
        return several[0]
    raise _wrong(name, "is a set of keys", "Keep the one private key of it.")


def _algorithms(native: PrivateKey | Any, name: str) -> tuple[str, ...]:
    """What a key may sign with, the usual first."""
    if isinstance(native, RSAPrivateKey):
        if native.key_size < MIN_RSA_BITS:
            raise _wrong(name, f"is an RSA key of {native.key_size} bits; Okta takes {MIN_RSA_BITS} or more", _NEW_KEY)
        return _OF_RSA
    if isinstance(native, EllipticCurvePrivateKey):
        if native.curve.name not in _OF_CURVE:
            raise _unknown_curve(name)
        return _OF_CURVE[native.curve.name]
    raise _wrong(name, "is of a kind that Okta does not take: it takes RSA and EC", _NEW_KEY)


def _unknown_curve(name: str) -> ConfigError:
    return _wrong(name, f"is an EC key on a curve that Okta does not take: it takes {', '.join(_CURVES)}", _NEW_KEY)


def _wrong(name: str, what: str, hint: str) -> ConfigError:
    return ConfigError(f"{name} {what}.", hint=hint)
