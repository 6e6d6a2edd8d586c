"""Signed tokens of others: read first, verified afterwards, because which key fits is written in them."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey

#: What Okta takes for client assertions and DPoP proofs alike; no HS*, no PS*, no "none".
ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")

_END_OF_TIME = 1e15

PublicJwk = dict[str, Any]


class _Registry(jws.JWSRegistry):
    """The header of a proof carries a whole key: one of RSA with 4,096 bits is over the library's 512 bytes."""

    max_header_length = 8192


_REGISTRY = _Registry(algorithms=ALGORITHMS, strict_check_header=False)


class Unreadable(Exception):
    """Not a signed token at all."""


class Signed(NamedTuple):
    """A token that nobody has verified yet."""

    header: dict[str, Any]
    claims: dict[str, Any]
    content: jws.CompactSignature

    @property
    def algorithm_allowed(self) -> bool:
        """Whether it claims to be signed in a way that Okta takes."""
        return self.header.get("alg") in ALGORITHMS

    def seconds(self, claim: str) -> float | None:
        """A time claim, in seconds since 1970; None without one, or if it is no number."""
        value = self.claims.get(claim)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        # Python's JSON knows NaN, with which nothing compares, and numbers beyond every float.
        return float(value) if abs(value) < _END_OF_TIME else None

    def text(self, claim: str) -> str | None:
        """A claim that is a text; None without one, or if it is something else."""
        value = self.claims.get(claim)
        return value if isinstance(value, str) and value else None

    def is_signed_by(self, key: RSAKey | ECKey) -> bool:
        """Whether this key made the signature, with the algorithm that the header names."""
        try:
            return jws.validate_compact(self.content, key, registry=_REGISTRY)
        except (JoseError, ValueError):
            return False


def read(token: str) -> Signed:
    """Take a compact JWS apart. Raises Unreadable."""
    try:
        content = jws.extract_compact(token.encode(), registry=_REGISTRY)
        claims = json.loads(content.payload or b"")
    except (JoseError, ValueError):
        raise Unreadable from None
    if not isinstance(claims, dict) or not isinstance(content.headers(), dict):
        raise Unreadable
    return Signed(content.headers(), claims, content)


def public_key(jwk: Any) -> RSAKey | ECKey:
    """A key to verify with, of a JWK in JSON.

    Raises:
        ValueError: the JWK is no RSA or EC key, or holds a private one.
    """
    if not isinstance(jwk, dict) or jwk.get("kty") not in ("RSA", "EC"):
        raise ValueError('a key is a JWK with "kty": "RSA" or "EC"')
    try:
        key: RSAKey | ECKey = RSAKey.import_key(jwk) if jwk["kty"] == "RSA" else ECKey.import_key(jwk)
        # The library reads the numbers only when the key is used.
        _ = key.public_key
    except (JoseError, ValueError, TypeError) as error:
        raise ValueError(f"this JWK cannot be read: {error}") from None
    if key.is_private:
        raise ValueError("this JWK is a private key; the org needs only the public one")
    return key


def public_jwks(text: str) -> tuple[PublicJwk, ...]:
    """The public keys in a PEM, a JWK or a JWKS; of a private PEM the public half.

    Raises:
        ValueError: there is no RSA or EC key in it.
    """
    if text.lstrip().startswith("{"):
        try:
            document = json.loads(text)
        except ValueError:
            raise ValueError("no RSA or EC key: what begins with a brace must be a JWK or a JWKS") from None
        return tuple(_named(public_key(jwk)) for jwk in document.get("keys", [document]))
    for kind in (RSAKey, ECKey):
        try:
            return (_named(kind.import_key(text)),)
        except (JoseError, ValueError):
            continue
    raise ValueError("no RSA or EC key in PEM form")


def key_set(jwks: tuple[PublicJwk, ...]) -> KeySet:
    """Keys to choose from by `kid`."""
    return KeySet([public_key(jwk) for jwk in jwks])


def _named(key: RSAKey | ECKey) -> PublicJwk:
    key.ensure_kid()
    return dict(key.as_dict(private=False))
