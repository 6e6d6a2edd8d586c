"""Okta's errors, and those of whatever stands between, turned into ours."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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
from rosterhook.okta.cures import TRY_AGAIN, Login, cure

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
    "invalid_scope": OktaForbidden,
    "access_denied": OktaForbidden,
    "consent_required": OktaForbidden,
    "unauthorized_client": OktaForbidden,
    "invalid_client": OktaUnauthorized,
    "invalid_dpop_proof": OktaUnauthorized,
    "use_dpop_nonce": OktaUnauthorized,
    "invalid_token": OktaUnauthorized,
    "temporarily_unavailable": OktaUnavailable,
}
_BY_STATUS: dict[int, type[OktaError]] = {
    401: OktaUnauthorized,
    403: OktaForbidden,
    408: OktaUnavailable,
    425: OktaUnavailable,
}
_E_MAIL = re.compile(r"[^\s\"'<>()@]+@[^\s\"'<>()@]+")
_MISSING = re.compile(r"Resource not found: (.*) \(\w+\)$")
_CHALLENGE = re.compile(r'\b(error|error_description|scope)="([^"]*)"')
_SCOPE_NAMES = re.compile(r"[A-Za-z0-9._]{1,64}( [A-Za-z0-9._]{1,64}){0,9}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:@-]{1,128}")


def request_id_of(headers: Mapping[str, str]) -> str:
    """Okta's `X-Okta-Request-Id`, or "" where there is none or it is no such id."""
    value = headers.get("x-okta-request-id", "")
    return value if _REQUEST_ID.fullmatch(value) else ""


def codes_of(headers: Mapping[str, str], body: bytes) -> tuple[str, ...]:
    """Every code of an answer without success: Okta's `errorCode`, OAuth's `error`, and that of `WWW-Authenticate`,
    where Okta's API tells what is wrong with an access token or a DPoP proof.
    """
    return _codes(_object(body), _challenge(headers))


def fault(
    what: str, status: int, headers: Mapping[str, str], body: bytes, *, user_id: str = "", login: Login = None
) -> OktaError:
    """The error that an answer without success is.

    Args:
        what: the request in words, such as "GET /api/v1/users"; goes into the message.
        status: the HTTP status.
        headers: of the answer; names in any case where the mapping allows it, else in lower case.
        body: of the answer; JSON or anything else.
        user_id: whom, or which hook, the request asked for. Only then can a 404 be OktaNotFound, and only if it is
            Okta's own E0000007 and about that one: anything weaker would delete users because of a wrong address.
        login: how the request was authorized, for the cure.

    Returns:
        The error to raise; its message holds no text of a body that is not Okta's.
    """
    parsed, challenge = _object(body), _challenge(headers)
    codes = _codes(parsed, challenge)
    kind = _kind(status, codes, _text(parsed.get("errorSummary")), user_id)
    if kind is OktaError and challenge and status == 400:
        kind = OktaUnauthorized  # a challenge is about the login, whatever it says: never about a user
    request_id = request_id_of(headers)
    said = _said(parsed) or _said(challenge) or _not_json(headers, body)
    trace = f" (X-Okta-Request-Id: {request_id})" if request_id else ""
    return kind(
        f"Okta answered {status} to {what}: {said}{trace}.",
        hint=_never_okta(status, codes, is_gone=kind is OktaNotFound)
        or cure(codes, what=what, login=login, scope=_needed_scope(challenge))
        or (TRY_AGAIN if status >= 500 else ""),
        status=status,
        code=codes[0] if codes else "",
        request_id=request_id,
    )


def _codes(*answers: Mapping[str, Any]) -> tuple[str, ...]:
    found = (_text(answer.get(key)) for answer in answers for key in ("errorCode", "error"))
    return tuple(dict.fromkeys(code for code in found if code))


def _challenge(headers: Mapping[str, str]) -> dict[str, str]:
    return dict(_CHALLENGE.findall(headers.get("www-authenticate", "")))


def _kind(status: int, codes: Sequence[str], summary: str, user_id: str) -> type[OktaError]:
    if status == 404:
        return OktaNotFound if codes[:1] == ("E0000007",) and _is_about(summary, user_id) else OktaError
    if status >= 500:
        return OktaUnavailable
    if status == 429:
        return OktaRateLimited
    known = (_BY_CODE[code] for code in codes if code in _BY_CODE)
    return next(known, None) or _BY_STATUS.get(status, OktaError)


def _is_about(summary: str, user_id: str) -> bool:
    """Only the code is Okta's contract; but where the summary names what is missing, it has to be that user."""
    named = _MISSING.search(summary)
    return bool(user_id) and (named is None or named[1] == user_id)


def _never_okta(status: int, codes: Sequence[str], *, is_gone: bool) -> str:
    """The cure where the answer is not of the API that was asked; "" where it is."""
    if 300 <= status < 400:
        return _REDIRECT
    is_strange = ("E0000007" in codes and not is_gone) or (not codes and status < 500 and status != 429)
    return _NO_OKTA if is_strange else ""


def _needed_scope(challenge: Mapping[str, str]) -> str:
    """The scopes that Okta names, if they look like some: what stands there is printed."""
    named = challenge.get("scope", "")
    return named if _SCOPE_NAMES.fullmatch(named) else ""


def _said(parsed: Mapping[str, Any]) -> str:
    code = next(iter(_codes(parsed)), "")
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
