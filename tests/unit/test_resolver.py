"""The resolver: whom it reads how, what it trusts, and what becomes of each user."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rosterhook import directory, sources
from rosterhook.errors import OktaError, OktaForbidden, OktaNotFound, OktaUnavailable, RosterhookError, StoreError
from rosterhook.intake import record_event
from rosterhook.okta.budget import Budget
from rosterhook.okta.events import parse, parse_stamp
from rosterhook.replay import accept_gone
from rosterhook.resolver import TRIES, Resolver
from rosterhook.sources import EventSource, OktaSource, Subject, shows
from rosterhook.store.database import Database
from rosterhook.store.queries import rows, run

STAMP = "2026-01-01T00:00:05.000Z"
AT = parse_stamp(STAMP) or 0


def okta_user(user_id: str, stamp: str = STAMP, **profile: Any) -> dict[str, Any]:
    return {"id": user_id, "status": "ACTIVE", "lastUpdated": stamp, "profile": profile}


class FakeOkta:
    """Users by id, and an index for searches that may differ; both remember what was asked."""

    def __init__(self) -> None:
        self.by_id: dict[str, dict[str, Any] | OktaError] = {}
        self.index: dict[str, dict[str, Any]] | OktaError = {}
        self.asked_ids: list[str] = []
        self.searches: list[Sequence[str]] = []
        self.during: Any = None

    async def user(self, user_id: str) -> dict[str, Any]:
        self.asked_ids.append(user_id)
        if self.during:
            await self.during()
        found = self.by_id.get(user_id) or OktaNotFound("gone", status=404, code="E0000007")
        if isinstance(found, OktaError):
            raise found
        return found

    async def users(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        self.searches.append(ids)
        if isinstance(self.index, OktaError):
            raise self.index
        return {user_id: self.index[user_id] for user_id in ids if user_id in self.index}


class Bench:
    """A state store, a fake Okta, and the resolver between them; time is a number."""

    def __init__(self, folder: Path) -> None:
        self.now = AT + 60_000
        self.okta = FakeOkta()
        self.state = Database(folder / "state.db", "state")
        self.resolver = Resolver(self.state, OktaSource(self.okta, Budget(0.5)), ["app"], clock=lambda: self.now)

    async def due(self, *ids: str, fresh_ms: int | None = AT) -> None:
        for user_id in ids:
            subject = {"org": "default", "kind": "user", "id": user_id, "due_ms": self.now}
            values = {**subject, "waiting_ms": AT, "fresh_ms": fresh_ms}
            await self.state.write(lambda db, values=values: run(db, "make_subject_due", values) and None)

    async def rows(self, sql: str) -> list[Any]:
        return await self.state.read(lambda db: db.execute(sql).fetchall())

    async def held(self, user_id: str) -> directory.Held | None:
        return await self.state.read(lambda db: directory.find(db, user_id))

    async def subjects(self) -> list[Any]:
        return await self.rows("SELECT id, state, attempts, error FROM subject ORDER BY id")


@pytest.fixture
async def bench(tmp_path: Path):
    bench = Bench(tmp_path)
    yield bench
    await bench.state.close()


async def test_a_few_are_read_by_id(bench: Bench) -> None:
    """A handful of due users costs one fresh call each and no search; then nobody is due."""
    for name in ("00u1", "00u2"):
        bench.okta.by_id[name] = okta_user(name)
    await bench.due("00u1", "00u2")
    assert await bench.resolver.step()
    assert (sorted(bench.okta.asked_ids), bench.okta.searches) == (["00u1", "00u2"], [])
    assert await bench.subjects() == []
    assert not await bench.resolver.step()


async def test_many_are_read_by_search(bench: Bench) -> None:
    """Many due users cost one search for 200, and no call each."""
    names = [f"00u{number:03}" for number in range(450)]
    bench.okta.index = {name: okta_user(name) for name in names}
    await bench.due(*names)
    while await bench.resolver.step():
        pass
    assert sorted(len(ids) for ids in bench.okta.searches) == [50, 200, 200]
    assert bench.okta.asked_ids == []
    assert len(await bench.rows('SELECT id FROM "user"')) == 450


async def test_crowded_users_are_not_searched_for(bench: Bench) -> None:
    """Who had two changes in one second is read by id at once: no row of a search could be trusted."""
    names = [f"00u{number:02}" for number in range(20)]
    bench.okta.index = {name: okta_user(name) for name in names}
    bench.okta.by_id["00u03"] = okta_user("00u03")
    await bench.due(*names)
    await bench.due("00u03", fresh_ms=AT + 500)
    await bench.resolver.step()
    assert (len(bench.okta.searches), bench.okta.asked_ids) == (1, ["00u03"])
    assert "00u03" not in bench.okta.searches[0]


async def test_who_is_missing_in_the_search_is_asked_by_id(bench: Bench) -> None:
    """An id that a search leaves out is deleted only when Okta says so by id; else it was only not indexed yet."""
    names = [f"00u{number:02}" for number in range(20)]
    bench.okta.index = {name: okta_user(name) for name in names[2:]}
    bench.okta.by_id["00u00"] = okta_user("00u00")
    await bench.due(*names)
    await bench.resolver.step()
    assert sorted(bench.okta.asked_ids) == ["00u00", "00u01"]
    alive, gone = await bench.held("00u00"), await bench.held("00u01")
    assert alive and alive.deleted_ms is None
    assert gone and gone.deleted_ms is not None


async def test_stale_row_of_a_search_is_read_again_by_id(bench: Bench) -> None:
    """A row that does not show the event's change yet is not believed."""
    names = [f"00u{number:02}" for number in range(20)]
    bench.okta.index = {name: okta_user(name) for name in names}
    bench.okta.index["00u07"] = okta_user("00u07", "2026-01-01T00:00:04.000Z", firstName="old")
    bench.okta.by_id["00u07"] = okta_user("00u07", firstName="new")
    await bench.due(*names)
    await bench.resolver.step()
    assert bench.okta.asked_ids == ["00u07"]
    held = await bench.held("00u07")
    assert held and held.user["profile"] == {"firstName": "new"}


def subject(fresh_ms: int | None = AT, crowded: bool = False) -> Subject:
    return Subject("00u1", 1, 0, AT, fresh_ms, crowded)


def held(stamp: str, deleted_ms: int | None = None, **profile: Any) -> directory.Held:
    user = directory.canonical(okta_user("00u1", stamp, **profile))
    return directory.Held(1, directory.digest(user), user, directory.last_updated_ms(user), deleted_ms)


@pytest.mark.parametrize(
    ("who", "stamp", "before", "trusted"),
    [
        (subject(), STAMP, None, True),
        (subject(AT + 999), STAMP, None, True),
        (subject(AT + 1000), STAMP, None, False),
        (subject(crowded=True), STAMP, None, False),
        (subject(), STAMP, held("2026-01-01T00:00:04.000Z"), True),
        (subject(), STAMP, held(STAMP), False),
        (subject(), STAMP, held(STAMP, deleted_ms=1), False),
        (subject(None), STAMP, None, True),
        (subject(None), STAMP, held(STAMP), True),
        (subject(None), STAMP, held(STAMP, firstName="x"), False),
        (subject(None), STAMP, held("2026-01-01T00:00:06.000Z"), False),
    ],
)
def test_row_is_trusted_only_when_it_cannot_be_old(who: Subject, stamp: str, before: Any, trusted: bool) -> None:
    """A search's row counts when it has reached the event's second, stands alone there, and shows something new."""
    assert shows(who, directory.canonical(okta_user("00u1", stamp)), before) is trusted


async def test_event_during_the_read_makes_due_again(bench: Bench) -> None:
    """When another event comes while a user is read, the user is read once more."""
    bench.okta.by_id["00u1"] = okta_user("00u1", firstName="first")

    async def during() -> None:
        bench.okta.during = None
        await bench.due("00u1", fresh_ms=AT + 500)

    bench.okta.during = during
    await bench.due("00u1")
    await bench.resolver.step()
    assert [row[:2] for row in await bench.subjects()] == [("00u1", "due")]
    bench.okta.by_id["00u1"] = okta_user("00u1", firstName="second")
    await bench.resolver.step()
    found = await bench.held("00u1")
    assert found and found.user["profile"] == {"firstName": "second"}
    assert await bench.subjects() == []


@pytest.mark.parametrize("fault", [OktaUnavailable("down"), OktaForbidden("no scope", status=403)])
async def test_outage_drops_and_parks_nobody(bench: Bench, fault: OktaError) -> None:
    """While Okta is away, or refuses everything, users wait with growing pauses, for as long as it takes."""
    bench.okta.by_id["00u1"] = fault
    await bench.due("00u1")
    for _ in range(TRIES * 3):
        with pytest.raises(type(fault)):
            await bench.resolver.step()
        [(_, state, _, error)] = await bench.subjects()
        assert (state, error) == ("due", str(fault))
        assert not await bench.resolver.step()
        bench.now += 100_000
    assert bench.resolver.health.error == str(fault)
    bench.okta.by_id["00u1"] = okta_user("00u1")
    await bench.resolver.step()
    assert (await bench.subjects(), bench.resolver.health.error) == ([], "")


async def test_fault_of_one_search_leaves_the_others(bench: Bench) -> None:
    """When searches fail for a moment, everybody in them waits, and nobody is taken for deleted."""
    names = [f"00u{number:02}" for number in range(20)]
    bench.okta.index = OktaUnavailable("500")
    await bench.due(*names)
    with pytest.raises(OktaUnavailable):
        await bench.resolver.step()
    assert bench.okta.asked_ids == []
    assert {row[1] for row in await bench.subjects()} == {"due"}


@pytest.mark.parametrize(
    "fault",
    [OktaError("400", status=400, code="E0000031"), OktaUnavailable("no whole JSON text", status=200)],
)
async def test_search_that_one_user_spoils_is_done_by_id(bench: Bench, fault: OktaError) -> None:
    """When a search fails for what it is asked or answers, not for Okta being down, each user is read by id."""
    names = [f"00u{number:02}" for number in range(20)]
    bench.okta.index = fault
    bench.okta.by_id = {name: okta_user(name) for name in names[1:]}
    bench.okta.by_id["00u00"] = fault
    await bench.due(*names)
    await bench.resolver.step()
    assert len(bench.okta.asked_ids) == 20
    assert [row[0] for row in await bench.subjects()] == ["00u00"]


async def test_event_during_the_last_failing_read_is_not_lost(bench: Bench) -> None:
    """An event that comes while a user is being given up makes the user due once more."""
    bench.okta.by_id["00u1"] = OktaError("Okta answered 400", status=400)
    await bench.due("00u1")
    for _ in range(TRIES - 1):
        await bench.resolver.step()
        bench.now += 100_000

    async def during() -> None:
        await bench.due("00u1")

    bench.okta.during = during
    await bench.resolver.step()
    assert [row[1:3] for row in await bench.subjects()] == [("due", 0)]


async def test_user_who_cannot_be_read_is_parked_and_others_go_on(bench: Bench) -> None:
    """A fault of one user alone parks that user after some tries, with its reason; a new event tries again."""
    bench.okta.by_id["00u1"] = OktaError("Okta answered 400", status=400, code="E0000001")
    bench.okta.by_id["00u2"] = okta_user("00u2")
    await bench.due("00u1", "00u2")
    for _ in range(TRIES):
        await bench.resolver.step()
        bench.now += 100_000
    assert await bench.subjects() == [("00u1", "parked", TRIES, "Okta answered 400")]
    assert await bench.held("00u2")
    await bench.due("00u1")
    assert [row[1:3] for row in await bench.subjects()] == [("due", 0)]


async def tell(bench: Bench, user_id: str, event_type: str) -> None:
    """Have an event of this type in the store."""
    body = {"uuid": event_type, "eventType": event_type, "target": [{"id": user_id, "type": "User"}]}
    await bench.state.write(
        lambda db: record_event(db, parse(json.dumps(body).encode()), bench.now, bench.now) and None
    )


async def test_active_user_who_vanishes_without_a_word_is_parked(bench: Bench) -> None:
    """A 404 for somebody in service, of whose leaving no event told, may be a role that was narrowed: nothing is
    removed, the user is parked, and a person decides.
    """
    bench.okta.by_id["00u1"] = okta_user("00u1")
    await bench.due("00u1")
    await bench.resolver.step()
    del bench.okta.by_id["00u1"]
    await tell(bench, "00u1", "group.user_membership.add")
    for _ in range(TRIES):
        await bench.resolver.step()
        bench.now += 100_000
    [(_, state, _, error)] = await bench.subjects()
    assert state == "parked"
    assert "role" in error
    held = await bench.held("00u1")
    assert held and held.deleted_ms is None
    with pytest.raises(RosterhookError, match="00u2 is not parked"):
        await bench.state.write(lambda db: accept_gone(db, ["00u1", "00u2"], ["app"], bench.now))
    await bench.state.write(lambda db: accept_gone(db, ["00u1"], ["app"], bench.now))
    held = await bench.held("00u1")
    assert held and held.deleted_ms == bench.now
    assert await bench.subjects() == []


@pytest.mark.parametrize("event_type", ["user.lifecycle.deactivate", "user.lifecycle.delete.initiated"])
async def test_user_whose_leaving_was_told_is_gone_at_once(bench: Bench, event_type: str) -> None:
    """A 404 that an event has announced is a deletion."""
    bench.okta.by_id["00u1"] = okta_user("00u1")
    await bench.due("00u1")
    await bench.resolver.step()
    del bench.okta.by_id["00u1"]
    await tell(bench, "00u1", event_type)
    await bench.resolver.step()
    held = await bench.held("00u1")
    assert held and held.deleted_ms is not None


async def test_deactivated_user_may_be_deleted_without_a_word(bench: Bench) -> None:
    """Who was deactivated has lost nothing more by being deleted: the 404 is believed."""
    bench.okta.by_id["00u1"] = okta_user("00u1") | {"status": "DEPROVISIONED"}
    await bench.due("00u1")
    await bench.resolver.step()
    del bench.okta.by_id["00u1"]
    await bench.due("00u1")
    await bench.resolver.step()
    held = await bench.held("00u1")
    assert held and held.deleted_ms is not None


async def test_without_a_token_known_truth_is_not_replaced_by_older_events(bench: Bench) -> None:
    """When the token goes missing, what Okta told before stands: older events and guesses change nothing of it."""
    bench.okta.by_id["00u1"] = okta_user("00u1", login="ada", email="ada@private.org")
    await bench.due("00u1")
    await bench.resolver.step()
    target = {"id": "00u1", "type": "User", "alternateId": "ada.login@corp.com", "displayName": "Ada"}
    for second, event_type in ((1, "user.account.reset_password"), (9, "group.user_membership.add")):
        body = {"uuid": event_type, "eventType": event_type, "published": f"2026-01-01T00:00:{second:02}.000Z"}
        raw = json.dumps({**body, "target": [target]}).encode()
        await bench.state.write(lambda db, raw=raw: record_event(db, parse(raw), bench.now, bench.now) and None)
    await Resolver(bench.state, EventSource(bench.state), ["app"], clock=lambda: bench.now).step()
    held = await bench.held("00u1")
    assert held
    assert held.user["status"] == "ACTIVE"
    assert held.user["profile"] == {"login": "ada.login@corp.com", "email": "ada@private.org", "displayName": "Ada"}


async def test_lag_counts_from_the_event_that_is_written(bench: Bench) -> None:
    """An event that comes during a read waits from its own moment on, not from that of the one before."""
    bench.okta.by_id["00u1"] = okta_user("00u1")

    async def during() -> None:
        bench.okta.during = None
        values = {"org": "default", "kind": "user", "id": "00u1", "due_ms": bench.now}
        values |= {"waiting_ms": AT + 50_000, "fresh_ms": AT + 50_000}
        await bench.state.write(lambda db: run(db, "make_subject_due", values) and None)

    bench.okta.during = during
    await bench.due("00u1")
    await bench.resolver.step()
    assert await bench.rows("SELECT waiting_ms FROM subject") == [(AT + 50_000,)]


async def test_claims_of_a_dead_worker_are_released(bench: Bench) -> None:
    """What a killed worker had claimed is due again when the next one starts."""
    await bench.due("00u1")
    await bench.state.write(lambda db: rows(db, "claim_subjects", {"now": bench.now, "limit": 10}))
    bench.okta.by_id["00u1"] = okta_user("00u1")
    assert await bench.resolver.step()
    assert await bench.held("00u1")


async def test_claims_of_a_failed_step_are_released(bench: Bench) -> None:
    """When a step fails after its reads, as on a full disk, its users are read again by the next."""
    await bench.due("00u1")
    bench.okta.by_id["00u1"] = okta_user("00u1")
    await bench.state.write(lambda db: db.execute("ALTER TABLE link RENAME TO away") and None)
    with pytest.raises(StoreError):
        await bench.resolver.step()
    assert [row[1] for row in await bench.subjects()] == ["claimed"]
    await bench.state.write(lambda db: db.execute("ALTER TABLE away RENAME TO link") and None)
    assert await bench.resolver.step()
    assert await bench.subjects() == []


async def test_no_more_are_claimed_than_may_be_read(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The free budget bounds the claims: the rest stays due."""
    monkeypatch.setattr(sources.OktaSource, "free", lambda self: 3)
    names = [f"00u{number}" for number in range(5)]
    bench.okta.by_id.update({name: okta_user(name) for name in names})
    await bench.due(*names)
    await bench.resolver.step()
    assert len(bench.okta.asked_ids) == 3
    assert len(await bench.subjects()) == 2


async def test_without_okta_users_are_made_of_events(bench: Bench) -> None:
    """Without a token, events make the user: login, e-mail and name from the targets, status as far as told; late
    events change nothing newer, and a deletion is a deletion.
    """

    def told(uuid: str, event_type: str, second: int, login: str | None = "a@b.c") -> bytes:
        target = {"id": "00u1", "type": "User", "alternateId": login, "displayName": f"Name {second}"}
        stamp = f"2026-01-01T00:00:{second:02}.000Z"
        return json.dumps({"uuid": uuid, "eventType": event_type, "published": stamp, "target": [target]}).encode()

    async def take(*bodies: bytes) -> dict[str, Any]:
        for body in bodies:
            await bench.state.write(lambda db, body=body: record_event(db, parse(body), 0, bench.now) and None)
        await resolver.step()
        found = await bench.held("00u1")
        assert found
        return dict(found.user)

    resolver = Resolver(bench.state, EventSource(bench.state), ["app"], clock=lambda: bench.now)
    profile = {"login": "a@b.c", "email": "a@b.c", "displayName": "Name 5"}
    made = await take(told("1", "user.lifecycle.create", 5))
    assert made == {"id": "00u1", "status": "STAGED", "profile": profile}
    assert (await take(told("2", "user.lifecycle.suspend", 9)))["status"] == "SUSPENDED"
    late = await take(told("3", "user.lifecycle.activate", 7, "unknown"))
    assert (late["status"], late["profile"]["displayName"], late["profile"]["login"]) == (
        "SUSPENDED",
        "Name 9",
        "a@b.c",
    )
    assert (await take(told("4", "user.lifecycle.delete.initiated", 10)))["status"] == "DELETED"
