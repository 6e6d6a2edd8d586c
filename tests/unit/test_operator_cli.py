"""What an operator reads and decides: `holds`, `approve`, `reject`, `audit`, `parked` and `replay`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_bench import Run, dispatch, put, run, write

from rosterhook import holds
from rosterhook.arrivals import HOOK, LOG, Source, hear, record_event
from rosterhook.cli.moments import moment_ms
from rosterhook.errors import RosterhookError
from rosterhook.holds import Limit
from rosterhook.model import iso, now_ms
from rosterhook.notes import WEB, leave_note
from rosterhook.okta.events import parse, parse_stamp

__all__ = ["run"]

EVIL = "ann[/bold]:smile:"
MINUTE = 60_000
IDS = [f"00u{number:03}" for number in range(30)]


@pytest.fixture
def held(run: Run) -> str:
    """Four of thirty users are to be removed and are held; the id of the batch."""
    for user_id in IDS:
        put(user_id)
    dispatch(1)
    for user_id in IDS[:4]:
        put(user_id, "DEPROVISIONED", 1, login=EVIL)
    dispatch(now_ms(), limit=Limit(users=3, percent=1.0))
    [hold] = write(holds.list_holds)
    return str(hold.id)


def links(state: str) -> list[str]:
    """Whose link is so."""
    found = write(lambda db: db.execute("SELECT user_id FROM link WHERE state = ? ORDER BY 1", (state,)).fetchall())
    return [user_id for (user_id,) in found]


def arrive(uuid: str, source: Source, user: str = "00u1", age_ms: int = 0, event_type: str = "") -> None:
    """Have an event arrive that happened so long ago."""
    at_ms = now_ms() - age_ms
    body = {"uuid": uuid, "eventType": event_type or "user.account.update_profile", "published": iso(at_ms)}
    event = parse(json.dumps({**body, "target": [{"id": user, "type": "User"}]}).encode())
    write(lambda db: record_event(db, event, source, at_ms, at_ms))
    if source == HOOK:
        write(lambda db: hear(db, [event], at_ms))


def park(user_id: str, error: str, failed_ms: int = 0, *, hidden: bool = False) -> None:
    """Have a user be due, fail and be parked."""
    columns = "org, kind, id, state, due_ms, generation, attempts, crowded, error, failed_ms, tried_ms, hidden"
    values = ("default", "user", user_id, "parked", 1, 1, 5, 0, error, failed_ms, failed_ms + MINUTE, int(hidden))
    marks = ", ".join("?" * len(values))
    write(lambda db: db.execute(f"INSERT INTO subject ({columns}) VALUES ({marks})", values) and None)


def subjects() -> dict[str, str]:
    return dict(write(lambda db: db.execute("SELECT id, state FROM subject ORDER BY id").fetchall()))


def test_nothing_held_says_so(run: Run) -> None:
    """Without a hold there is nothing to list, and nothing to approve."""
    put("00u1")
    assert (run("holds").out, json.loads(run("holds", "--json").out)) == ("Nothing is held.\n", [])
    done = run("approve", "abc")
    assert (done.code, done.err.splitlines()) == (
        1, ["rosterhook: There is no hold 'abc'. Nothing was changed.", "Nothing is held now."],
    )  # fmt: skip


def test_holds_tell_who_and_what_to_type(run: Run, held: str) -> None:
    """A hold is shown with its target, each user as they are now, whatever their names hold, and both commands."""
    done = run("holds")
    assert done.code == 0
    assert done.out.splitlines()[0] == f"Hold {held}: 4 users would be removed from users"
    assert [line.split() for line in done.out.splitlines() if line.startswith("00u")] == [
        [user_id, "DEPROVISIONED", EVIL] for user_id in IDS[:4]
    ]
    assert done.out.splitlines()[-1] == f"rosterhook approve {held}   or   rosterhook reject {held}"
    [told] = json.loads(run("holds", "--json").out)
    assert (told["id"], told["target"], [user["id"] for user in told["users"]]) == (held, "users", IDS[:4])
    assert abs((parse_stamp(told["since"]) or 0) - now_ms()) < 10 * MINUTE


def test_a_long_hold_is_listed_in_part(run: Run) -> None:
    """Of a large batch the first are printed and the number of the others; JSON has all."""
    for user_id in IDS:
        put(user_id)
    dispatch(1)
    for user_id in IDS:
        put(user_id, "DEPROVISIONED", 1)
    dispatch(now_ms())
    printed = run("holds").out
    assert (printed.count("DEPROVISIONED"), "... and 10 more: --json lists all." in printed) == (20, True)
    assert len(json.loads(run("holds", "--json").out)[0]["users"]) == 30


def test_a_hold_is_approved(run: Run, held: str) -> None:
    """The approval names how many are removed from where, and lets them go."""
    done = run("approve", held)
    assert (done.code, done.out) == (0, "Approved: 4 users will be removed from users.\n")
    dispatch(now_ms(), limit=Limit(users=3, percent=1.0))
    assert (links("held"), len(links("ok"))) == ([], 30)
    assert run("approve", held).code == 1


def test_a_hold_is_rejected(run: Run, held: str) -> None:
    """The rejection leaves the users where they are, and `parked` lists them with what could be done."""
    done = run("reject", held)
    assert (done.code, done.out) == (0, "Rejected: users keeps 4 users. `rosterhook parked` lists them.\n")
    dispatch(now_ms(), limit=Limit(users=3, percent=1.0))
    assert len(links("ok")) == 26
    told = json.loads(run("parked", "--json").out)["writes"]
    assert [one["user"] for one in told] == IDS[:4]
    assert told[0]["reason"] == holds.REJECTED
    assert told[0]["next"] == "nothing; to remove the user after all: rosterhook replay 00u000 --target users"


def test_a_batch_that_has_changed_is_not_approved(run: Run, held: str) -> None:
    """With the id of before, nobody is removed; the answer names the batch that there is now."""
    put(IDS[4], "DEPROVISIONED", 1)
    dispatch(now_ms(), limit=Limit(users=3, percent=1.0))
    done = run("approve", held)
    [hold] = write(holds.list_holds)
    assert (done.code, done.out, len(links("held"))) == (1, "", 5)
    assert f"Held now: {hold.id} (users, 5 users). Look again: `rosterhook holds`." in done.err


def test_the_audit_counts_what_became_of_each_event(run: Run) -> None:
    """A sentence, a line for each type, and exit code 1 while something is open."""
    write(lambda db: leave_note(db, WEB, {"at_ms": 1}, 1))
    arrive("e1", HOOK)
    arrive("e2", LOG, user="00u2", age_ms=MINUTE)
    arrive("e3", LOG, user="00u3", event_type="user.account.update_primary_email")
    done = run("audit")
    assert done.code == 1
    assert "2 events for the hook; 1 arrived, 0 were repaired by the log, 1 are open." in done.out
    lines = {words[0]: words[1:] for words in map(str.split, done.out.splitlines()) if words[0].startswith("user.")}
    assert lines["user.account.update_profile"] == ["1", "-", "1", "-", "-"]
    assert lines["user.account.update_primary_email"] == ["-", "-", "-", "-", "1"]
    write(lambda db: db.execute("DELETE FROM subject") and None)
    assert (run("audit").code, "1 were repaired" in run("audit").out) == (0, True)


def test_the_audit_as_json(run: Run) -> None:
    """For programs: the sums, those of each type, the hook's health, and since when events are kept."""
    arrive("e1", HOOK)
    done = run("audit", "--json", "--since", "2h")
    told = json.loads(done.out)
    assert (done.code, told["sent"], told["received"], told["open"], told["not subscribed"]) == (0, 1, 1, 0, 0)
    assert told["types"] == {
        "user.account.update_profile": {"received": 1, "repaired": 0, "open": 0, "not subscribed": 0, "log only": 0}
    }
    assert told["hook"] == {"silent": False, "missed": 0, "missed_since": None, "events_of_day": 1, "warning": ""}
    assert abs((parse_stamp(told["since"]) or 0) - now_ms() + 120 * MINUTE) < 10 * MINUTE
    assert (parse_stamp(told["first"]) or 0) <= now_ms()


def test_the_audit_warns_of_a_silent_hook(run: Run) -> None:
    """Who asks what became of the events is told that the hook brings none, and that older events are not kept."""
    write(lambda db: leave_note(db, WEB, {"at_ms": 1}, 1))
    for number in range(3):
        arrive(f"e{number}", LOG, age_ms=30 * MINUTE)
    done = run("audit")
    assert "! the hook is silent: 3 events since" in done.out
    assert "Events are kept since" in done.out


def test_the_audit_heeds_since(run: Run) -> None:
    """Only events since then are counted."""
    arrive("e1", HOOK, age_ms=3 * 60 * MINUTE)
    for since, sent in (("1h", 0), ("5h", 1), ("2020-01-01", 1), (iso(now_ms()) or "", 0)):
        assert json.loads(run("audit", "--json", "--since", since).out)["sent"] == sent


@pytest.mark.parametrize("words", [["audit"], ["replay", "--parked"]])
@pytest.mark.parametrize("since", ["yesterday", "", "5", "5w", "-1h", "2026-02-31", "1e3h", "2h ago"])
def test_what_is_no_moment_is_refused(run: Run, words: list[str], since: str) -> None:
    """A moment that is none is an error that shows how to name one."""
    put("00u1")
    done = run(*words, f"--since={since}")
    assert (done.code, done.out) == (1, "")
    assert f"{since!r} is no moment." in done.err
    assert "90m, 24h, 7d" in done.err


@pytest.mark.parametrize("since", ["999999d", "0001-01-01", "9999-12-31", "999999h"])
def test_a_moment_beyond_all_time_is_no_crash(run: Run, since: str) -> None:
    """However far away a moment is, the audit answers or refuses it in words."""
    arrive("e1", HOOK)
    done = run("audit", "--since", since)
    assert done.code in (0, 1)
    assert done.out or "no moment" in done.err


def test_moments_are_read_as_people_name_them() -> None:
    """How long ago, a day, or a stamp; blanks around it do not matter."""
    now = parse_stamp("2026-03-01T12:00:00Z") or 0
    assert [moment_ms(text, now) for text in ("90s", "90m", "24h", "7d", " 2h ", "0m")] == [
        now - 90_000, now - 90 * MINUTE, now - 1440 * MINUTE, now - 10_080 * MINUTE, now - 120 * MINUTE, now,
    ]  # fmt: skip
    assert moment_ms("2026-02-01", now) == parse_stamp("2026-02-01T00:00:00Z")
    assert moment_ms("2026-01-31T08:00:00+01:00", now) == parse_stamp("2026-01-31T07:00:00Z")
    with pytest.raises(RosterhookError, match="no moment"):
        moment_ms("24 h", now)


def test_parked_tells_since_when_and_what_next(run: Run) -> None:
    """Each thing that is parked has its first and last try and the next step, for people and for programs."""
    put("00u3")
    stamp = parse_stamp("2026-01-01T10:00:00.000Z") or 0
    park("00u1", "hidden", stamp, hidden=True)
    park("00u2", "Okta answered 400", stamp)
    write(lambda db: db.execute("UPDATE link SET state = 'parked', error = 'too long', failed_ms = ?", (stamp,)))
    told = json.loads(run("parked", "--json").out)
    first, last = "2026-01-01T10:00:00.000Z", "2026-01-01T10:01:00.000Z"
    assert [(one["user"], one["first"], one["last"], one["next"]) for one in told["reads"]] == [
        ("00u1", first, last, "rosterhook replay 00u1, or rosterhook replay 00u1 --gone once you have looked"),
        ("00u2", first, last, "rosterhook replay 00u2"),
    ]
    [write_told] = told["writes"]
    assert (write_told["first"], write_told["last"]) == (first, None)
    assert write_told["next"] == "mend it, then rosterhook replay 00u3 --target users"
    printed = run("parked").out
    [line] = [line for line in printed.splitlines() if line.startswith("00u2")]
    assert line.split() == ["00u2", "5", "2026-01-01", "10:00", "2026-01-01", "10:01", "Okta", "answered", "400"]


def test_what_a_dispatcher_parks_has_its_times(run: Run) -> None:
    """The times are those of the first and the last try of a real delivery."""
    put("00u1", firstName="\ud800")
    dispatch(1000)
    [told] = json.loads(run("parked", "--json").out)["writes"]
    assert (told["first"], told["last"], told["attempts"]) == (iso(1000), iso(1000), 1)


def parked_world(run: Run) -> None:
    """Reads and writes that failed for two reasons, at two times."""
    for number, (reason, age_ms) in enumerate([("down: a", 0), ("down: b", 300 * MINUTE), ("50% of x_y", 0)]):
        park(f"00u{number}", reason, now_ms() - age_ms)
        put(f"00v{number}")
        values = (reason, now_ms() - age_ms, f"00v{number}")
        write(
            lambda db, values=values: (
                db.execute("UPDATE link SET state = 'parked', error = ?, failed_ms = ? WHERE user_id = ?", values)
                and None
            )
        )


@pytest.mark.parametrize(
    ("words", "replayed"),
    [
        ([], "012"),
        (["--reason", "down"], "01"),
        (["--reason", "down: b"], "1"),
        (["--reason", "%"], "2"),
        (["--reason", "x_y"], "2"),
        (["--reason", "xzy"], ""),
        (["--since", "1h"], "02"),
        (["--reason", "down", "--since", "1h"], "0"),
        (["--since", "10h"], "012"),
    ],
)
def test_a_replay_of_what_is_parked_can_be_narrowed(run: Run, words: list[str], replayed: str) -> None:
    """By a part of the reason, as it is written, and by when it failed first: reads and writes alike."""
    parked_world(run)
    dry = run("replay", "--parked", "--dry-run", *words)
    assert (dry.code, "would be" in dry.out, set(subjects().values())) == (0, True, {"parked"})
    done = run("replay", "--parked", *words)
    users = f"{len(replayed)} user{'' if len(replayed) == 1 else 's'}"
    assert done.out == f"{users} will be read from Okta again, {len(replayed)} will be written again.\n"
    assert [user for user, state in subjects().items() if state == "due"] == [f"00u{number}" for number in replayed]
    assert links("pending") == [f"00v{number}" for number in replayed]


def test_a_replay_of_one_target_reads_nobody(run: Run) -> None:
    """With --target only that target's users are written again."""
    parked_world(run)
    run("replay", "--parked", "--target", "users")
    assert (set(subjects().values()), links("pending")) == ({"parked"}, ["00v0", "00v1", "00v2"])


@pytest.mark.parametrize("words", [["--reason", "x"], ["--since", "1h"]])
def test_a_reason_goes_with_parked_alone(run: Run, words: list[str]) -> None:
    """What chooses among the parked is refused without --parked, and beside ids, --gone or nothing."""
    put("00u1")
    for others in (["00u1"], ["--all"], []):
        done = run("replay", *others, *words)
        assert done.code == 1
        assert "--parked" in done.err
    assert run("replay", "--parked", "--gone", *words).code == 1


def test_all_who_are_hidden_are_taken_for_gone(run: Run) -> None:
    """--parked --gone deletes whom Okta does not find, and leaves parked who failed for another reason."""
    for number in range(3):
        put(f"00u{number}")
    dispatch(1)
    park("00u0", "hidden", hidden=True)
    park("00u1", "hidden", hidden=True)
    park("00u2", "Okta answered 400")
    done = run("replay", "--parked", "--gone")
    assert (done.code, done.out) == (0, "0 users will be read from Okta again, 2 will be written again.\n")
    gone = write(lambda db: db.execute('SELECT id FROM "user" WHERE deleted_ms > 0 ORDER BY id').fetchall())
    assert (gone, subjects()) == ([("00u0",), ("00u1",)], {"00u2": "parked"})
    refused: Any = run("replay", "00u2x", "--gone")
    assert (refused.code, Path("data/state.db").exists()) == (1, True)
