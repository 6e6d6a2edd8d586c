"""Okta's errors, in the shape and with the codes of its error catalogue (okta-facts 9)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(eq=False)
class OktaError(Exception):
    """An answer that is not what the caller hoped for."""

    status: int
    code: str
    summary: str
    causes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.summary}"

    def body(self, error_id: str) -> dict[str, object]:
        """The JSON that Okta sends: `errorLink` repeats the code, each cause has a summary of its own."""
        return {
            "errorCode": self.code,
            "errorSummary": self.summary,
            "errorLink": self.code,
            "errorId": error_id,
            "errorCauses": [{"errorSummary": cause} for cause in self.causes],
        }


def invalid(what: str, *causes: str) -> OktaError:
    """The caller's data breaks a rule."""
    return OktaError(400, "E0000001", f"Api validation failed: {what}", causes)


def bad_body() -> OktaError:
    """The body is not the JSON object that was asked for."""
    return OktaError(400, "E0000003", "The request body was not well-formed.")


def no_such_user(key: str) -> OktaError:
    """Recorded: the summary names the id that was asked for and the kind."""
    return OktaError(404, "E0000007", f"Not found: Resource not found: {key} (User)")


def no_such_path() -> OktaError:
    """Nothing lives at this path."""
    return OktaError(404, "E0000008", "The requested path was not found")


def internal() -> OktaError:
    """Okta's own trouble; a query that takes too long also ends like this."""
    return OktaError(500, "E0000009", "Internal Server Error")


def unavailable() -> OktaError:
    """The only 503 of Okta's catalogue."""
    return OktaError(503, "E0000010", "Service is in read only mode")


def bad_token() -> OktaError:
    """No token, or one that Okta doesn't know."""
    return OktaError(401, "E0000011", "Invalid token provided")


def already_active() -> OktaError:
    """Activating who is active."""
    return OktaError(403, "E0000016", "Activation failed because the user is already active")


def bad_method() -> OktaError:
    """The path exists, the method doesn't."""
    return OktaError(405, "E0000022", "The endpoint does not support the provided HTTP method")


def bad_search() -> OktaError:
    """A filter or search that Okta cannot read, or that it doesn't allow."""
    return OktaError(400, "E0000031", "Invalid search criteria.")


def not_locked() -> OktaError:
    """Recorded: unlocking who is not locked out."""
    return OktaError(403, "E0000032", "Unlock is not allowed for this user.", ("The user is not locked out.",))


def wrong_status() -> OktaError:
    """The life cycle has no such step from where the user is."""
    return OktaError(403, "E0000038", "This operation is not allowed in the user's current status.")


def too_many_calls() -> OktaError:
    """The rate limit is used up."""
    return OktaError(429, "E0000047", "API call exceeded rate limit due to too many requests.")
