"""Logs in as a service app: keeps an access token, renews it in time, and proves with DPoP whose it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from rosterhook.errors import OktaError
from rosterhook.okta.dpop import ProofKey
from rosterhook.okta.faults import codes_of
from rosterhook.okta.token_endpoint import AccessToken

#: Seconds before its end that a token is renewed; half of its life, should that be less.
RENEW_BEFORE = 300.0
#: Seconds after a request for a token, whether it failed or its token is refused, until another is worth asking for.
PAUSE = 5.0
#: A 401 with one of these has another reason than the token. (E0000015: the org lacks the feature.)
_NOT_THE_TOKEN = frozenset({"E0000015", "invalid_dpop_proof"})

log = structlog.get_logger("rosterhook.okta")


class Tokens(Protocol):
    """Where access tokens come from."""

    proofs: ProofKey | None
    wait_seconds: float

    async def ask(self, scopes: Sequence[str]) -> AccessToken:
        """Ask for a new token; raises OktaError."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A token with its times, in seconds of the clock; before `settled_at` a refusal does not end it."""

    token: AccessToken
    settled_at: float
    renew_at: float
    ends: float


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why there is no token, which is the answer to all who want one until the pause is over."""

    error: OktaError
    until: float


class OAuthAuth:
    """Authorizes requests with an access token of a service app.

    However many calls need a token, one asks for it. Its failure is that of all others too, until a pause is over: as
    long as a 429 says, else PAUSE. Nor does anybody ask for another while the token is younger than PAUSE: if that
    one is refused, the next would be too. So no crowd of calls is a storm of requests for tokens, whatever Okta says.

    Nobody waits for a renewal while the old token lives, but the one who asks.

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
        self._failure: _Failure | None = None
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
        """Keep the nonce of the answer, and drop a token that Okta does not take any more, unless it is quite new."""
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
            if self._clock() < self._held.settled_at:
                return False
            self._held = None
        return True

    async def _token(self) -> AccessToken:
        held = self._living()
        if held is not None and (self._clock() < held.renew_at or self._one_renewal.locked()):
            return held.token
        async with self._one_renewal:
            held, now = self._living(), self._clock()
            if held is not None and now < held.renew_at:
                return held.token
            if self._failure is not None and now < self._failure.until:
                # Raised in many tasks, one error would mix up their tracebacks.
                raise copy(self._failure.error)
            return await self._renew()

    def _living(self) -> _Held | None:
        return self._held if self._held is not None and self._clock() < self._held.ends else None

    async def _renew(self) -> AccessToken:
        asked_at = self._clock()
        try:
            token = await self._tokens.ask(self.scopes)
        except OktaError as error:
            now = self._clock()
            self._failure = _Failure(error, now + max(PAUSE, self._tokens.wait_seconds))
            # Only now: meanwhile the old token may have ended, or been refused.
            old = self._living()
            if old is None:
                raise
            log.warning("okta.renewal_failed", error=error.message, hint=error.hint, token_lives_s=int(old.ends - now))
            self._held = replace(old, renew_at=self._failure.until)
            return old.token
        margin = min(RENEW_BEFORE, token.lifetime / 2)
        ends = asked_at + token.lifetime
        self._held = _Held(token, settled_at=self._clock() + PAUSE, renew_at=ends - margin, ends=ends)
        log.debug("okta.token_renewed", scheme=token.scheme, lives_s=int(token.lifetime))
        return token
