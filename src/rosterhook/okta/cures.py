"""What to do about an error of Okta's: by its code, by what was called, and by how rosterhook logs in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

#: How rosterhook logs in to the org; None where that is not known.
Login = Literal["token", "service_app"] | None

#: True in the service, and for who has given a command.
TRY_AGAIN = "The service tries again by itself; repeat a command."
SCOPES_PAGE = "Applications > the app > Okta API Scopes"

_NEW_TOKEN = "make a new one (Security > API > Tokens) and set okta.token."  # noqa: S105 - a sentence
_CHECK_APP = "check okta.client_id, and that the app is active."


class _Either(NamedTuple):
    """A cure for each way to log in, in small letters at its beginning."""

    token: str
    service_app: str

    def said(self, login: Login) -> str:
        if login is None:
            return f"With an API token: {self.token} As a service app: {self.service_app}"
        text: str = getattr(self, login)
        return text[0].upper() + text[1:]


#: Okta's `errorCode`, or the `error` of OAuth, to what cures it. (Okta's "error codes" reference, release 2026.08.1.)
CURES: dict[str, str | _Either] = {
    "E0000001": "Mend what Okta names; if that is nothing of yours, please report it, with the request id.",
    "E0000003": "Okta could not read the request: please report it, with the request id.",
    "E0000004": _Either(_NEW_TOKEN, _CHECK_APP),
    "E0000005": "Okta took the credentials for a browser session: set okta.token to an API token of this org, or"
    " okta.client_id and okta.private_key to those of a service app.",
    "E0000007": "Okta has no such user or hook, or hides it from the role of this token or app.",
    "E0000008": "okta.org_url is not the address of an Okta org, or something rewrites paths on the way.",
    "E0000009": f"Okta failed or took too long. {TRY_AGAIN}",
    "E0000010": f"Okta is in read-only mode for maintenance: see https://status.okta.com. {TRY_AGAIN}",
    "E0000011": _Either(
        "the token is wrong, revoked, unused for 30 days, or of another org, or its admin was deactivated:"
        f" {_NEW_TOKEN}",
        _CHECK_APP,
    ),
    "E0000015": "The org does not have this feature, or the token may not use it: ask Okta's support.",
    "E0000021": "A proxy changed the Accept or Content-Type header on the way.",
    "E0000022": "okta.org_url is not the address of an Okta org, or the token may not use this call.",
    "E0000031": "Okta does not understand this search: please report it, with the request id.",
    "E0000038": "Okta does not allow this in the user's status.",
    "E0000047": "Lower okta.share, or raise the limit of this token or app in the Admin Console.",
    "E0000053": "Okta does not understand this filter: please report it, with the request id.",
    "E0000060": "Okta does not offer this call: please report it, with the request id.",
    "E0000100": f"Okta's search is down. {TRY_AGAIN}",
    "invalid_client": "Check okta.client_id, and that the public key of okta.private_key is saved in the app.",
    "access_denied": "Okta's policies refuse the app: see why in Reports > System Log.",
    "unauthorized_client": "The app may not log in this way: make one of the type API Services.",
    "invalid_dpop_proof": "Check this machine's clock (NTP), and that okta.org_url is the org's own address.",
    "use_dpop_nonce": "Something on the way takes the header DPoP-Nonce out of Okta's answers.",
    "invalid_token": f"Okta does not take the service app's token, not even a new one: {_CHECK_APP}",
    "temporarily_unavailable": f"Okta is overloaded or in maintenance. {TRY_AGAIN}",
}
#: Their cure names the scope.
_OF_SCOPES = ("insufficient_scope", "invalid_scope", "consent_required")

_HOOKS_ROLE = "the role Super Administrator, or a custom role with the event hook permissions"
_EDIT_ROLE = "a role that may edit this user, such as Organization Administrator"
_READ_ROLE = "a role that may read all users, such as Read-only Administrator"


def cure(codes: Sequence[str], *, what: str, login: Login, scope: str = "") -> str:
    """What to do about the first code that is known; "" when none is.

    Args:
        codes: of the answer, the first counts most.
        what: the request in words, such as "GET /api/v1/users".
        scope: what `WWW-Authenticate` names as needed; "" when it names nothing.
    """
    for code in codes:
        if code == "E0000006":
            return _role(what).said(login)
        if code in _OF_SCOPES:
            needed = " or ".join(scope.split()) if code == "insufficient_scope" else ""
            return f"Grant the app {needed or 'the scope that this call needs'}: {SCOPES_PAGE}."
        if code in CURES:
            known = CURES[code]
            return known if isinstance(known, str) else known.said(login)
    return ""


def _role(what: str) -> _Either:
    """A scope that is missing has no code of Okta's: this one is about the admin's role."""
    role = _READ_ROLE
    if "/eventHooks" in what:
        role = _HOOKS_ROLE
    elif not what.startswith("GET "):
        role = _EDIT_ROLE
    return _Either(
        f"give the token's admin {role} (Security > Administrators), and check that the token may be used from here.",
        f"give the app {role}: Applications > the app > Admin roles.",
    )
