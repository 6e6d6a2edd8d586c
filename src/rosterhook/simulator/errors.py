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


@dataclass(eq=False)
class Unproven(OktaError):
    """An event hook has not proved itself.

    Attributes:
        why: what came back, or did not; Okta tells nobody.
    """

    why: str = ""


def invalid(what: str, *causes: str) -> OktaError:
    """The caller's data breaks a rule."""
    return OktaError(400, "E0000001", f"Api validation failed: {what}", causes)


def bad_body() -> OktaError:
    """The body is not the JSON object that was asked for."""
    return OktaError(400, "E0000003", "The request body was not well-formed.")


def no_such_user(key: str) -> OktaError:
    """Recorded: the summary names the id that was asked for and the kind."""
    return OktaError(404, "E0000007", f"Not found: Resource not found: {key} (User)")


def no_such_hook(hook_id: str) -> OktaError:
    """Recorded: Okta calls an event hook a webhook here."""
    return OktaError(404, "E0000007", f"Not found: Resource not found: {hook_id} (Webhook)")


def unproven(name: str, why: str) -> OktaError:
    """Recorded (support.okta.com, "Unable to verify event hook")."""
    cause = f"Unable to verify event hook. Hook {name} execution failed"
    return Unproven(400, "E0000001", "Api validation failed: eventHook", (cause,), why)


def hook_is_active() -> OktaError:
    """Deleting an event hook that is not INACTIVE. Okta's code for it is not published; its description has 403."""
    summary = "You do not have permission to perform the requested action"
    return OktaError(403, "E0000006", summary, ("An active event hook cannot be deleted: deactivate it first",))


def no_such_group(group_id: str) -> OktaError:
    """Seen: Okta calls a group a user group here."""
    return OktaError(404, "E0000007", f"Not found: Resource not found: {group_id} (UserGroup)")


def taken(field: str) -> OktaError:
    """Somebody else has this value, which nobody may share."""
    return invalid(field, f"{field}: An object with this field already exists in the current organization")


def unsupported() -> OktaError:
    """What Okta keeps by itself cannot be changed: seen for the members of Everyone."""
    return OktaError(501, "E0000060", "Unsupported operation.")


def feature_off() -> OktaError:
    """Recorded for what an org has not bought or switched on."""
    return OktaError(401, "E0000015", "You do not have permission to access the feature you are requesting")


def no_such_path() -> OktaError:
    """Nothing lives at this path."""
    return OktaError(404, "E0000008", "The requested path was not found")


def internal() -> OktaError:
    """Okta's own trouble; a query that takes too long also ends like this."""
    return OktaError(500, "E0000009", "Internal Server Error")


def unavailable() -> OktaError:
    """The only 503 of Okta's catalogue."""
    return OktaError(503, "E0000010", "Service is in read only mode")


def no_session() -> OktaError:
    """Nobody has said who calls."""
    return OktaError(403, "E0000005", "Invalid session")


def forbidden() -> OktaError:
    """Recorded: the caller's admin role does not go so far."""
    return OktaError(403, "E0000006", "You do not have permission to perform the requested action")


def bad_token() -> OktaError:
    """An API token that Okta doesn't know."""
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


def bad_log_query(summary: str) -> OktaError:
    """A System Log query that Okta cannot read; the guide's examples say what exactly."""
    return OktaError(400, "E0000053", summary)


def bad_combination(verb: str, field: str) -> OktaError:
    """An operator that this field of the System Log doesn't take."""
    summary = "The supplied combination of operator and field is not currently supported."
    return OktaError(400, "E0000031", f"{summary} Operator: {verb}, Field: {field}")


def bad_cursor() -> OktaError:
    """Seen with a cursor that was none: the cause says "must be a valid value"."""
    return invalid("'after': must be a valid value", "after: must be a valid value")


def not_locked() -> OktaError:
    """Recorded: unlocking who is not locked out."""
    return OktaError(403, "E0000032", "Unlock is not allowed for this user.", ("The user is not locked out.",))


def wrong_status() -> OktaError:
    """The life cycle has no such step from where the user is."""
    return OktaError(403, "E0000038", "This operation is not allowed in the user's current status.")


def too_many_calls() -> OktaError:
    """The rate limit is used up."""
    return OktaError(429, "E0000047", "API call exceeded rate limit due to too many requests.")
