"""Real deliveries and events, from the hook's address to the table of events and the users who are due."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import pytest

from rosterhook.config import HookConfig
from rosterhook.hook_secrets import HookSecrets
from rosterhook.inbox import SqliteInbox
from rosterhook.intake import Intake
from rosterhook.okta.events import LOG_ONLY, SUBSCRIBED
from rosterhook.receiver import Receiver
from rosterhook.store.database import Database

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the folder of real Okta data is not beside the checkout")

#: Whom each file's events have changed: worked out by reading the files, not by running this code.
HOOK_USERS = {
    "CruGlobal__okta-hooks__body-event-user-lifecycle-create.json": {"00uo1r94r6jIYXcjy0h7"},
    "CruGlobal__okta-hooks__body-event-user-lifecycle-delete.json": {"00uo11p6k5JASvMVI0h7"},
    "CruGlobal__okta-hooks__body-event-user-update-profile.json": {"00u1hnx4oekfTHgqY0h8"},
    "discord__access__group.user_membership.add.json": {"00uWumpusUser0000001"},
    "discord__access__group.user_membership.remove.json": {"00uWumpusUser0000001"},
    "index2305973521__session_start.json": set(),
    "index38208934068__group_add.json": {"00u10r4h1xAe2TIcx4x7"},
    "logzio__okta-events-hook__logStreamDeleted.json": set(),
    "logzio__okta-events-hook__miltipleEvents.json": set(),  # a console preview: its target is null
    "logzio__okta-events-hook__sampleEvent.json": set(),
    "okta__okta-developer-docs__event-hooks-concept.json": set(),
}
#: These are a load balancer's wrapping of a request, not a request: no event hook.
NO_HOOKS = {
    "CruGlobal__okta-hooks__alb-event-user-lifecycle-create.json",
    "CruGlobal__okta-hooks__alb-event-user-lifecycle-delete.json",
    "CruGlobal__okta-hooks__alb-event-user-update-profile.json",
}
LOG_USERS = {
    "CruGlobal__okta-hooks__sns.ndjson": {"00uo48gsq4ujEWoXJ0h7", "00unfj11r7dpEO2Pi0h7", "00uo1red47olcenOx0h7"},
    "JupiterOne__graph-okta.ndjson": set(),
    "SEKOIA-IO__intake-formats.ndjson": {"REDACTED"},
    "airbnb__streamalert.ndjson": set(),
    "criblpacks__cribl-okta-rest.ndjson": {"00utfrct5sIs151mS697"},
    "elastic__beats.ndjson": set(),
    "grafana__okta-logs-collector.ndjson": set(),
    # The first is locked out: a FAILURE without a target, whose actor is the user.
    "ocsf__examples.ndjson": {"0123456789", "00phjos6i2N0LcrqO1d71"},
    "okta__okta-developer-docs.ndjson": {"00u3m90rxKjGQ0G6L1d6"},
    "okta__okta-management-openapi-spec.ndjson": set(),
    "panther-labs__panther-analysis.ndjson": {
        "16325kd349753",
        "XXXXXXXXXXXXXXXX",
        "00u3nwfjxxxxxxxxxxxx",
        "1111111",
        "1.1.1.1",
        "00uaf260zjOUVxvsn357",
    },
    "unqork-external__tomisp.ndjson": {"00ucs3m73cTf2OTld357"},
}


@pytest.fixture
async def house(tmp_path: Path):
    """A hook's address over an inbox, and the intake behind it."""
    hook, inbox = HookConfig(secret="s"), SqliteInbox(tmp_path)
    state = Database(tmp_path / "state.db", "state")
    receiver = Receiver(hook, HookSecrets(hook, tmp_path), inbox, _nowhere)
    transport = httpx2.ASGITransport(app=receiver)
    async with httpx2.AsyncClient(transport=transport, base_url="http://hook") as client:
        yield client, Intake(inbox, state), state
    await inbox.close()
    await state.close()


async def _nowhere(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("not the hook's path")


async def deliver(house: Any, body: bytes) -> tuple[set[str], Counter[tuple[str, str]], int]:
    """Post a body; return the users due, the events stored (type and uuid, "" where Okta gave none), the count
    of the quarantined.
    """
    client, intake, state = house
    answer = await client.post("/okta/events", content=body, headers={"Authorization": "s"})
    assert (answer.status_code, answer.content) == (200, b"")
    while await intake.step():
        pass

    def look(db: Any) -> Any:
        due = {user for (user,) in db.execute("SELECT id FROM subject")}
        bodies = [json.loads(body) for (body,) in db.execute("SELECT body FROM event")]
        events = Counter((body.get("eventType") or "", body.get("uuid") or "") for body in bodies)
        return due, events, db.execute("SELECT count(*) FROM quarantine").get

    return await state.read(look)


@pytest.mark.parametrize("name", sorted(HOOK_USERS))
async def test_real_delivery_touches_the_right_users(house: Any, name: str) -> None:
    """A real hook body is answered 200, each of its events is stored, and exactly its users are due."""
    body = (DATA / "hooks" / name).read_bytes()
    due, events, quarantined = await deliver(house, body)
    expected = Counter((event["eventType"], event.get("uuid") or "") for event in json.loads(body)["data"]["events"])
    assert (due, events, quarantined) == (HOOK_USERS[name], expected, 0)


@pytest.mark.parametrize("name", sorted(NO_HOOKS))
async def test_wrapped_request_is_kept_in_quarantine(house: Any, name: str) -> None:
    """What is not a hook body is answered 200 as well and kept whole."""
    assert await deliver(house, (DATA / "hooks" / name).read_bytes()) == (set(), Counter(), 1)


@pytest.mark.parametrize("name", sorted(LOG_USERS))
async def test_real_log_events_touch_the_right_users(house: Any, name: str) -> None:
    """Real System Log events, as one delivery: none is missing, and exactly their users are due."""
    lines = (DATA / "syslog" / name).read_text().splitlines()
    events = [json.loads(line) for line in lines if line.strip()]
    due, stored, quarantined = await deliver(house, json.dumps({"data": {"events": events}}).encode())
    expected = Counter((event.get("eventType") or "", event.get("uuid") or "") for event in events)
    assert set(stored) == set(expected)
    assert (due, quarantined) == (LOG_USERS[name], 0)


def test_every_file_is_in_a_table() -> None:
    """A file that is added to the real data must be read by somebody before this suite passes again."""
    assert {path.name for path in (DATA / "hooks").iterdir()} == set(HOOK_USERS) | NO_HOOKS
    assert {path.name for path in (DATA / "syslog").iterdir()} == set(LOG_USERS)


def test_subscribed_types_can_be_subscribed() -> None:
    """Each type that the hook shall subscribe to is one that Okta lets hooks have."""
    with (DATA / "catalogue" / "derived-event-hook-eligible.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    known = {row["event_type"] for row in rows}
    eligible = {row["event_type"] for row in rows if row["event_hook_eligible"] == "1"}
    assert set(SUBSCRIBED) <= eligible
    assert set(LOG_ONLY) <= known - eligible
