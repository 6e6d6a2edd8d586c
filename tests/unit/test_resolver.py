"""The resolver: what becomes of each user who is due."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from resolver_bench import AT, Bench, okta_user
from structlog.testing import capture_logs

from rosterhook import sources
from rosterhook.arrivals import HOOK, record_event
from rosterhook.errors import OktaError, OktaForbidden, OktaUnavailable, RosterhookError, StoreError
from rosterhook.okta.events import parse
from rosterhook.replay import Order, accept_gone, carry_out, replay_users
from rosterhook.resolver import TRIES
from rosterhook.store.queries import rows, run


@pytest.fixture
async def bench(tmp_path: Path):
    bench = Bench(tmp_path)
    yield bench
    await bench.state.close()


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
        lambda db: record_event(db, parse(json.dumps(body).encode()), HOOK, bench.now, bench.now) and None
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


@pytest.mark.parametrize(
    "event_type", ["user.lifecycle.delete.initiated", "user.lifecycle.delete.completed", "system.import.user.delete"]
)
async def test_user_whose_deletion_was_told_is_gone_at_once(bench: Bench, event_type: str) -> None:
    """A 404 that an event has announced is a deletion."""
    bench.okta.by_id["00u1"] = okta_user("00u1")
    await bench.due("00u1")
    await bench.resolver.step()
    del bench.okta.by_id["00u1"]
    await tell(bench, "00u1", event_type)
    await bench.resolver.step()
    held = await bench.held("00u1")
    assert held and held.deleted_ms is not None


@pytest.mark.parametrize("status", ["ACTIVE", "DEPROVISIONED"])
async def test_a_deactivation_explains_no_404(bench: Bench, status: str) -> None:
    """Okta still finds who is deactivated: whom it does not find was deleted, or is hidden from us."""
    bench.okta.by_id["00u1"] = okta_user("00u1") | {"status": status}
    await bench.due("00u1")
    await bench.resolver.step()
    del bench.okta.by_id["00u1"]
    await tell(bench, "00u1", "user.lifecycle.deactivate")
    for _ in range(TRIES):
        await bench.resolver.step()
        bench.now += 100_000
    held = await bench.held("00u1")
    assert held and held.deleted_ms is None
    assert [row[1] for row in await bench.subjects()] == ["parked"]


async def test_a_newcomer_whom_okta_hides_is_no_deletion(bench: Bench) -> None:
    """Somebody of whom an event told, and whom Okta does not find, waits for a person, and leaves no tombstone."""
    await tell(bench, "00uNew", "user.lifecycle.create")
    for _ in range(TRIES):
        await bench.resolver.step()
        bench.now += 100_000
    assert await bench.held("00uNew") is None
    assert [row[1] for row in await bench.subjects()] == ["parked"]


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
    monkeypatch.setattr(sources.OktaSource, "free", lambda self, due: 3)
    names = [f"00u{number}" for number in range(5)]
    bench.okta.by_id.update({name: okta_user(name) for name in names})
    await bench.due(*names)
    await bench.resolver.step()
    assert len(bench.okta.asked_ids) == 3
    assert len(await bench.subjects()) == 2


async def test_a_mistyped_replay_leaves_no_tombstone(bench: Bench) -> None:
    """An id that only a person has named, and that Okta does not know, leaves nothing behind but a warning."""
    with capture_logs() as logs:
        await bench.state.write(lambda db: replay_users(db, ["00uTypo"], None, bench.now))
        await bench.resolver.step()
    assert (await bench.held("00uTypo"), await bench.subjects()) == (None, [])
    assert [log["user"] for log in logs if log["event"] == "user.unknown"] == ["00uTypo"]


async def test_a_replay_of_who_was_named_by_an_event_leaves_a_tombstone(bench: Bench) -> None:
    """Whose deletion an event has told was there: gone before ever seen is a tombstone, by `replay` too."""
    body = {"uuid": "e", "eventType": "user.lifecycle.delete.initiated", "target": [{"id": "00uA", "type": "User"}]}
    await bench.state.write(lambda db: record_event(db, parse(json.dumps(body).encode()), HOOK, 1, 1))
    await bench.state.write(lambda db: db.execute("DELETE FROM subject") and None)
    await bench.state.write(lambda db: replay_users(db, ["00uA"], None, bench.now))
    await bench.resolver.step()
    held = await bench.held("00uA")
    assert held is not None and held.deleted_ms is not None


@pytest.mark.parametrize("wrong", ["jose.3@example.com", "ann.lee", "", " 00u1", "00u1/x", "00u1\n", "é", "a" * 101])
async def test_what_can_be_no_id_is_not_replayed(bench: Bench, wrong: str) -> None:
    """A login in place of an id is refused before anything is changed, also for those beside it."""
    with pytest.raises(RosterhookError, match="is no Okta id"):
        await bench.state.write(lambda db: carry_out(db, Order(["00u1", wrong]), ["app"], bench.now))
    assert await bench.subjects() == []


async def test_who_changes_again_and_again_rests_while_calls_are_scarce(bench: Bench) -> None:
    """Ten changes a second for a minute cost a read at once and a handful more, and the last change is read."""
    await spend(bench, limit=100, calls=20)
    for number in range(600):
        bench.okta.by_id["00u1"] = okta_user("00u1", firstName=str(number))
        await bench.due("00u1")
        await bench.resolver.step()
        bench.pass_by(0.1)
    assert 4 <= len(bench.okta.asked_ids) <= 6
    bench.pass_by(60)
    await bench.resolver.step()
    found = await bench.held("00u1")
    assert found and found.user["profile"] == {"firstName": "599"}
    assert await bench.subjects() == []


async def test_nobody_rests_while_there_are_calls(bench: Bench) -> None:
    """With most of the window's calls left, each change is read at once, and rests leave no try behind."""
    await spend(bench, limit=100, calls=2)
    for number in range(5):
        bench.okta.by_id["00u1"] = okta_user("00u1", firstName=str(number))
        await bench.due("00u1")
        assert await bench.resolver.step()
        bench.pass_by(0.1)
    assert len(bench.okta.asked_ids) == 5


async def test_who_could_not_be_read_does_not_rest(bench: Bench) -> None:
    """However scarce calls are, only an answer makes a user rest: after a failure the usual pauses are all there is."""
    await spend(bench, limit=100, calls=20)
    bench.okta.by_id["00u1"] = OktaUnavailable("down")
    await bench.due("00u1")
    with pytest.raises(OktaUnavailable):
        await bench.resolver.step()
    bench.okta.by_id["00u1"] = okta_user("00u1")
    bench.pass_by(2)
    assert await bench.resolver.step()
    assert await bench.subjects() == []


async def test_a_rest_is_no_try(bench: Bench) -> None:
    """Who rests is due later, with the attempts and the error that were there."""
    await spend(bench, limit=100, calls=20)
    bench.okta.by_id["00u1"] = okta_user("00u1")
    await bench.due("00u1")
    await bench.resolver.step()
    await bench.due("00u1")
    assert await bench.resolver.step()
    assert await bench.subjects() == [("00u1", "due", 0, None)]
    assert not await bench.resolver.step()


async def spend(bench: Bench, *, limit: int, calls: int) -> None:
    """Use up a part of what may be spent of reads by id, of which Okta allows so many."""
    for left in range(limit, limit - calls, -1):
        await bench.budget.acquire("user")
        told = {
            "x-rate-limit-limit": str(limit),
            "x-rate-limit-remaining": str(left),
            "x-rate-limit-reset": "2000000000",
        }
        bench.budget.release("user", 200, told)
