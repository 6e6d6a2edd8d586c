"""Logs in as a service app: keeps an access token, renews it in time, and proves with DPoP whose it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from rosterhook.errors import OktaError
from rosterhook.okta.dpop import ProofKey
from rosterhook.okta.faults import codes_of
from rosterhook.okta.token_endpoint import AccessToken

#: Seconds before its end that a token is renewed; half of its life, should that be less.
RENEW_BEFORE = 300.0
#: Seconds without another try after a renewal that failed, while the old token still lives.
PAUSE = 30.0
#: A 401 with one of these has another reason than the token. (E0000015: the org lacks the feature.)
_NOT_THE_TOKEN = frozenset({"E0000015", "invalid_dpop_proof"})

log = structlog.get_logger("rosterhook.okta")


class Tokens(Protocol):
    """Where access tokens come from."""

    proofs: ProofKey | None

    async def ask(self, scopes: Sequence[str]) -> AccessToken:
        """Ask for a new token; raises OktaError."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A token with its times, in seconds of the clock."""

    token: AccessToken
    renew_at: float
    ends: float


class OAuthAuth:
    """Authorizes requests with an access token of a service app.

    However many calls need a token at the same moment, one asks for it, and its failure is the failure of all who
    waited. Nobody waits for a renewal while the old token lives, but the one who asks.

    Args:
        tokens: where they come from.
        scopes: to ask for; the least that the calls need.
        clock: seconds that only grow.
    """

    def __init__(self, tokens: Tokens, scopes: Sequence[str], *, clock: Callable[[], float] = time.monotonic) -> None:
        self.scopes = tuple(scopes)
        self._tokens = tokens
        self._clock = clock
        self._held: _Held | None = None
        self._one_renewal = asyncio.Lock()
        self._renewals = 0
        self._failure: OktaError | None = None
        self._nonce = ""

    async def headers(self, method: str, url: str) -> dict[str, str]:
        """`Authorization`, and for a token that is bound to a key a fresh proof in `DPoP`.

        Raises:
            OktaUnauthorized, OktaForbidden, OktaRateLimited, OktaUnavailable: there is no token to be had.
        """
        token = await self._token()
        headers = {"Authorization": token.authorization}
        if token.scheme == "DPoP" and self._tokens.proofs is not None:
            headers["DPoP"] = self._tokens.proofs.proof(method, url, nonce=self._nonce, access_token=token.value)
        return headers

    def learn(self, sent: Mapping[str, str], status: int, headers: Mapping[str, str], body: bytes) -> bool:
        """Keep the nonce of the answer, and drop a token that Okta does not take any more."""
        self._nonce = headers.get("dpop-nonce", "") or self._nonce
        if not 400 <= status < 429:
            return False
        codes = codes_of(headers, body)
        if "use_dpop_nonce" in codes:
            return "dpop-nonce" in headers
        if "invalid_token" not in codes and (status != 401 or not _NOT_THE_TOKEN.isdisjoint(codes)):
            return False
        # Of many calls that are refused at once, the later ones must not drop what the first has renewed.
        if self._held is not None and self._held.token.authorization == sent.get("Authorization"):
            self._held = None
        return True

    async def _token(self) -> AccessToken:
        held, now = self._held, self._clock()
        if held is not None and (now < held.renew_at or (now < held.ends and self._one_renewal.locked())):
            return held.token
        before = self._renewals
        async with self._one_renewal:
            if self._renewals == before:
                return await self._renew()
            if self._held is not None and self._clock() < self._held.ends:
                return self._held.token
            if self._failure is not None:
                raise self._failure.with_traceback(None)
            return await self._renew()

    async def _renew(self) -> AccessToken:
        old, asked_at = self._held, self._clock()
        try:
            token = await self._tokens.ask(self.scopes)
        except OktaError as error:
            self._renewals += 1
            self._failure = error
            now = self._clock()
            if old is None or now >= old.ends:
                raise
            log.warning("okta.renewal_failed", error=error.message, hint=error.hint, token_lives_s=int(old.ends - now))
            self._held = replace(old, renew_at=now + PAUSE)
            return old.token
        self._renewals += 1
        self._failure = None
        margin = min(RENEW_BEFORE, token.lifetime / 2)
        self._held = _Held(token, asked_at + token.lifetime - margin, asked_at + token.lifetime)
        log.debug("okta.token_renewed", scheme=token.scheme, lives_s=int(token.lifetime))
        return token
