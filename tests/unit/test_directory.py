"""The directory: versions that grow only with content, stale readings refused, tombstones."""

from __future__ import annotations

from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rosterhook import directory
from rosterhook.directory import Verdict
from rosterhook.store.migrate import migrate


@pytest.fixture
def db() -> apsw.Connection:
    return open_db()


def open_db() -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    migrate(connection, "state")
    return connection


def user(second: int = 5, **profile: Any) -> dict[str, Any]:
    stamp = f"2026-01-01T00:00:{second:02}.000Z"
    return directory.canonical({"id": "00u1", "status": "ACTIVE", "lastUpdated": stamp, "profile": profile})


def record(db: apsw.Connection, reading: dict[str, Any], fresh: bool = True) -> Verdict:
    return directory.record(db, reading, fresh=fresh, targets=["a", "b"], waiting_ms=7, now=100)


def links(db: apsw.Connection) -> list[Any]:
    return db.execute("SELECT target, wanted, done, state, waiting_ms FROM link ORDER BY target").fetchall()


def test_new_user_is_wanted_by_every_target(db: apsw.Connection) -> None:
    """The first reading is version 1, and each target has a link that waits for it."""
    assert record(db, user(email="a@b.c")) is Verdict.CHANGED
    assert links(db) == [("a", 1, 0, "pending", 7), ("b", 1, 0, "pending", 7)]


def test_same_content_is_no_new_version(db: apsw.Connection) -> None:
    """A reading with the content that is held changes nothing, whatever Okta leaves out or sends beside it."""
    record(db, user(email="a@b.c"))
    again = directory.canonical(
        {
            "lastLogin": "2026-02-02T00:00:00.000Z",
            "profile": {"secondEmail": None, "email": "a@b.c"},
            "lastUpdated": "2026-01-01T00:00:05.000Z",
            "status": "ACTIVE",
            "id": "00u1",
            "credentials": {"provider": {}},
            "_links": {"self": {}},
        }
    )
    assert record(db, again) is Verdict.SAME
    held = directory.find(db, "00u1")
    assert held and held.version == 1


def test_changed_content_is_the_next_version(db: apsw.Connection) -> None:
    """Other content is one version more, and every link waits again; a parked one gets its next chance."""
    record(db, user(email="a@b.c"))
    db.execute("UPDATE link SET done = 1, state = 'ok', waiting_ms = NULL WHERE target = 'a'")
    db.execute("UPDATE link SET state = 'parked', error = 'x' WHERE target = 'b'")
    assert record(db, user(email="new@b.c")) is Verdict.CHANGED
    assert links(db) == [("a", 2, 1, "pending", 7), ("b", 2, 0, "pending", 7)]


def test_older_reading_is_refused(db: apsw.Connection) -> None:
    """A reading whose `lastUpdated` lies before the held one changes nothing, fresh or not."""
    record(db, user(9, email="new@b.c"))
    assert record(db, user(8, email="old@b.c")) is Verdict.STALE
    held = directory.find(db, "00u1")
    assert held and held.user["profile"] == {"email": "new@b.c"}


def test_tombstone_outlives_and_only_a_fresh_reading_lifts_it(db: apsw.Connection) -> None:
    """Who is gone stays gone for any list or search; Okta's own answer by id alone brings the user back."""
    record(db, user(5, email="a@b.c"))
    assert directory.record_gone(db, "00u1", targets=["a"], waiting_ms=None, now=200) is Verdict.CHANGED
    held = directory.find(db, "00u1")
    assert held and (held.version, held.deleted_ms, held.user["status"]) == (2, 200, "DELETED")
    assert held.user["profile"] == {"email": "a@b.c"}
    assert record(db, user(9, email="a@b.c"), fresh=False) is Verdict.STALE
    assert directory.record_gone(db, "00u1", targets=["a"], waiting_ms=None, now=300) is Verdict.SAME
    assert record(db, user(9, email="a@b.c"), fresh=True) is Verdict.CHANGED


def test_gone_before_ever_seen_leaves_a_tombstone(db: apsw.Connection) -> None:
    """A user who is gone before the first reading is a tombstone too, so that nothing slower brings it to life."""
    directory.record_gone(db, "00u1", targets=["a"], waiting_ms=None, now=200)
    assert record(db, user(5), fresh=False) is Verdict.STALE


def test_new_target_wants_everybody_and_a_changed_one_all_anew(db: apsw.Connection) -> None:
    """A target that is added gets every user; one whose configuration changed gets them again; else nothing."""
    record(db, user(5))
    directory.want_everybody(db, "c", "fingerprint", 100)
    assert links(db)[2] == ("c", 1, 0, "pending", None)
    db.execute("UPDATE link SET done = 1, state = 'ok'")
    directory.want_everybody(db, "c", "fingerprint", 100)
    assert links(db)[2][3] == "ok"
    directory.want_everybody(db, "c", "another", 100)
    assert [link[3] for link in links(db)] == ["ok", "ok", "pending"]


def test_target_that_was_away_catches_up(db: apsw.Connection) -> None:
    """A target that was out of the configuration while users changed wants their newest version when it is back."""
    record(db, user(5, email="a"))
    directory.want_everybody(db, "a", "f", 100)
    db.execute("UPDATE link SET done = 1, state = 'ok'")
    directory.record(db, user(6, email="b"), fresh=True, targets=["b"], waiting_ms=None, now=100)
    directory.want_everybody(db, "a", "f", 100)
    assert links(db)[0][:4] == ("a", 2, 1, "pending")


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from("xyz"), st.booleans()), max_size=12))
def test_state_never_goes_back(readings: list[tuple[int, str, bool]]) -> None:
    """In whatever order readings come, what is held is never older than any that was taken, and versions only grow."""
    db = open_db()
    newest, version = -1, 0
    for second, name, fresh in readings:
        verdict = record(db, user(second, firstName=name), fresh)
        held = directory.find(db, "00u1")
        assert held
        assert (verdict is Verdict.STALE) == (second < newest)
        assert held.version == version + (verdict is Verdict.CHANGED)
        newest, version = max(newest, second), held.version
        assert held.last_updated_ms == directory.last_updated_ms(user(newest))


def test_half_of_a_surrogate_pair_is_kept(db: apsw.Connection) -> None:
    """What JSON can say and UTF-8 cannot is kept as Okta has it, and is the same user at the next reading."""
    odd = user(lastName="\ud83d")
    assert record(db, odd) is Verdict.CHANGED
    held = directory.find(db, "00u1")
    assert held is not None and held.user == odd
    assert record(db, odd) is Verdict.SAME


def test_digest_does_not_depend_on_order() -> None:
    """The same content in another order of keys, at any depth, has the same fingerprint."""
    one = {"id": "00u1", "profile": {"a": "1", "b": {"x": 1, "y": 2}}}
    other = {"profile": {"b": {"y": 2, "x": 1}, "a": "1"}, "id": "00u1"}
    assert directory.digest(one) == directory.digest(other)
    assert directory.digest(one) != directory.digest({**one, "profile": {"a": "2", "b": {"x": 1, "y": 2}}})
