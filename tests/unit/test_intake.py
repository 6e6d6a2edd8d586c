"""The intake: from deliveries to events and due users, whatever Okta sends."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rosterhook.inbox import SqliteInbox
from rosterhook.intake import Intake
from rosterhook.model import Delivery
from rosterhook.okta import events as okta_events
from rosterhook.store.database import Database


class House:
    """An inbox, a state store and the intake between them."""

    def __init__(self, folder: Path) -> None:
        self.inbox = SqliteInbox(folder)
        self.state = Database(folder / "state.db", "state")
        self.rings = 0
        self.intake = Intake(self.inbox, self.state, on_due=self._ring, clock=lambda: 1_000_000)

    def _ring(self) -> None:
        self.rings += 1

    async def deliver(self, *bodies: bytes) -> None:
        """Append deliveries and take all of them in."""
        for body in bodies:
            await self.inbox.append(Delivery(500, {"user-agent": "Okta"}, body))
        while await self.intake.step():
            pass

    async def rows(self, sql: str) -> list[Any]:
        return await self.state.read(lambda db: db.execute(sql).fetchall())

    async def due(self) -> list[str]:
        return [user for (user,) in await self.rows("SELECT id FROM subject ORDER BY id")]

    async def uuids(self) -> list[str]:
        return [uuid for (uuid,) in await self.rows("SELECT uuid FROM event ORDER BY seq")]

    async def totals(self) -> dict[str, int]:
        return dict(await self.rows("SELECT name, total FROM counter"))

    async def close(self) -> None:
        await self.inbox.close()
        await self.state.close()


@pytest.fixture
async def house(tmp_path: Path):
    house = House(tmp_path)
    yield house
    await house.close()


def user(user_id: str, login: str | None = None) -> dict[str, Any]:
    return {"id": user_id, "type": "User", "alternateId": login, "displayName": None}


def event(uuid: str | None = "u1", event_type: str = "user.account.update_profile", **parts: Any) -> dict[str, Any]:
    made = {"uuid": uuid, "eventType": event_type, "published": "2026-01-02T03:04:05.678Z"}
    made |= {"outcome": {"result": "SUCCESS"}, "target": [user("00u1")]}
    made |= parts
    return {key: value for key, value in made.items() if value != "absent"}


def hook(*events: Any) -> bytes:
    return json.dumps({"eventType": "com.okta.event_hook", "data": {"events": list(events)}}).encode()


async def test_event_is_stored_and_its_user_due(house: House) -> None:
    """One event becomes one row, its user due at once, with the moment of the change to look for."""
    await house.deliver(hook(event()))
    assert await house.rows("SELECT uuid, type, published_ms, outcome, problem FROM event") == [
        ("u1", "user.account.update_profile", 1767323045678, "SUCCESS", "")
    ]
    assert await house.rows("SELECT id, state, due_ms, waiting_ms, fresh_ms FROM subject") == [
        ("00u1", "due", 1_000_000, 1767323045678, 1767323045678)
    ]
    assert house.rings > 0


async def test_events_of_a_batch_are_all_taken(house: House) -> None:
    """Every event of a delivery counts, and every user that one names, wherever in the targets."""
    group = {"id": "00g1", "type": "UserGroup", "alternateId": "unknown"}
    app_user = {"id": "0ua1", "type": "AppUser", "alternateId": "x@y.z"}
    app = {"id": "0oa1", "type": "AppInstance"}
    await house.deliver(
        hook(
            event("u1", "group.user_membership.add", target=[group, user("00u1")]),
            event("u2", "application.user_membership.add", target=[app_user, app, user("00u2")]),
            event("u3", "user.account.update_profile", target=[user("00u3"), user("00u4"), user("00u3")]),
        )
    )
    assert await house.uuids() == ["u1", "u2", "u3"]
    assert await house.due() == ["00u1", "00u2", "00u3", "00u4"]


async def test_membership_does_not_ask_for_a_newer_record(house: House) -> None:
    """A membership leaves the user's own record as it was: no reading has to show a newer one."""
    await house.deliver(hook(event(event_type="group.user_membership.add")))
    assert await house.rows("SELECT fresh_ms FROM subject") == [(None,)]


@pytest.mark.parametrize("bad", ["text", 7, None, [], {"target": 5}, {"uuid": {"a": 1}}, {"eventType": ["x"]}, {}])
async def test_one_bad_event_loses_no_other(house: House, bad: Any) -> None:
    """What is no event in a batch is kept as an event with a problem; the others are taken as ever."""
    await house.deliver(hook(event("u1"), bad, event("u2", target=[user("00u2")])))
    uuids = await house.uuids()
    assert (uuids[0], uuids[2]) == ("u1", "u2")
    assert uuids[1].startswith("sha256:")
    assert await house.due() == ["00u1", "00u2"]
    assert (await house.rows("SELECT problem FROM event WHERE seq = 2"))[0][0]


async def test_deeply_nested_event_loses_no_other(house: House) -> None:
    """An event that nests too deep to read is kept, or the whole delivery is quarantined: never lost."""
    deep = json.dumps({"a": "DEEP"}).replace('"DEEP"', "[" * 900 + "]" * 900)
    await house.deliver(hook(event("u1"), "DEEP").replace(b'"DEEP"', deep.encode()))
    assert (await house.uuids())[0] == "u1"
    await house.deliver(hook("DEEP").replace(b'"DEEP"', b"[" * 200_000 + b"]" * 200_000))
    assert await house.rows("SELECT count(*) FROM quarantine") == [(1,)]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b"  ", "empty"),
        (b"nope", "not JSON"),
        (b'{"data": {"events": [', "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"null", "no event hook"),
        (b"[]", "no event hook"),
        (b'{"data": {}}', "no event hook"),
        (b'{"data": {"events": {}}}', "no event hook"),
        (b'{"eventType": "com.okta.identity.patch", "data": {"context": {}}}', "no event hook"),
    ],
)
async def test_what_is_no_hook_is_quarantined_whole(house: House, body: bytes, reason: str) -> None:
    """A body that is no event hook is kept byte for byte with its reason, and the next delivery is taken."""
    await house.deliver(body, hook(event()))
    [(kept, why, headers)] = await house.rows("SELECT body, reason, headers FROM quarantine")
    assert kept == body
    assert reason in why
    assert json.loads(headers) == {"user-agent": "Okta"}
    assert await house.totals() == {"events_stored": 1}


async def test_oversized_delivery_is_listed_and_asks_the_follower(house: House) -> None:
    """The mark of a body over the cap becomes a quarantined delivery, and the System Log is asked for."""
    await house.inbox.append(Delivery(500, {}, b"", "too_large"))
    await house.deliver()
    [(why,)] = await house.rows("SELECT reason FROM quarantine")
    assert "hook.max_body_bytes" in why
    assert await house.rows("SELECT source, asked_ms FROM cursor") == [("log", 1_000_000)]


async def test_redelivered_event_is_counted_not_repeated(house: House) -> None:
    """The same event twice is one row with two arrivals, and nobody is read again for it."""
    await house.deliver(hook(event()))
    await house.state.write(lambda db: db.execute("DELETE FROM subject") and None)
    await house.deliver(hook(event()))
    assert await house.rows("SELECT uuid, hook_arrivals FROM event") == [("u1", 2)]
    assert await house.due() == []
    assert await house.totals() == {"events_stored": 1, "events_duplicate": 1}


@pytest.mark.parametrize(
    "other",
    [
        event(event_type="user.lifecycle.deactivate"),
        event(target=[user("00u2")]),
        event(published="2026-01-02T03:04:06.000Z"),
    ],
)
async def test_other_event_under_a_known_uuid_is_not_lost(house: House, other: dict[str, Any]) -> None:
    """Two different events that carry one uuid are two events; the second gets an id from its content."""
    await house.deliver(hook(event(), other), hook(other))
    uuids = await house.uuids()
    assert uuids[0] == "u1"
    assert uuids[1].startswith("sha256:")
    assert len(uuids) == 2


async def test_event_without_uuid_has_one_id_however_it_is_written(house: House) -> None:
    """An event without uuid gets the same id again when the same content comes with other spacing and order."""
    one = event(uuid=None)
    await house.deliver(hook(one), json.dumps({"data": {"events": [dict(reversed(one.items()))]}}, indent=3).encode())
    assert len(await house.uuids()) == 1


@pytest.mark.parametrize("result", ["FAILURE", "DENY", "Failure", "SKIPPED", "CHALLENGE"])
async def test_failed_outcome_changes_nobody(house: House, result: str) -> None:
    """What did not happen is stored, and nobody is read for it."""
    await house.deliver(hook(event(outcome={"result": result, "reason": "x"})))
    assert (await house.uuids(), await house.due()) == (["u1"], [])


@pytest.mark.parametrize("outcome", [{"result": "Success"}, {"result": "ALLOW"}, {"result": None}, None, "absent", {}])
async def test_outcome_that_is_no_failure_changes_the_user(house: House, outcome: Any) -> None:
    """Mixed case, another word, or no outcome at all: a read too many is harmless, a change missed is not."""
    await house.deliver(hook(event(outcome=outcome)))
    assert await house.due() == ["00u1"]


async def test_lock_out_is_a_failure_that_did_happen(house: House) -> None:
    """Okta reports a lock-out as a FAILURE, sometimes with the user as the actor alone; both are read."""
    failed = {"result": "FAILURE", "reason": "LOCKED_OUT"}
    await house.deliver(
        hook(
            event("u1", "user.account.lock", outcome=failed),
            event("u2", "user.account.lock", outcome=failed, target=None, actor=user("00u2")),
        )
    )
    assert await house.due() == ["00u1", "00u2"]


@pytest.mark.parametrize(
    "target", [None, "absent", [], {}, "x", [None], [{"type": "User"}], [{"type": "User", "id": 5}]]
)
async def test_event_without_a_user_changes_nobody(house: House, target: Any) -> None:
    """No target, in any of its forms, is no user: the actor is somebody else."""
    await house.deliver(hook(event(target=target, actor=user("00uadmin"))))
    assert (await house.uuids(), await house.due()) == (["u1"], [])


async def test_other_types_change_nobody(house: House) -> None:
    """A sign-in names users too, but changes none."""
    types = (
        "user.session.start",
        "policy.evaluate_sign_on",
        "user.account.privilege.grant",
        "made.up",
        "user.lifecycle",
    )
    await house.deliver(hook(*(event(f"u{n}", event_type) for n, event_type in enumerate(types))))
    assert (len(await house.uuids()), await house.due()) == (len(types), [])


async def test_many_events_of_one_user_are_one_row(house: House) -> None:
    """However many events, a user is due once; the newest moment is what a reading must show, the oldest waits."""
    stamps = ["2026-01-02T03:00:00.000Z", "2026-01-02T03:05:00.000Z", "2026-01-02T03:01:00.000Z"]
    await house.deliver(hook(*(event(f"u{n}", published=stamp) for n, stamp in enumerate(stamps))))
    parsed = [okta_events.parse_stamp(stamp) for stamp in stamps]
    found = await house.rows("SELECT generation, waiting_ms, fresh_ms, crowded FROM subject")
    assert found == [(3, min(parsed), max(parsed), 0)]


async def test_changes_in_one_second_are_marked(house: House) -> None:
    """Two changes so close that `lastUpdated`, in whole seconds, cannot order them are remembered as crowded."""
    stamps = ["2026-01-02T03:00:00.200Z", "2026-01-02T03:00:00.900Z"]
    await house.deliver(hook(*(event(f"u{n}", published=stamp) for n, stamp in enumerate(stamps))))
    assert await house.rows("SELECT crowded FROM subject") == [(1,)]


async def test_offset_moves_with_the_events(house: House) -> None:
    """When storing events fails, the offset stays: the same deliveries are taken in again, and none twice."""
    await house.inbox.append(Delivery(500, {}, hook(event())))
    await house.state.write(lambda db: db.execute("ALTER TABLE counter RENAME TO away") and None)
    with pytest.raises(Exception, match="counter"):
        await house.intake.step()
    assert await house.uuids() == []
    await house.state.write(lambda db: db.execute("ALTER TABLE away RENAME TO counter") and None)
    await house.deliver()
    assert await house.uuids() == ["u1"]


@pytest.mark.parametrize(
    ("stamp", "parsed"),
    [
        ("2019-09-24T08:14:46.282226397Z", 1569312886282),
        ("2019-09-24T08:14:46Z", 1569312886000),
        ("2019-09-24T08:14:46.28Z", 1569312886280),
        ("2019-09-24 08:14:46.282", 1569312886282),
        ("2019-09-24T10:14:46.282+02:00", 1569312886282),
        ("2019-09-24T03:44:46.282-0430", 1569312886282),
        ("2017-09-31T22:23:07.777Z", None),
        ("redacted", None),
        ("", None),
        (None, None),
        (1569312886282, None),
    ],
)
def test_stamps_of_every_form_are_read(stamp: Any, parsed: int | None) -> None:
    """No to nine digits of fraction, a space, an offset; a day that does not exist is no moment."""
    assert okta_events.parse_stamp(stamp) == parsed


async def test_inbox_that_was_replaced_is_read_from_its_beginning(house: House, tmp_path: Path) -> None:
    """When inbox.db is lost and begins again with low numbers, no answered delivery is skipped."""
    await house.deliver(hook(event("u1")), hook(event("u2")), hook(event("u3")))
    await house.inbox.close()
    for path in list(tmp_path.glob("inbox.db*")):  # noqa: ASYNC240
        path.unlink()
    house.inbox = SqliteInbox(tmp_path)
    house.intake = Intake(house.inbox, house.state)
    await house.inbox.append(Delivery(900, {}, hook(event("u4"))))
    await house.deliver()
    assert await house.uuids() == ["u1", "u2", "u3", "u4"]


async def test_inbox_of_an_older_backup_is_read_from_its_beginning(house: House) -> None:
    """Numbers that were given a second time, after a restore, are not taken for known."""
    await house.deliver(hook(event("u1")), hook(event("u2")))
    await house.inbox.database.write(
        lambda db: db.execute("UPDATE delivery SET received_ms = 501, body = '' WHERE seq = 2") and None
    )
    await house.inbox.append(Delivery(900, {}, hook(event("u3"))))
    house.intake = Intake(house.inbox, house.state)
    await house.deliver()
    assert await house.uuids() == ["u1", "u2", "u3"]
    assert (await house.rows("SELECT count(*) FROM quarantine")) == [(1,)]


async def test_restart_and_pruning_repeat_nothing(house: House) -> None:
    """A new worker goes on where the last one was, also when what was taken in is pruned."""
    await house.deliver(hook(event("u1")), hook(event("u2")))
    for after_prune in (0, 2):
        house.intake = Intake(house.inbox, house.state)
        await house.deliver(hook(event(f"v{after_prune}")))
        await house.inbox.prune(3, 10**12)
    assert await house.rows("SELECT max(hook_arrivals) FROM event") == [(1,)]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
odd_events = st.fixed_dictionaries(
    {},
    optional={
        "uuid": st.sampled_from(["u1", "u2"]) | json_values,
        "eventType": st.sampled_from(okta_events.SUBSCRIBED) | json_values,
        "published": json_values | st.text(alphabet="0123456789-T:.Z+ "),
        "outcome": st.fixed_dictionaries({"result": json_values}) | json_values,
        "target": st.lists(st.fixed_dictionaries({"type": st.just("User"), "id": json_values}), max_size=3)
        | json_values,
        "actor": json_values,
    },
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.lists(odd_events | json_values, max_size=4), max_size=4), st.lists(st.binary(max_size=40), max_size=3)
)
def test_no_delivery_is_ever_lost(tmp_path_factory: pytest.TempPathFactory, batches: Any, noise: list[bytes]) -> None:
    """Whatever arrives, each delivery is quarantined, or each of its events is stored or counted as known."""

    async def scenario() -> None:
        house = House(tmp_path_factory.mktemp("house"))
        try:
            await house.deliver(*(hook(*batch) for batch in batches), *noise)
            totals = await house.totals()
            taken = totals.get("events_stored", 0) + totals.get("events_duplicate", 0)
            assert taken == sum(len(batch) for batch in batches)
            assert await house.rows("SELECT count(*) FROM quarantine") == [(len(noise),)]
            assert len(await house.uuids()) == totals.get("events_stored", 0)
        finally:
            await house.close()

    asyncio.run(scenario())
