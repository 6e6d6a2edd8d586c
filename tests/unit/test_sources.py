"""Where the truth comes from: who is read how, and which row of a search is believed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from resolver_bench import AT, STAMP, Bench, okta_user

from rosterhook import directory
from rosterhook.arrivals import HOOK, record_event
from rosterhook.errors import OktaError, OktaUnavailable
from rosterhook.okta.events import parse
from rosterhook.resolver import Resolver
from rosterhook.sources import EventSource, Subject, shows


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


async def test_a_flood_of_users_is_gathered_into_full_pages(bench: Bench) -> None:
    """Where users become due faster than a hundred a second, a search waits up to a second for more of them."""
    names = [f"00u{number:03}" for number in range(300)]
    bench.okta.index = {name: okta_user(name) for name in names}
    for first in range(0, 300, 30):
        await bench.due(*names[first : first + 30])
        await bench.resolver.step()
        bench.pass_by(0.2)
    while bench.seconds < 4 and await bench.subjects():
        await bench.resolver.step()
        bench.pass_by(0.2)
    assert sum(map(len, bench.okta.searches)) == 300
    assert len(bench.okta.searches) <= 6
    assert bench.okta.asked_ids == []


async def test_a_few_more_users_are_not_kept_waiting(bench: Bench) -> None:
    """Where users become due slowly, each search is made at once."""
    names = [f"00u{number:03}" for number in range(60)]
    bench.okta.index = {name: okta_user(name) for name in names}
    for first in range(0, 60, 20):
        await bench.due(*names[first : first + 20])
        assert await bench.resolver.step()
        bench.pass_by(0.3)
    assert [len(ids) for ids in bench.okta.searches] == [20, 20, 20]


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
    """An id that a search leaves out is deleted only when Okta says so by id, and told of it; else it was only not
    indexed yet.
    """
    names = [f"00u{number:02}" for number in range(20)]
    bench.okta.index = {name: okta_user(name) for name in names[2:]}
    bench.okta.by_id["00u00"] = okta_user("00u00")
    told = {"uuid": "e", "eventType": "user.lifecycle.delete.initiated", "target": [{"id": "00u01", "type": "User"}]}
    raw = json.dumps(told).encode()
    await bench.state.write(lambda db: record_event(db, parse(raw), HOOK, bench.now, bench.now) and None)
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


async def test_without_a_token_known_truth_is_not_replaced_by_older_events(bench: Bench) -> None:
    """When the token goes missing, what Okta told before stands: older events and guesses change nothing of it."""
    bench.okta.by_id["00u1"] = okta_user("00u1", login="ada", email="ada@private.org")
    await bench.due("00u1")
    await bench.resolver.step()
    target = {"id": "00u1", "type": "User", "alternateId": "ada.login@corp.com", "displayName": "Ada"}
    for second, event_type in ((1, "user.account.reset_password"), (9, "group.user_membership.add")):
        body = {"uuid": event_type, "eventType": event_type, "published": f"2026-01-01T00:00:{second:02}.000Z"}
        raw = json.dumps({**body, "target": [target]}).encode()
        await bench.state.write(lambda db, raw=raw: record_event(db, parse(raw), HOOK, bench.now, bench.now) and None)
    await Resolver(bench.state, EventSource(bench.state), ["app"], clock=lambda: bench.now).step()
    held = await bench.held("00u1")
    assert held
    assert held.user["status"] == "ACTIVE"
    assert held.user["profile"] == {"login": "ada.login@corp.com", "email": "ada@private.org", "displayName": "Ada"}


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
            await bench.state.write(lambda db, body=body: record_event(db, parse(body), HOOK, 0, bench.now) and None)
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
