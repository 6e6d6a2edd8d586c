"""DPoP (RFC 9449) as Okta checks it: the proof that the caller holds the key that a token is bound to."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, NamedTuple

from starlette.requests import Request

from rosterhook.simulator.auth import jose
from rosterhook.simulator.auth.jose import Signed
from rosterhook.simulator.auth.refusals import OAuthError, bad_proof
from rosterhook.simulator.auth.replays import Replays
from rosterhook.simulator.events import new_id

#: How old a proof may be, in seconds (Okta's error list: "issued more than five minutes in the past").
OLDEST_SECONDS = 300
#: A nonce counts while it is the newest and for three times as long again: with Okta's 24 hours, three days.
NONCE_LIVES = 4

MISSING = "The DPoP proof JWT header is missing."
WRONG_ATH = "'ath' claim in the DPoP proof does not match the presented access_token."


class Nonces:
    """The org's nonces; a new one takes over after so many seconds, older ones are good for a while."""

    def __init__(self, seconds: float, rng: Random, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._rng = rng
        self._clock = clock
        self._born: dict[str, float] = {}

    def current(self) -> str:
        """What a proof must name."""
        now = self._clock()
        for nonce, born in self._born.items():
            if 0 <= now - born < self._seconds:
                return nonce
        self._born = {nonce: born for nonce, born in self._born.items() if self._good(born)}
        nonce = new_id(self._rng, "", 32)
        self._born[nonce] = now
        return nonce

    def accepts(self, nonce: object) -> bool:
        """Whether a proof may name this one."""
        return isinstance(nonce, str) and nonce in self._born and self._good(self._born[nonce])

    def dump(self) -> dict[str, Any]:
        """All of it, for a restart."""
        return dict(self._born)

    def load(self, held: Mapping[str, Any]) -> None:
        """What an earlier run had."""
        self._born = {str(nonce): float(born) for nonce, born in held.items()}

    def _good(self, born: float) -> bool:
        return self._clock() - born < NONCE_LIVES * self._seconds


class Proof(NamedTuple):
    """A proof that holds.

    Attributes:
        thumbprint: of the caller's key (RFC 7638), as `cnf.jkt` of a token has it.
    """

    thumbprint: str
    signed: Signed


class Proofs:
    """Checks proofs.

    Args:
        leeway: how far in the future a proof may be made, in seconds.
    """

    def __init__(self, clock: Callable[[], float], leeway: float) -> None:
        self._clock = clock
        self._leeway = leeway
        self.used = Replays(clock)

    def check(self, request: Request, urls: set[str], *, token: str | None = None) -> Proof:
        """The one proof of a request.

        Args:
            urls: how the called URL may be written, without query.
            token: the access token that the proof must name by its hash; None at the token endpoint.

        Raises:
            OAuthError: invalid_dpop_proof, with Okta's words for what is wrong.
        """
        signed = _read(request)
        thumbprint = _thumbprint(signed)
        self._check_claims(signed, request.method, urls)
        if token is not None and signed.claims.get("ath") != _hash(token):
            raise bad_proof(WRONG_ATH)
        self._use_up(signed, thumbprint)
        return Proof(thumbprint, signed)

    def _check_claims(self, signed: Signed, method: str, urls: set[str]) -> None:
        if signed.claims.get("htm") != method:
            raise bad_proof("'htm' claim in the DPoP proof JWT is invalid.")
        if signed.text("htu") not in urls:
            raise bad_proof("'htu' claim in the DPoP proof JWT is invalid.")
        now, issued = self._clock(), signed.seconds("iat")
        if issued is None:
            raise bad_proof("'iat' claim in the DPoP proof JWT is invalid.")
        if issued > now + self._leeway:
            raise bad_proof("The DPoP proof JWT is issued in the future.")
        if issued < now - OLDEST_SECONDS:
            raise bad_proof("The DPoP proof JWT is issued more than five minutes in the past.")
        if "exp" in signed.claims and (signed.seconds("exp") or 0) <= now:
            raise bad_proof("The DPoP proof JWT is expired.")

    def _use_up(self, signed: Signed, thumbprint: str) -> None:
        jti = signed.text("jti")
        # Seen at real orgs: the first request for a token, which has no nonce yet, may lack the jti.
        if jti is None and ("jti" in signed.claims or "nonce" in signed.claims or "ath" in signed.claims):
            raise bad_proof("'jti' claim in the DPoP proof JWT is invalid.")
        if jti is not None and not self.used.first(f"{thumbprint}/{jti}", self._clock() + OLDEST_SECONDS):
            raise bad_proof("The DPoP proof JWT has already been used.")


def check_nonce(proof: Proof, nonces: Nonces) -> None:
    """The proof must name a nonce of the org, or the answer tells one. Raises OAuthError use_dpop_nonce."""
    if not nonces.accepts(proof.signed.claims.get("nonce")):
        description = "Authorization server requires nonce in DPoP proof."
        raise OAuthError(400, "use_dpop_nonce", description, {"dpop-nonce": nonces.current()})


def _read(request: Request) -> Signed:
    sent = request.headers.getlist("DPoP")
    if not sent:
        raise bad_proof(MISSING)
    if len(sent) > 1:
        raise bad_proof("Multiple DPoP proof JWT headers are not allowed.")
    try:
        signed = jose.read(sent[0])
    except jose.Unreadable:
        raise bad_proof("The DPoP proof JWT cannot be parsed.") from None
    if signed.header.get("typ") != "dpop+jwt":
        raise bad_proof("'typ' must be 'dpop+jwt' in the DPoP proof JWT.")
    if not signed.algorithm_allowed:
        raise bad_proof("The DPoP proof JWT signature algorithm is invalid.")
    return signed


def _thumbprint(signed: Signed) -> str:
    try:
        key = jose.public_key(signed.header.get("jwk"))
    except ValueError:
        raise bad_proof("The DPoP proof JWT is invalid.") from None
    if not signed.is_signed_by(key):
        raise bad_proof("The DPoP proof JWT signature is invalid.")
    return key.thumbprint()


def _hash(token: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()
