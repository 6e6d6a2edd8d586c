"""The Admin Console's "Preview" of an event hook: one event, picked from the log or made up, delivered for real.

What comes then is odder than what a hook gets otherwise: no actor, no target, no debug context, and the outcome
"Success" in another spelling; bodies of real orgs had it so for life cycle and membership events too.
"""

from __future__ import annotations

from random import Random
from typing import Any

from rosterhook.simulator.events import KINDS, Event, Kind, instant, new_uuid
from rosterhook.simulator.hooks.courier import as_body
from rosterhook.simulator.hooks.eligible import OFFERED
from rosterhook.simulator.hooks.registry import Hooks

#: What is said of a type that nothing in this org makes.
_SAMPLE = Kind("Sample data", None)
_UNKNOWN_CLIENT = {
    "userAgent": None,
    "zone": None,
    "device": None,
    "id": None,
    "ipAddress": None,
    "geographicalContext": None,
}
_AUTHENTICATION = {
    "authenticationProvider": None,
    "credentialProvider": None,
    "credentialType": None,
    "issuer": None,
    "authenticationStep": 0,
    "rootSessionId": None,
    "externalSessionId": None,
    "authenticatorContext": None,
    "interface": None,
}


async def preview(hooks: Hooks, hook_id: str, wanted: str, rng: Random, now: float) -> dict[str, Any]:
    """Deliver once, whatever the hook's filters, subscriptions and status are.

    Args:
        wanted: the uuid of a recent event, or an event type for sample data.
        now: in seconds since 1970.

    Returns:
        Whether it was taken, the status of the answer and the body that was sent.

    Raises:
        OktaError: E0000007, there is no such hook.
        ValueError: there is no such event, nor such a type for event hooks.
    """
    hook = hooks.get(hook_id)
    envelope = hooks.courier.envelope(hook, [_odd(_find(hooks, wanted), wanted, rng, now)])
    answer = await hooks.courier.post(hook, as_body(envelope))
    return {"delivered": not answer.why, "status": answer.status, "why": answer.why, "sent": envelope}


def _find(hooks: Hooks, wanted: str) -> Event | None:
    """The event of this uuid; None when a type of sample data is named."""
    for event in hooks.recent:
        if event["uuid"] == wanted:
            return event
    if wanted not in OFFERED:
        raise ValueError(f"{wanted!r} is neither the uuid of a recent event nor an event type for event hooks")
    return None


def _odd(event: Event | None, event_type: str, rng: Random, now: float) -> Event:
    kind = KINDS.get(event["eventType"] if event else event_type, _SAMPLE)
    client = event["client"] if event else _UNKNOWN_CLIENT
    return {
        "uuid": event["uuid"] if event else new_uuid(rng),
        # Recorded with microseconds, where other events have milliseconds.
        "published": event["published"] if event else f"{instant(now)[:-1]}{rng.randrange(1000):03d}Z",
        "eventType": event["eventType"] if event else event_type,
        "version": "0",
        "displayMessage": kind.message,
        "severity": kind.severity,
        "client": {**client, "ipChain": None},
        "device": None,
        "actor": None,
        "outcome": {"result": "Success", "reason": None},
        "target": None,
        "transaction": {"type": None, "id": f"{rng.getrandbits(128):032x}", "detail": None},
        "debugContext": None,
        "legacyEventType": None,
        "authenticationContext": _AUTHENTICATION,
        "securityContext": None,
        "insertionTimestamp": None,
    }
