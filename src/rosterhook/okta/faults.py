"""Okta's errors, and those of whatever stands between, turned into ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from rosterhook.errors import (
    OktaError,
    OktaForbidden,
    OktaNotFound,
    OktaRateLimited,
    OktaUnauthorized,
    OktaUnavailable,
)

#: Okta's `errorCode` to what cures it. (Okta's "error codes" reference, release 2026.08.1.)
HINTS = {
    "E0000001": "Okta found the request itself wrong: please report it, with the request id.",
    "E0000003": "Okta could not read the request: please report it, with the request id.",
    "E0000004": "Make a new API token and set okta.token.",
    "E0000005": "Okta took the credentials for a browser session: set okta.token to an API token of this org.",
    "E0000006": "Give the token's admin a role that may read all users (Read-only Admin), or the app the scope"
    " okta.users.read, and check that the token may be used from this network.",
    "E0000007": "Okta has no such user, or hides it from the role of this token.",
    "E0000008": "okta.org_url is not the address of an Okta org, or something rewrites paths on the way.",
    "E0000009": "Okta failed or took too long: it is tried again later.",
    "E0000010": "Okta is in read-only mode for maintenance: it is tried again later. See https://status.okta.com.",
    "E0000011": "The API token is wrong, revoked, unused for 30 days, or of another org; or its admin was"
    " deactivated. Make a new one and set okta.token.",
    "E0000015": "The org does not have this feature, or the token may not use it: ask Okta's support.",
    "E0000021": "A proxy changed the Accept or Content-Type header on the way.",
    "E0000022": "okta.org_url is not the address of an Okta org, or the token may not use this call.",
    "E0000031": "Okta does not understand this search: please report it, with the request id.",
    "E0000038": "Okta does not allow this in the user's status.",
    "E0000047": "Lower okta.share, or raise the limit of this token in the Admin Console (Security > API).",
    "E0000053": "Okta does not understand this filter: please report it, with the request id.",
    "E0000060": "Okta does not offer this call: please report it, with the request id.",
    "E0000100": "Okta's search is down: it is tried again later.",
    "invalid_client": "Check the client id, and that the public key of the private key is saved in the app.",
    "invalid_scope": "Grant the app the scope okta.users.read (Applications > the app > Okta API Scopes).",
    "invalid_dpop_proof": "The app demands DPoP: turn it off in the app, or use credentials with DPoP.",
    "invalid_token": "The access token is wrong or expired, or lacks the DPoP proof it was made with.",
    "insufficient_scope": "Grant the app the scope okta.users.read (Applications > the app > Okta API Scopes).",
}
_NO_OKTA = "Check okta.org_url, and any proxy on the way to it: this answer is not from Okta's API."
_REDIRECT = "Set okta.org_url to the org's own address, such as https://example.okta.com."

#: These say more than their HTTP status does.
_BY_CODE: dict[str, type[OktaError]] = {
    "E0000004": OktaUnauthorized,
    "E0000005": OktaUnauthorized,
    "E0000006": OktaForbidden,
    "E0000009": OktaUnavailable,
    "E0000010": OktaUnavailable,
    "E0000011": OktaUnauthorized,
    "E0000015": OktaForbidden,
    "E0000047": OktaRateLimited,
    "E0000100": OktaUnavailable,
    "insufficient_scope": OktaForbidden,
}
_BY_STATUS: dict[int, type[OktaError]] = {
    401: OktaUnauthorized,
    403: OktaForbidden,
    408: OktaUnavailable,
    425: OktaUnavailable,
    429: OktaRateLimited,
}
_E_MAIL = re.compile(r"[^\s\"'<>()@]+@[^\s\"'<>()@]+")
_MISSING = re.compile(r"Resource not found: (.*) \(\w+\)$")
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:@-]{1,128}")


def request_id_of(headers: Mapping[str, str]) -> str:
    """Okta's `X-Okta-Request-Id`, or "" where there is none or it is no such id."""
    value = headers.get("x-okta-request-id", "")
    return value if _REQUEST_ID.fullmatch(value) else ""


def fault(what: str, status: int, headers: Mapping[str, str], body: bytes, *, user_id: str = "") -> OktaError:
    """The error that an answer without success is.

    Args:
        what: the request in words, such as "GET /api/v1/users"; goes into the message.
        status: the HTTP status.
        headers: of the answer; names in any case where the mapping allows it, else in lower case.
        body: of the answer; JSON or anything else.
        user_id: whom the request asked for. Only then can a 404 be OktaNotFound, and only if it is Okta's own
            E0000007 and about that user: anything weaker would delete users because of a wrong address.

    Returns:
        The error to raise; its message holds no text of a body that is not Okta's.
    """
    parsed = _object(body)
    code = _text(parsed.get("errorCode")) or _text(parsed.get("error"))
    kind = _kind(status, code, _text(parsed.get("errorSummary")), user_id)
    request_id = request_id_of(headers)
    said = _said(parsed, code) or _not_json(headers, body)
    trace = f" (X-Okta-Request-Id: {request_id})" if request_id else ""
    return kind(
        f"Okta answered {status} to {what}: {said}{trace}.",
        hint=_hint(status, code, is_gone=kind is OktaNotFound),
        status=status,
        code=code,
        request_id=request_id,
    )


def _kind(status: int, code: str, summary: str, user_id: str) -> type[OktaError]:
    if status == 404:
        return OktaNotFound if code == "E0000007" and _is_about(summary, user_id) else OktaError
    if status >= 500:
        return OktaUnavailable
    return _BY_CODE.get(code) or _BY_STATUS.get(status, OktaError)


def _is_about(summary: str, user_id: str) -> bool:
    """Only the code is Okta's contract; but where the summary names what is missing, it has to be that user."""
    named = _MISSING.search(summary)
    return bool(user_id) and (named is None or named[1] == user_id)


def _hint(status: int, code: str, *, is_gone: bool) -> str:
    if 300 <= status < 400:
        return _REDIRECT
    if (code == "E0000007" and not is_gone) or (not code and status < 500 and status != 429):
        return _NO_OKTA
    return HINTS.get(code) or ("It is tried again later." if status >= 500 else "")


def _said(parsed: Mapping[str, Any], code: str) -> str:
    summary = _text(parsed.get("errorSummary")) or _text(parsed.get("error_description"))
    parts = [part for part in (summary, *_causes(parsed.get("errorCauses"))) if part]
    words = _harmless("; ".join(parts))
    return " ".join(part for part in (_harmless(code), words) if part)


def _causes(causes: Any) -> list[str]:
    """Okta sends a list of objects, and in rare answers one object."""
    several = causes if isinstance(causes, list) else [causes]
    return [_text(cause.get("errorSummary")) for cause in several[:3] if isinstance(cause, dict)]


def _not_json(headers: Mapping[str, str], body: bytes) -> str:
    if not body:
        return "no body"
    kind = headers.get("content-type", "").split(";")[0].strip()
    return f"{len(body)} bytes that are no error of Okta's API ({_harmless(kind) or 'no Content-Type'})"


def _object(body: bytes) -> dict[str, Any]:
    try:
        parsed = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _text(value: Any) -> str:
    return value.strip().rstrip(".") if isinstance(value, str) else ""


def _harmless(text: str) -> str:
    """One short printable line, without what may be a login or an e-mail address."""
    line = "".join(char if char.isprintable() else " " for char in text[:1000])
    return _E_MAIL.sub("[redacted]", line)[:300]
