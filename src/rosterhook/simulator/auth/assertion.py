"""Client assertions (private_key_jwt): how a service app shows who it is."""

from __future__ import annotations

from collections.abc import Callable

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from rosterhook.simulator.auth import jose
from rosterhook.simulator.auth.jose import Signed
from rosterhook.simulator.auth.principals import App, Principals
from rosterhook.simulator.auth.refusals import bad_client
from rosterhook.simulator.auth.replays import Replays

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#: How far ahead an assertion may expire, in seconds, by the org's clock.
LONGEST_SECONDS = 3600


class Assertions:
    """Checks assertions.

    Args:
        leeway: how much the caller's clock may differ, in seconds; Okta doesn't tell its own.
    """

    def __init__(self, principals: Principals, clock: Callable[[], float], leeway: float) -> None:
        self._principals = principals
        self._clock = clock
        self._leeway = leeway
        self.used = Replays(clock)

    def check(self, assertion: str, urls: set[str]) -> App:
        """The app that made it; its `jti` is used up, whatever becomes of the request.

        Args:
            urls: how the token endpoint may be called.

        Raises:
            OAuthError: invalid_client, with Okta's words for what is wrong.
        """
        try:
            signed = jose.read(assertion)
        except jose.Unreadable:
            raise bad_client("The parsing of the client_assertion failed.") from None
        app = self._claimed(signed)
        _check_signature(signed, app)
        self._check_claims(signed, urls)
        self._use_up(signed, app)
        if not app.active:
            raise bad_client(
                "Client authentication failed. Either the client or the client credentials are invalid.",
            )
        return app

    def claimed_client(self, assertion: str | None) -> str | None:
        """Whose assertion it says it is, unverified: the rate limit counts before anything is checked."""
        try:
            app = self._principals.app(jose.read(assertion or "").text("iss"))
        except jose.Unreadable:
            return None
        return None if app is None else app.client_id

    def _claimed(self, signed: Signed) -> App:
        if not signed.algorithm_allowed:
            raise bad_client("The client_assertion JWT signature algorithm is invalid.")
        app = self._principals.app(signed.text("iss"))
        if app is None:
            raise bad_client("The issuer claim for client_assertion is not a valid client_id.")
        if signed.claims.get("sub") != app.client_id:
            raise bad_client("The subject claim for client_assertion is not a valid client_id.")
        return app

    def _check_claims(self, signed: Signed, urls: set[str]) -> None:
        audience = signed.claims.get("aud")
        if not any(each in (audience if isinstance(audience, list) else [audience]) for each in urls):
            raise bad_client("The audience claim for client_assertion must be the endpoint invoked for the request.")
        now, expires = self._clock(), signed.seconds("exp")
        if expires is None:
            raise bad_client("The client_assertion must contain the 'exp' claim as seconds since epoch.")
        if expires <= now - self._leeway:
            raise bad_client("The client_assertion token is expired.")
        if expires > now + LONGEST_SECONDS + self._leeway:
            raise bad_client("The client_assertion token has an expiration too far into the future.")
        if (signed.seconds("iat") or 0) > now + self._leeway:
            raise bad_client("The client_assertion token must be issued before the current time.")

    def _use_up(self, signed: Signed, app: App) -> None:
        # Okta's guide "Implement OAuth for Okta with a service app" calls the jti optional.
        jti, expires = signed.text("jti"), signed.seconds("exp") or 0.0
        if jti is not None and not self.used.first(f"{app.client_id}/{jti}", expires + self._leeway):
            raise bad_client("The client_assertion token has already been used.")


def _check_signature(signed: Signed, app: App) -> None:
    if not app.keys:
        raise bad_client("The client does not have a JWKSet configured, but the client_assertion requires one.")
    try:
        # Without a kid the one key of the app is meant; with several, none is.
        key = jose.key_set(app.keys).get_by_kid(signed.header.get("kid"))
    except JoseError:
        raise bad_client("The client_assertion JWT kid is invalid.") from None
    if not isinstance(key, RSAKey | ECKey) or not signed.is_signed_by(key):
        raise bad_client("The client_assertion signature is invalid.")
