"""Every error that rosterhook raises on purpose.

RosterhookError
├── ConfigError            the configuration is wrong; nothing was started
├── StoreError             the own store cannot be read or written
├── OktaError              Okta answered with an error, or not at all
│   ├── OktaUnauthorized   401: the token is wrong, expired or revoked
│   ├── OktaForbidden      403: a scope or an admin role is missing
│   ├── OktaNotFound       404: Okta says that it does not exist (any more)
│   ├── OktaRateLimited    429: even after the wait that Okta asked for
│   ├── OktaStalePlace     400 to a place in a list that Okta itself gave earlier: begin the list anew
│   └── OktaUnavailable    5xx, a timeout, no connection: heals by itself
└── TargetError            a whole target cannot take changes now; one bad user is an outcome, not an error
"""

from __future__ import annotations


class RosterhookError(Exception):
    """What failed, and what to do about it.

    Args:
        message: what failed, on what, and why. Never holds a secret.
        hint: the next thing to do, as an instruction. May be empty.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class ConfigError(RosterhookError):
    """The configuration is wrong."""


class StoreError(RosterhookError):
    """The own store cannot be read or written: locked, full, read-only, or damaged."""


class OktaError(RosterhookError):
    """Okta answered with an error.

    Args:
        message: what was asked and what Okta said.
        hint: the cure, as far as Okta's error code tells it.
        status: the HTTP status; 0 when there was no answer.
        code: Okta's `errorCode`, such as "E0000011"; "" when the body had none.
        request_id: Okta's `X-Okta-Request-Id`, which its support asks for.
    """

    def __init__(self, message: str, *, hint: str = "", status: int = 0, code: str = "", request_id: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.code = code
        self.request_id = request_id


class OktaUnauthorized(OktaError):
    """401: the token is wrong, expired or revoked."""


class OktaForbidden(OktaError):
    """403: a scope or an admin role is missing."""


class OktaNotFound(OktaError):
    """404: Okta says that it does not exist."""


class OktaRateLimited(OktaError):
    """429: the rate limit is spent, even after the wait that Okta asked for."""


class OktaStalePlace(OktaError):
    """400 to a place in a list, or in the System Log, that Okta itself gave earlier: it has grown too old."""


class OktaUnavailable(OktaError):
    """5xx, a timeout or no connection: it heals by itself."""


class TargetError(RosterhookError):
    """A whole target cannot take changes now: down, read-only, or without its table or columns."""
