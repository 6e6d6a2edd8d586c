"""Who may look: the admin token of the API and the pages."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from rosterhook.config import Config
from rosterhook.errors import ConfigError
from rosterhook.private_files import create_privately

COOKIE = "rosterhook_admin"
SHORTEST_TOKEN = 16
#: Answered to everybody: a load balancer has no token, and learns nothing about users.
OPEN_PATHS = frozenset({"/livez", "/readyz"})


def token_path(config: Config) -> Path:
    """Where a generated admin token is kept."""
    return config.data_dir / "admin-token"


def admin_token(config: Config) -> str:
    """The admin token: the configured one, or one that is generated once and kept for the owner's eyes (mode 0600).

    Raises:
        ConfigError: it can neither be read nor written.
    """
    if config.server.admin_token is not None:
        return config.server.admin_token.get_secret_value()
    path = token_path(config)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _create_once(path)
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot keep the admin token in {path}: {error}.", hint="Check data_dir.") from None
    if len(token) < SHORTEST_TOKEN:
        raise ConfigError(f"{path} holds no admin token.", hint="Remove it: a new one is made at the next start.")
    return token


def _create_once(path: Path) -> None:
    """Two processes may start at once: the file appears whole, or was there before."""
    if path.exists():
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    # On disk before it has its name: a power cut must not leave an empty file, which would be an empty token.
    create_privately(draft, f"{secrets.token_urlsafe(32)}\n".encode("ascii"))
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()


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
