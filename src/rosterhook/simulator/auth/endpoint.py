"""POST /oauth2/v1/token of the org authorization server: client_credentials with private_key_jwt, nothing else."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from rosterhook.simulator.auth.access import Access
from rosterhook.simulator.auth.assertion import TYPE
from rosterhook.simulator.auth.dpop import check_nonce
from rosterhook.simulator.auth.principals import SCOPES, App
from rosterhook.simulator.auth.refusals import OAuthError, bad_client, bad_proof, bad_request, bad_scope

PATH = "/oauth2/v1/token"

_CREDENTIALS = ("client_assertion", "client_assertion_type", "client_id", "client_secret")
_OPENID = ("openid", "profile", "email", "address", "phone", "offline_access", "device_sso")
_ONE_KIND = (
    "Cannot supply multiple client credentials. Use one of the following: credentials in the Authorization header, "
    "credentials in the post body, or a client_assertion in the post body."
)
_ONLY_KEYS = (
    "Client Credentials requests to the Org Authorization Server must use the private_key_jwt "
    "token_endpoint_auth_method."
)
_NO_SCOPE = "The authorization server resource does not have any configured default scopes, 'scope' must be provided."


async def parameters(request: Request) -> dict[str, str]:
    """The form of a request. Raises OAuthError where a name comes twice, or a credential in the query."""
    pairs = parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
    form = dict(pairs)
    if len(form) < len(pairs):
        raise bad_request("The request contained multiple parameters with the same name.")
    if any(name in request.query_params for name in _CREDENTIALS):
        raise bad_request("Client credentials cannot be supplied via query parameters.")
    return form


class TokenEndpoint:
    """Gives access tokens to apps."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def grant(self, request: Request, form: dict[str, str], base_url: str, lost_scopes: frozenset[str]) -> Response:
        """A token for the form of this request: who it is, then the proof of the key, then the scopes (observed order).

        Args:
            base_url: where the org is, for the token's issuer.
            lost_scopes: what counts as not granted, by a fault.

        Raises:
            OAuthError: there is none.
        """
        urls = called_urls(request, base_url)
        app = self._app(request, form, urls)
        bound_to = self._bound_to(request, app, urls)
        scopes = _scopes(form.get("scope"), app, lost_scopes)
        tokens = self._access.access_tokens
        token = tokens.issue(app.client_id, scopes, base_url, bound_to)
        kind = "Bearer" if bound_to is None else "DPoP"
        body = {
            "token_type": kind, "expires_in": int(tokens.seconds), "access_token": token, "scope": " ".join(scopes),
        }  # fmt: skip
        response = JSONResponse(body, headers={"X-Robots-Tag": "noindex,nofollow"})
        if bound_to is not None:
            response.headers["dpop-nonce"] = self._access.nonces.current()
        return response

    def _app(self, request: Request, form: dict[str, str], urls: set[str]) -> App:
        _check_grant_type(form.get("grant_type"))
        assertion = form.get("client_assertion")
        basic = request.headers.get("Authorization", "").casefold().startswith("basic ")
        if (assertion is not None) + ("client_secret" in form) + basic > 1:
            raise OAuthError(401, "invalid_request", _ONE_KIND)
        if basic or "client_secret" in form:
            raise bad_client(_ONLY_KEYS)
        if assertion is None:
            raise bad_client("No client credentials found.")
        if form.get("client_assertion_type") != TYPE:
            raise bad_request("The client_assertion_type is invalid.")
        app = self._access.assertions.check(assertion, urls)
        if form.get("client_id", app.client_id) != app.client_id:
            raise bad_client("Invalid value for 'client_id' parameter.")
        return app

    def _bound_to(self, request: Request, app: App, urls: set[str]) -> str | None:
        """The thumbprint of the caller's key; None for a plain token."""
        if not app.dpop and "DPoP" not in request.headers:
            return None
        proof = self._access.proofs.check(request, urls)
        check_nonce(proof, self._access.nonces)
        if proof.signed.text("jti") is None:
            raise bad_proof("'jti' claim in the DPoP proof JWT is invalid.")
        return proof.thumbprint


def called_urls(request: Request, base_url: str) -> set[str]:
    """How a caller may write the URL that it called: as it did, and as the org calls itself; without a query.

    The path is the decoded one: at Okta an `htu` with %40 in it is invalid (okta-sdk-python#541).
    """
    path = request.scope["path"]
    return {f"{request.url.scheme}://{request.url.netloc}{path}", f"{base_url}{path}"}


def _check_grant_type(grant_type: str | None) -> None:
    if not grant_type:
        raise bad_request("The token request must specify a 'grant_type'. Valid values: [client_credentials]")
    if grant_type != "client_credentials":
        description = "The authorization grant type is not supported by the authorization server."
        raise OAuthError(
            400, "unsupported_grant_type", f"{description} Configured grant types: [client_credentials].",
        )  # fmt: skip


def _scopes(asked: str | None, app: App, lost: frozenset[str]) -> list[str]:
    """Of the scopes asked for those that are granted (observed: not all or nothing)."""
    if asked is None:
        raise bad_scope(_NO_SCOPE)
    names = list(dict.fromkeys(asked.split()))
    if not names:
        raise bad_scope("No scopes were requested.")
    for name in names:
        _check_name(name)
    granted = [name for name in names if name in app.scopes and name not in lost]
    if not granted:
        raise OAuthError(400, "consent_required", "You are not allowed any of the requested scopes.")
    return granted


def _check_name(name: str) -> None:
    if name in _OPENID:
        raise bad_scope(f"Cannot request '{name}' scopes using client credentials.")
    if name.endswith(".self"):
        description = "The 'client_credentials' grant type may not request .self scopes."
        raise OAuthError(400, "client_credentials_self_scope_requested", description)
    if not name.startswith("okta."):
        raise bad_scope("Custom scopes are not allowed for this request.")
    if name not in SCOPES:
        raise bad_scope("One or more scopes are not configured for the authorization server resource.")
