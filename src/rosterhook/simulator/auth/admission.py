"""Who makes an API call, and whether that caller may make it."""

from __future__ import annotations

from starlette.requests import Request

from rosterhook.simulator import errors
from rosterhook.simulator.auth.access import Access
from rosterhook.simulator.auth.access_tokens import AccessToken, Unusable
from rosterhook.simulator.auth.dpop import Proof
from rosterhook.simulator.auth.principals import Principal
from rosterhook.simulator.auth.refusals import OAuthError, Refusal
from rosterhook.simulator.errors import OktaError

_READ_ONLY = frozenset({"okta.users.read", "okta.groups.read", "okta.logs.read"})
#: What a caller without a role sees as if there was nothing, and how an answer names one of them.
_HIDDEN = {"okta.users.read": "User", "okta.groups.read": "UserGroup"}

_NEEDS_PROOF = "The resource request requires a DPoP proof."
_NEEDS_SCHEME = "The resource request must use the DPoP authentication scheme when using a DPoP bound token."


class Admission:
    """Turns the `Authorization` header into a principal."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def authenticate(self, request: Request, urls: set[str]) -> Principal:
        """Who calls.

        Args:
            urls: how a DPoP proof may write the called URL.

        Raises:
            OktaError: no credentials (403 E0000005), or an unknown API token (401 E0000011).
            Refusal: an access token that isn't good here.
        """
        header = request.headers.get("Authorization", "")
        if not header:
            raise errors.no_session()
        scheme, _, value = header.partition(" ")
        if scheme in {"Bearer", "DPoP"}:
            return self._app(request, urls, scheme, value)
        # Without a blank too: Okta's own SDK for Python (3.x) writes it so, and real orgs answer it.
        token = self._access.principals.token(header[4:].lstrip()) if header.startswith("SSWS") else None
        if token is None:
            raise errors.bad_token()
        return Principal(token.id, token.role)

    def _app(self, request: Request, urls: set[str], scheme: str, value: str) -> Principal:
        try:
            token = self._access.access_tokens.read(value)
        except Unusable as reason:
            raise Refusal(401, scheme, "invalid_token", str(reason)) from None
        app = self._access.principals.app(token.client_id)
        if app is None or not app.active:
            raise Refusal(401, scheme, "invalid_token", "The access token is invalid.")
        self._check_binding(request, urls, scheme, value, token)
        return Principal(app.client_id, app.role, token.scopes)

    def _check_binding(self, request: Request, urls: set[str], scheme: str, value: str, token: AccessToken) -> None:
        if token.bound_to is None:
            if scheme == "DPoP":
                raise Refusal(401, scheme, "invalid_token", "The presented access_token is not DPoP bound.")
            return
        if "DPoP" not in request.headers:
            raise Refusal(400, scheme, "invalid_request", _NEEDS_PROOF)
        if scheme == "Bearer":
            raise Refusal(400, scheme, "invalid_request", _NEEDS_SCHEME)
        proof = self._proof(request, urls, value)
        if proof.thumbprint != token.bound_to:
            description = "The access_token is not bound to the provided DPoP proof."
            raise Refusal(400, scheme, "invalid_dpop_proof", description)

    def _proof(self, request: Request, urls: set[str], value: str) -> Proof:
        try:
            return self._access.proofs.check(request, urls, token=value)
        except OAuthError as error:
            raise Refusal(error.status, "DPoP", error.error, error.description) from None


def check_scope(request: Request, principal: Principal, scope: str, lost: frozenset[str]) -> None:
    """Whether the access token has what the endpoint asks for. Raises Refusal.

    Args:
        scope: empty where nothing is asked for.
        lost: scopes that a fault has taken away.
    """
    if not scope or principal.scopes is None:
        return
    if not principal._replace(scopes=principal.scopes - lost).has_scope(scope):
        scheme = request.headers.get("Authorization", "").partition(" ")[0]
        description = "The access token provided does not contain the required scopes."
        raise Refusal(403, scheme, "insufficient_scope", description)


def sees_nothing(principal: Principal, scope: str, args: tuple[str, ...], *, hides: bool) -> bool:
    """Whether a list is to look empty to this caller.

    Args:
        scope: what the endpoint asks for; it tells what the call is about.
        args: what the path named.
        hides: whether a caller without any role sees an empty org rather than being refused. Both were seen.

    Raises:
        OktaError: 403 E0000006, or 404 for a user or group that is hidden.
    """
    if not scope or principal.role == "super" or (principal.role == "read_only" and scope in _READ_ONLY):
        return False
    if principal.role != "none" or not hides or scope not in _HIDDEN:
        raise errors.forbidden()
    if args:
        raise OktaError(404, "E0000007", f"Not found: Resource not found: {args[0]} ({_HIDDEN[scope]})")
    return True
