"""An OAuth service app for tests: writes assertions and proofs by hand, so that each can be wrong in one way."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections.abc import Callable
from typing import Any

import httpx2
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from rosterhook.simulator import Settings
from rosterhook.simulator.auth.principals import App

CLIENT = "0oatestapp0000000001"
NOW = 1_800_000_000.5
ORG = "http://simulated.okta.example"
TOKEN_URL = f"{ORG}/oauth2/v1/token"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

APP_KEY = ECKey.generate_key("P-256", {"kid": "app-key"})
OTHER_KEY = ECKey.generate_key("P-256", {"kid": "other-key"})
PROOF_KEY = ECKey.generate_key("P-256")


def app(**changes: Any) -> App:
    """The app that the tests' callers are."""
    return App(**{"client_id": CLIENT, "keys": (APP_KEY.as_dict(private=False),), **changes})


def settings(**changes: Any) -> Settings:
    """An org with that app; `app` changes the app, all else the org."""
    mine = changes.pop("app", {})
    return Settings(**{"users": 2, "apps": (app(**mine),), "index_lag_seconds": 0, **changes})


def sign(header: dict[str, Any], claims: dict[str, Any], key: ECKey | RSAKey) -> str:
    """A JWT in which nothing is checked; a claim or a header that is None is left out."""
    header = {name: value for name, value in header.items() if value is not None}
    claims = {name: value for name, value in claims.items() if value is not None}
    signed = b".".join(_base64(json.dumps(part).encode()) for part in (header, claims))
    return (signed + b"." + _base64(jws.JWSRegistry.algorithms[header["alg"]].sign(signed, key))).decode()


def _base64(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


class Caller:
    """One app before one org.

    Args:
        clock: the app's clock, by default the tests' own.
    """

    def __init__(self, okta: httpx2.AsyncClient, clock: Callable[[], float] = lambda: NOW) -> None:
        self.okta = okta
        self.clock = clock
        self.nonce: str | None = None

    def assertion(
        self, *, key: ECKey | RSAKey = APP_KEY, alg: str = "ES256", kid: str | None = "app-key", **changes: Any
    ) -> str:
        """A client assertion that is right, but for `changes` of its claims."""
        now = int(self.clock())
        claims = {"iss": CLIENT, "sub": CLIENT, "aud": TOKEN_URL, "iat": now, "exp": now + 300, "jti": uuid.uuid4().hex}
        return sign({"alg": alg, "kid": kid}, {**claims, **changes}, key)

    def proof(
        self,
        method: str = "POST",
        url: str = TOKEN_URL,
        *,
        key: ECKey | RSAKey = PROOF_KEY,
        header: dict[str, Any] | None = None,
        token: str | None = None,
        **changes: Any,
    ) -> str:
        """A DPoP proof that is right, but for `header` and for `changes` of its claims."""
        claims: dict[str, Any] = {"htm": method, "htu": url, "iat": int(self.clock()), "jti": uuid.uuid4().hex}
        if token is not None:
            claims["ath"] = _base64(hashlib.sha256(token.encode()).digest()).decode()
        elif self.nonce is not None:
            claims["nonce"] = self.nonce
        right = {"typ": "dpop+jwt", "alg": "ES256", "jwk": key.as_dict(private=False)}
        return sign({**right, **(header or {})}, {**claims, **changes}, key)

    async def ask(
        self,
        *,
        assertion: str | None = None,
        proof: str | None = None,
        params: dict[str, str] | None = None,
        **form: Any,
    ) -> httpx2.Response:
        """Ask for a token once. A form field that is None is left out."""
        fields = {
            "grant_type": "client_credentials",
            "scope": "okta.users.read",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion or self.assertion(),
            **form,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": ""}
        if proof is not None:
            headers["DPoP"] = proof
        data = {name: value for name, value in fields.items() if value is not None}
        return await self.okta.post("/oauth2/v1/token", data=data, headers=headers, params=params)

    async def token(self, **form: Any) -> str:
        """A plain token."""
        answer = await self.ask(**form)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    async def dpop_token(self, **form: Any) -> str:
        """A bound token, by way of the nonce."""
        first = await self.ask(proof=self.proof(), **form)
        self.nonce = first.headers["dpop-nonce"]
        answer = await self.ask(proof=self.proof(), **form)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    async def get(self, path: str, token: str, *, scheme: str = "Bearer", proof: str | None = None) -> httpx2.Response:
        """Call the API with an access token."""
        headers = {"Authorization": f"{scheme} {token}"} | ({} if proof is None else {"DPoP": proof})
        return await self.okta.get(path, headers=headers)


def refusal(answer: httpx2.Response) -> tuple[int, str, str]:
    """Status, error and description of a refused token request."""
    body = answer.json()
    assert set(body) == {"error", "error_description"}
    return answer.status_code, body["error"], body["error_description"]


def challenge(answer: httpx2.Response) -> tuple[int, str, str, str]:
    """Status, scheme, error and description of a refused API call, which has no body."""
    assert answer.content == b""
    scheme, _, rest = answer.headers["www-authenticate"].partition(" ")
    parts = dict(part.split("=", 1) for part in rest.split(", "))
    return answer.status_code, scheme, parts["error"].strip('"'), parts["error_description"].strip('"')
