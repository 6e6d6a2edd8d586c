"""Who may look: the admin token of the API and the pages."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

COOKIE = "rosterhook_admin"
#: Answered to everybody: a load balancer has no token, and learns nothing about users.
OPEN_PATHS = frozenset({"/livez", "/readyz"})


class AdminGuard:
    """ASGI middleware: lets through who has the token, as `Authorization: Bearer` or by the cookie.

    A browser gets the cookie for `?token=` once, and the address without it, so that the token stays neither in
    its history nor in a log.

    Args:
        token: None lets everybody through (the demo, on loopback).
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._token = token
        # Not the token itself: who steals the cookie store cannot call the API with it by other means.
        self._cookie = hmac.new((token or "").encode(), b"rosterhook cookie", hashlib.sha256).hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._token is None or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        given = request.query_params.get("token")
        if given is not None and request.method == "GET" and _same(given, self._token):
            await self._exchange(request)(scope, receive, send)
        elif self._allows(request.headers, request.cookies.get(COOKIE, "")):
            await self._app(scope, receive, send)
        else:
            await _refusal()(scope, receive, send)

    def _allows(self, headers: Headers, cookie: str) -> bool:
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        by_bearer = scheme.lower() == "bearer" and _same(bearer.strip(), self._token or "")
        return by_bearer or _same(cookie, self._cookie)

    def _exchange(self, request: Request) -> RedirectResponse:
        others = [(key, text) for key, text in parse_qsl(request.url.query) if key != "token"]
        # A path alone, never "//host": the redirect must stay here.
        clean = "/" + request.url.path.lstrip("/") + (f"?{urlencode(others)}" if others else "")
        response = RedirectResponse(clean, status_code=303, headers={"Cache-Control": "no-store"})
        secure = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
        response.set_cookie(COOKIE, self._cookie, httponly=True, samesite="strict", secure=secure)
        return response


def _same(given: str, expected: str) -> bool:
    return bool(expected) and hmac.compare_digest(given.encode(), expected.encode())


def _refusal() -> JSONResponse:
    hint = "Send `Authorization: Bearer <admin token>`, or open the link that rosterhook printed at its start."
    body = {"error": "The admin token is missing or wrong.", "hint": hint}
    return JSONResponse(body, 401, headers={"WWW-Authenticate": "Bearer", "Cache-Control": "no-store"})
