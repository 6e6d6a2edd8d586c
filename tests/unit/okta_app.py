"""A fake org with a service app: its token endpoint and its API believe nothing that joserfc does not verify."""

from __future__ import annotations

import asyncio
import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl, unquote

import httpx2
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry
from okta_org import rate_headers

from rosterhook.okta.budget import Budget
from rosterhook.okta.client import OktaClient
from rosterhook.okta.keys import SigningKey, load_signing_key
from rosterhook.okta.oauth import OAuthAuth
from rosterhook.okta.token_endpoint import TokenEndpoint

ORG = "https://example.okta.com"
TOKEN_URL = f"{ORG}/oauth2/v1/token"
CLIENT_ID = "0oa1service"
SCOPE = "okta.users.read"
USER = {"id": "00u1", "status": "ACTIVE", "profile": {"login": "ann@example.com"}}
NOW = 1_800_000_000.0
RSA = RSAKey.generate_key(2048)
RSA_PEM = RSA.as_pem(private=True).decode()
ALGORITHMS = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"]


class Refused(Exception):
    """A request is not as it has to be. Okta's token endpoint tells why in JSON, its API only in WWW-Authenticate."""

    def __init__(self, status: int, error: str, why: str, **headers: str) -> None:
        super().__init__(why)
        self.status, self.error, self.why, self.headers = status, error, why, headers

    def by_token_endpoint(self) -> httpx2.Response:
        """As `/oauth2/v1/token` answers."""
        body = {"error": self.error, "error_description": self.why}
        return httpx2.Response(self.status, json=body, headers=self.headers)

    def by_api(self) -> httpx2.Response:
        """As `/api/v1/...` answers."""
        challenge = f'Bearer realm="http://example.okta.com", error="{self.error}", error_description="{self.why}"'
        return httpx2.Response(self.status, headers={"www-authenticate": challenge, **self.headers})


class App:
    """The org. What a test may change: `key`, `granted`, `dpop`, `nonce`, `api_nonce`, `lives`, `wall`, `outage`.

    Attributes:
        asked: the form of every request for a token, with the header and claims of its assertion.
        calls: every request to the API.
        tokens: the good ones, each with the thumbprint of the key it is bound to, or "".
        now: the clock of the client that only grows.
        wall: the client's time of day, beside Okta's own in `okta_now`.
    """

    def __init__(self, key: SigningKey | None = None, *, dpop: bool = False) -> None:
        self.signing = key or load_signing_key(RSA_PEM)
        self.key: RSAKey | ECKey = self.signing.key
        self.granted = {SCOPE, "okta.eventHooks.manage"}
        self.dpop = dpop
        self.nonce, self.api_nonce = "nonce-1", ""
        self.lives: Any = 3600
        self.outage: httpx2.Response | Exception | None = None
        self.gate: asyncio.Event | None = None
        self.was_asked = asyncio.Event()
        self.now, self.wall, self.okta_now = 0.0, NOW, NOW
        self.asked: list[dict[str, Any]] = []
        self.calls: list[httpx2.Request] = []
        self.tokens: dict[str, str] = {}
        self._used: set[str] = set()
        self.transport = httpx2.MockTransport(self._answer)
        self.http = httpx2.AsyncClient(transport=self.transport)
        self.endpoint = TokenEndpoint(
            ORG, CLIENT_ID, self.signing, self.http, timeout_seconds=5.0, now=lambda: self.wall
        )
        self.auth = OAuthAuth(self.endpoint, [SCOPE], clock=lambda: self.now)
        budget = Budget(1.0, clock=lambda: self.now, sleep=self._sleep, parallel=100)
        self.client = OktaClient(ORG, self.auth, budget, timeout_seconds=5, transport=self.transport)

    async def _sleep(self, seconds: float) -> None:
        self.now += seconds

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        await asyncio.sleep(0)  # as on a network: others go on meanwhile
        if str(request.url) == TOKEN_URL:
            try:
                return await self._token(request)
            except Refused as refused:
                return refused.by_token_endpoint()
        self.calls.append(request)
        try:
            self._admit(request)
        except Refused as refused:
            return refused.by_api()
        nonce = {"dpop-nonce": self.api_nonce} if self.api_nonce else {}
        # A known limit lets calls run beside each other.
        return httpx2.Response(200, json=USER, headers={**rate_headers(100_000, 90_000, 30), **nonce})

    async def _token(self, request: httpx2.Request) -> httpx2.Response:
        form = dict(parse_qsl(request.content.decode()))
        assertion = self._assertion(form)
        self.asked.append({**form, "header": assertion.header, "claims": assertion.claims})
        self.was_asked.set()
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(self.outage, Exception):
            raise self.outage
        if self.outage is not None:
            return self.outage
        self._once(assertion.claims["jti"], 401, "invalid_client", "The client_assertion token has already been used.")
        bound = self._proof(request, nonce=self.nonce) if self.dpop or "dpop" in request.headers else ""
        if not set(form["scope"].split()) <= self.granted:
            raise Refused(400, "invalid_scope", "One or more scopes are not configured.", date=date(self.okta_now))
        value = f"at-{len(self.tokens) + 1}"
        self.tokens[value] = bound
        body = {"token_type": "DPoP" if bound else "Bearer", "access_token": value, "scope": form["scope"]}
        headers = {"dpop-nonce": self.nonce} if bound else {}
        return httpx2.Response(200, json={**body, "expires_in": self.lives}, headers=headers)

    def _assertion(self, form: dict[str, str]) -> jwt.Token:
        assert form["grant_type"] == "client_credentials"
        assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        try:
            assertion = jwt.decode(form["client_assertion"], self.key, algorithms=ALGORITHMS)
        except JoseError:
            raise Refused(401, "invalid_client", "The client_assertion signature is invalid.") from None
        claims = assertion.claims
        assert claims["iss"] == claims["sub"] == CLIENT_ID
        assert claims["aud"] == TOKEN_URL
        if claims["exp"] < self.okta_now:
            why = "The client_assertion token is expired."
            raise Refused(401, "invalid_client", why, date=date(self.okta_now))
        assert claims["exp"] - claims["iat"] <= 3600
        return assertion

    def _admit(self, request: httpx2.Request) -> None:
        scheme, _, value = request.headers["authorization"].partition(" ")
        if value not in self.tokens:
            raise Refused(401, "invalid_token", "The access token has been revoked.")
        bound = self.tokens[value]
        assert scheme == ("DPoP" if bound else "Bearer")
        if bound:
            assert self._proof(request, nonce=self.api_nonce, token=value) == bound

    def _proof(self, request: httpx2.Request, *, nonce: str, token: str = "") -> str:
        """Verify a proof as RFC 9449, 4.3 asks; the thumbprint of its key."""
        if "dpop" not in request.headers:
            raise Refused(400, "invalid_dpop_proof", "The DPoP proof JWT header is missing.")
        header, claims = unverified(request.headers["dpop"])
        assert (header["typ"], set(header["jwk"]) & {"d", "p", "q", "k"}) == ("dpop+jwt", set())
        key = {"RSA": RSAKey, "EC": ECKey}[header["jwk"]["kty"]].import_key(header["jwk"])
        registry = JWSRegistry(algorithms=ALGORITHMS)
        registry.max_header_length = 4096
        jwt.decode(request.headers["dpop"], key, algorithms=ALGORITHMS, registry=registry)
        assert claims["htm"] == request.method
        assert claims["htu"] == unquote(str(request.url).split("?")[0])  # as Okta is seen to compare
        assert abs(claims["iat"] - self.okta_now) <= 300
        self._once(claims["jti"], 400, "invalid_dpop_proof", "The DPoP proof JWT has already been used.")
        if token:
            digest = hashlib.sha256(token.encode()).digest()
            assert claims["ath"] == urlsafe_b64encode(digest).rstrip(b"=").decode()
        if nonce and claims.get("nonce") != nonce:
            why = "Authorization server requires nonce in DPoP proof."
            raise Refused(400, "use_dpop_nonce", why, **{"dpop-nonce": nonce})
        return key.thumbprint()

    def _once(self, jti: str, status: int, error: str, why: str) -> None:
        if jti in self._used:
            raise Refused(status, error, why)
        self._used.add(jti)

    async def aclose(self) -> None:
        """Close what is open."""
        await self.client.aclose()
        await self.http.aclose()


def unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a JWT."""
    header, claims = (json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in token.split(".")[:2])
    return header, claims


def date(seconds: float) -> str:
    """The value of a header `Date`."""
    return formatdate(seconds, usegmt=True)
