"""Why Okta gave no access token, and what to do about it. Okta's words are no contract: unknown ones get a
general cure.
"""

from __future__ import annotations

from collections.abc import Sequence

from rosterhook.errors import OktaError, OktaForbidden, OktaRateLimited, OktaUnauthorized, OktaUnavailable
from rosterhook.okta.cures import SCOPES_PAGE
from rosterhook.okta.faults import fault
from rosterhook.okta.wire import Answer, clock_skew

#: Seconds that clocks may differ before they are the likely reason.
TOLERABLE_SKEW = 60

_KEYS = "Applications > the app > General > Client Credentials"
_WRONG_KEY = (
    "okta.private_key is not of this app, or its public key was not saved: compare it with the keys in"
    f" {_KEYS}. With several keys, set okta.key_id to the KID of this one."
)
_WRONG_APP = (
    "This org knows no service app with this okta.client_id: copy the Client ID from Applications > the app >"
    " General, and check that okta.org_url is the org of the app."
)
_WRONG_ADDRESS = "Set okta.org_url to the org's own address, as the Admin Console shows it: no alias, no proxy's."
_WRONG_KIND = 'Make an app of the type "API Services", and choose "Public key / Private key" for its client login.'
_CLOCK = "Check this machine's clock, and keep it right by NTP."

#: A part of Okta's `error_description`, in small letters, to what cures it. (Okta's catalogue of OAuth errors,
#: 2026.03.1; the first that fits counts.)
_CURES = (
    ("signature algorithm is invalid", "Set okta.algorithm to the one that the key has in the app."),
    ("kid is invalid", _WRONG_KEY),
    ("signature is invalid", _WRONG_KEY),
    ("signing key", _WRONG_KEY),
    ("jwkset", f"The app has no key that fits: save the public key of okta.private_key in {_KEYS}."),
    ("not a valid client_id", _WRONG_APP),
    ("'client_id' parameter", _WRONG_APP),
    (
        "client or the client credentials",
        "Check that the app is active, that okta.client_id is its Client ID (Applications > the app > General), and"
        ' that "Public key / Private key" is chosen there.',
    ),
    ("private_key_jwt", _WRONG_KIND),
    ("application_type", _WRONG_KIND),
    ("grant_type", _WRONG_KIND),
    ("grant type", _WRONG_KIND),
    ("audience claim", _WRONG_ADDRESS),
    ("'htu'", _WRONG_ADDRESS),
    ("already been used", "Something on the way sends requests twice: look for a proxy that repeats them."),
    ("network zones", "Allow this machine's address in the network zones of the app (Security > Networks)."),
)
_OF_TIME = ("expired", "before the current time", "in the future", "too far into the future", "minutes in", "'iat'")


def refusal(what: str, answer: Answer, scopes: Sequence[str], now: float) -> OktaError:
    """The error that a refused request for a token is.

    Args:
        what: the request in words.
        answer: any answer but 200.
        scopes: that were asked for.
        now: seconds since 1970 by this machine's clock.

    Returns:
        OktaRateLimited or OktaUnavailable, which pass; OktaForbidden, for scopes and policies; else OktaUnauthorized.
    """
    error = fault(what, answer.status, answer.headers, answer.body, login="service_app")
    if isinstance(error, OktaRateLimited | OktaUnavailable):
        return error
    kind = OktaForbidden if isinstance(error, OktaForbidden) else OktaUnauthorized
    hint = _cure(error, scopes, clock_skew(answer, now)) or error.hint
    return kind(error.message, hint=hint, status=error.status, code=error.code, request_id=error.request_id)


def _cure(error: OktaError, scopes: Sequence[str], skew: float | None) -> str:
    if not error.code:
        return ""  # not Okta's own words
    words = error.message.lower()
    known = next((cure for part, cure in _CURES if part in words), "")
    if known:
        return known
    is_off = skew is not None and abs(skew) > TOLERABLE_SKEW
    if error.code in ("invalid_client", "invalid_dpop_proof") and is_off and skew is not None:
        side = "ahead of" if skew > 0 else "behind"
        return f"This machine's clock is {abs(skew):.0f} s {side} Okta's: set it right, and keep it so by NTP."
    if any(part in words for part in _OF_TIME):
        return _CLOCK
    if error.code == "invalid_scope" or "scope" in words:
        return f"Grant the app {' and '.join(scopes)}: {SCOPES_PAGE}."
    return ""
