"""Asks the org for access tokens: client credentials with private_key_jwt, and DPoP where the app demands it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx2
import structlog

from rosterhook.errors import (
    OktaError,
    OktaForbidden,
    OktaRateLimited,
    OktaUnauthorized,
    OktaUnavailable,
)
from rosterhook.okta import wire
from rosterhook.okta.cures import TRY_AGAIN
from rosterhook.okta.dpop import ProofKey
from rosterhook.okta.faults import codes_of
from rosterhook.okta.keys import SigningKey
from rosterhook.okta.rates import read_rates
from rosterhook.okta.refusals import refusal
from rosterhook.okta.window import LONGEST_WAIT
from rosterhook.okta.wire import Answer

PATH = "/oauth2/v1/token"
WHAT = f"POST {PATH}"
#: Seconds that an assertion is good for. Okta allows an hour; less is less to steal, and more than clocks differ.
ASSERTION_SECONDS = 300
#: Seconds that Okta's tokens live, where the answer does not tell. (Its guide for service apps: one hour, fixed.)
USUAL_LIFETIME = 3600.0
#: No proof, a proof, a proof with the nonce, and one more should the nonce change just then.
MAX_REQUESTS = 4
_MAX_BODY_BYTES = 1024 * 1024

log = structlog.get_logger("rosterhook.okta")


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token as Okta gave it.

    Attributes:
        scheme: "Bearer", or "DPoP" for one that is bound to the key of the proofs.
        lifetime: seconds from the moment it was asked for.
        scopes: what it is good for.
    """

    scheme: str
    value: str = field(repr=False)
    lifetime: float
    scopes: frozenset[str]

    @property
    def authorization(self) -> str:
        """The value of the header `Authorization`."""
        return f"{self.scheme} {self.value}"


class TokenEndpoint:
    """The org authorization server's `/oauth2/v1/token`, for one service app.

    Args:
        org_url: origin of the org.
        client_id: of the service app.
        key: one of its keys.
        http: not closed here.
        timeout_seconds: for one answer.
        now: seconds since 1970.
    """

    def __init__(
        self,
        org_url: str,
        client_id: str,
        key: SigningKey,
        http: httpx2.AsyncClient,
        *,
        timeout_seconds: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._url = org_url.rstrip("/") + PATH
        self._client_id = client_id
        self._key = key
        self._http = http
        self._timeout = timeout_seconds
        self._now = now
        self._nonce = ""
        #: Makes DPoP proofs; None until Okta has demanded one.
        self.proofs: ProofKey | None = None
        #: Seconds for which Okta asked not to be asked again, when it refused the last request; 0 for none.
        self.wait_seconds = 0.0

    async def ask(self, scopes: Sequence[str]) -> AccessToken:
        """Ask for a new token.

        Raises:
            OktaUnauthorized: Okta does not accept the app or its key.
            OktaForbidden: the app was not granted a scope, or a policy refuses it.
            OktaRateLimited: too many tokens were asked for.
            OktaUnavailable: no answer, or a broken one.
        """
        self.wait_seconds = 0.0
        # Nothing else may come out of here: it would be taken for a fault of the user who is being read.
        try:
            return await self._ask(scopes)
        except (OktaUnauthorized, OktaForbidden, OktaRateLimited, OktaUnavailable):
            raise
        except OktaError as error:
            raise OktaUnavailable(
                error.message, hint=error.hint, status=error.status, code=error.code, request_id=error.request_id
            ) from None

    async def _ask(self, scopes: Sequence[str]) -> AccessToken:
        for _ in range(MAX_REQUESTS):
            answer = await self._post(scopes)
            fresh_nonce = self._remember_nonce(answer)
            if answer.status == 200:
                return self._token(answer, scopes)
            if not self._proves_more(answer, fresh_nonce=fresh_nonce):
                break
        self.wait_seconds = _wait_seconds(answer)
        raise refusal(WHAT, answer, scopes, self._now())

    async def _post(self, scopes: Sequence[str]) -> Answer:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if self.proofs is not None:
            headers["DPoP"] = self.proofs.proof("POST", self._url, nonce=self._nonce)
        async with wire.asked(
            self._http,
            "POST",
            self._url,
            WHAT,
            timeout_seconds=self._timeout,
            headers=headers,
            content=self._form(scopes),
        ) as response:
            body = await wire.read(response, WHAT, max_bytes=_MAX_BODY_BYTES)
            return Answer(response.status_code, response.headers, body)

    def _form(self, scopes: Sequence[str]) -> bytes:
        form = {
            "grant_type": "client_credentials",
            "scope": " ".join(scopes),
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": self._key.signed(self._claims()),
        }
        return urlencode(form).encode("ascii")

    def _claims(self) -> dict[str, Any]:
        now = int(self._now())
        return {
            "iss": self._client_id,
            "sub": self._client_id,
            "aud": self._url,
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
            # Okta takes each only once, also when it refuses the request. (Recorded: "has already been used".)
            "jti": uuid.uuid4().hex,
        }

    def _remember_nonce(self, answer: Answer) -> bool:
        """Keep the newest nonce, which good answers bring too; tell whether it is another one."""
        nonce = answer.headers.get("dpop-nonce", "")
        is_other = nonce not in ("", self._nonce)
        self._nonce = nonce or self._nonce
        return is_other

    def _proves_more(self, answer: Answer, *, fresh_nonce: bool) -> bool:
        """Do what the refusal asks for; False when there is nothing (more) to do."""
        codes = codes_of(answer.headers, answer.body)
        wants_nonce = "use_dpop_nonce" in codes
        if not 400 <= answer.status < 429 or not (wants_nonce or "invalid_dpop_proof" in codes):
            return False
        if self.proofs is None:
            log.debug("okta.dpop", reason="the service app demands DPoP")
            self.proofs = ProofKey(self._now)
            return True
        return wants_nonce and fresh_nonce

    def _token(self, answer: Answer, scopes: Sequence[str]) -> AccessToken:
        found = wire.json_of(answer, WHAT)
        given = found if isinstance(found, dict) else {}
        value, scheme = given.get("access_token"), _scheme(given.get("token_type"))
        # httpx2 quotes an illegal header value in its error: a strange token has to be refused before it gets there.
        is_plain = isinstance(value, str) and value.isascii() and value.isprintable() and " " not in value and value
        if not is_plain or not scheme or (scheme == "DPoP" and self.proofs is None):
            raise OktaUnavailable(
                f"Okta answered {WHAT} with something that is no access token to use.",
                hint=f"{TRY_AGAIN} If it stays, check okta.org_url and any proxy on the way to it.",
                status=answer.status,
            )
        told = given.get("scope")
        granted = frozenset(told.split() if isinstance(told, str) else scopes)
        return AccessToken(scheme, str(value), _lifetime(given.get("expires_in")), granted)


def _scheme(token_type: Any) -> str:
    """The spelling that goes into `Authorization`; "" for a type that is not known."""
    known = {"bearer": "Bearer", "dpop": "DPoP"}
    return known.get(token_type.lower(), "") if isinstance(token_type, str) else ""


def _lifetime(seconds: Any) -> float:
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    return float(seconds) if is_number and 0 < seconds < float("inf") else USUAL_LIFETIME


def _wait_seconds(refused: Answer) -> float:
    """What a 429 asks for: Reset - Date + 1 s, as Okta's own SDK waits. With limit 0 it is about calls at a time, and
    its Reset only a hint.
    """
    rates = read_rates(refused.headers)
    if refused.status != 429 or rates.limit == 0 or rates.seconds_left is None:
        return 0.0
    return min(rates.seconds_left + 1.0, LONGEST_WAIT)
