"""The paths below /_sim for callers of the API: make, change and remove them while the org runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from rosterhook.simulator.auth.principals import ApiToken, Principals, new_key
from rosterhook.simulator.bodies import json_object

Endpoint = Callable[[Request], Awaitable[Response]]

INDEX = {
    "POST /_sim/apps": '{"client_id": "0oa...", "keys": PEM or JWKS, "scopes": [], "role": "super", "dpop": false, '
    '"active": true}: a new OAuth app, or change what is named in one; {"generate": true} makes its keys too',
    "GET /_sim/apps": "the OAuth apps",
    "DELETE /_sim/apps/{client_id}": "remove an OAuth app; its access tokens are worth nothing",
    "POST /_sim/tokens": '{"role": "read_only"}: a new API token, which is shown only now',
    "GET /_sim/tokens": "the API tokens, without their values",
    "DELETE /_sim/tokens/{id}": "revoke an API token",
}


class AccessControl:
    """The endpoints, one method each."""

    def __init__(self, principals: Principals) -> None:
        self._principals = principals

    def table(self) -> list[tuple[str, str, Endpoint]]:
        """Methods, paths and endpoints."""
        return [
            ("GET", "/_sim/apps", self.apps),
            ("POST", "/_sim/apps", self.put_app),
            ("DELETE", "/_sim/apps/{client_id}", self.remove_app),
            ("GET", "/_sim/tokens", self.tokens),
            ("POST", "/_sim/tokens", self.add_token),
            ("DELETE", "/_sim/tokens/{token_id}", self.remove_token),
        ]

    async def apps(self, _request: Request) -> Response:
        """All apps, with their public keys."""
        return JSONResponse([app.as_json() for app in self._principals.apps])

    async def put_app(self, request: Request) -> Response:
        """A new app or a changed one; with `generate`, the private key comes with it, this one time."""
        wanted = await json_object(request)
        made: dict[str, Any] = {}
        if wanted.pop("generate", False):
            key = new_key()
            wanted["keys"] = [key.as_dict(private=False)]
            made = {
                "private_key_pem": key.as_pem(private=True).decode(),
                "private_key_jwk": key.as_dict(private=True),
            }
        app = self._principals.put_app(wanted)
        return JSONResponse({**app.as_json(), **made})

    async def remove_app(self, request: Request) -> Response:
        """The app is gone."""
        client_id = request.path_params["client_id"]
        return _gone(self._principals.remove_app(client_id), f"there is no app {client_id}")

    async def tokens(self, _request: Request) -> Response:
        """All API tokens, without their values."""
        return JSONResponse([_shown(token) for token in self._principals.tokens])

    async def add_token(self, request: Request) -> Response:
        """A new API token."""
        wanted = await json_object(request)
        if unknown := sorted(set(wanted) - {"role"}):
            raise ValueError(f"no such key: {', '.join(unknown)}; there is role")
        token = self._principals.add_token(str(wanted.get("role", "super")))
        return JSONResponse({**_shown(token), "token": token.value})

    async def remove_token(self, request: Request) -> Response:
        """The token is revoked."""
        token_id = request.path_params["token_id"]
        return _gone(self._principals.remove_token(token_id), f"there is no token {token_id}")


def _shown(token: ApiToken) -> dict[str, str]:
    return {"id": token.id, "role": token.role}


def _gone(removed: bool, otherwise: str) -> Response:
    return Response(status_code=204) if removed else JSONResponse({"error": otherwise}, 404)
