"""Access tokens of the org: JWTs signed by its own key, as Okta's are."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, NamedTuple

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from rosterhook.simulator.auth import jose
from rosterhook.simulator.events import new_id


class Unusable(Exception):
    """The token opens nothing; the text is Okta's reason."""


class AccessToken(NamedTuple):
    """A token that is good now.

    Attributes:
        bound_to: the thumbprint of the key that every call must prove to hold; None for a plain Bearer token.
    """

    client_id: str
    scopes: frozenset[str]
    bound_to: str | None


class AccessTokens:
    """Issues tokens and reads them back."""

    def __init__(self, seconds: float, rng: Random, clock: Callable[[], float]) -> None:
        self.seconds = seconds
        self._rng = rng
        self._clock = clock
        self._alive: dict[str, float] = {}
        self._kept_key: RSAKey | None = None

    @functools.cached_property
    def _key(self) -> RSAKey:
        # Made when the first token is: most simulated orgs never issue one.
        return self._kept_key or RSAKey.generate_key(2048, auto_kid=True)

    def issue(self, client_id: str, scopes: list[str], base_url: str, bound_to: str | None) -> str:
        """A new token, for so many seconds."""
        now = self._clock()
        self._alive = {jti: end for jti, end in self._alive.items() if end > now}
        claims: dict[str, Any] = {
            "ver": 1,
            "jti": new_id(self._rng, "AT.", 43),
            "iss": base_url,
            "aud": base_url,
            "sub": client_id,
            "iat": int(now),
            # Not rounded: tests let tokens live for parts of a second.
            "exp": now + self.seconds if self.seconds % 1 else int(now) + int(self.seconds),
            "cid": client_id,
            "scp": scopes,
        }
        if bound_to is not None:
            claims["cnf"] = {"jkt": bound_to}
        self._alive[claims["jti"]] = claims["exp"]
        header = {"kid": self._key.kid, "alg": "RS256"}
        return jwt.encode(header, claims, self._key, default_type=None)

    def read(self, token: str) -> AccessToken:
        """What a token allows. Raises Unusable."""
        try:
            signed = jose.read(token)
        except jose.Unreadable:
            raise Unusable("The access token is invalid.") from None
        if signed.header.get("alg") != "RS256" or not signed.is_signed_by(self._key):
            raise Unusable("The access token is invalid.")
        claims = signed.claims
        if claims["exp"] <= self._clock():
            raise Unusable("The token has expired.")
        if claims["jti"] not in self._alive:
            raise Unusable("The access token has been revoked.")
        return AccessToken(claims["cid"], frozenset(claims["scp"]), claims.get("cnf", {}).get("jkt"))

    def revoke_all(self) -> None:
        """Every token that exists is dead."""
        self._alive.clear()

    def dump(self) -> dict[str, Any]:
        """All of it, for a restart; the org's private key included."""
        return {"key": self._key.as_dict(private=True) if self._alive else None, "alive": dict(self._alive)}

    def load(self, held: Mapping[str, Any]) -> None:
        """What an earlier run had."""
        self._alive = {str(jti): float(end) for jti, end in held["alive"].items()}
        self._kept_key = _private(held["key"]) if held["key"] else None
        self.__dict__.pop("_key", None)


def _private(jwk: dict[str, Any]) -> RSAKey:
    try:
        return RSAKey.import_key(jwk)
    except JoseError as error:
        raise ValueError(f"no RSA key: {error}") from None
