"""`rosterhook backfill` and `rosterhook reconcile`, over a simulated org and a real table."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from command_bench import Ran, Run, run, write

from rosterhook import sweeps
from rosterhook.cli import sweep as command
from rosterhook.sweeps import Sweep
from rosterhook.testing import OktaOrg

pytest_plugins = ["rosterhook.testing.simulator"]

__all__ = ["run"]

TOML = """\
[okta]
org_url = "{org.url}"
token = "{org.token}"
[hook]
secret = "a-secret-that-is-long-enough"
[follower]
enabled = false
[reconcile]
first_load = false
[[targets]]
name = "app"
type = "sql"
url = "sqlite:///users.db"
drift = "{drift}"
"""


@pytest.fixture
def ids(okta_org: OktaOrg, run: Run) -> list[str]:
    """Three users in the org, and the service configured for it, in the working directory."""
    configure(okta_org)
    return sorted(okta_org.create_user(firstName=name)["id"] for name in ("Ada", "Grace", "Joan"))


def configure(org: OktaOrg, drift: str = "repair") -> None:
    Path("rosterhook.toml").write_text(TOML.format(org=org, drift=drift), encoding="utf-8")


def table(sql: str) -> list[tuple[object, ...]]:
    """Run a statement on the target."""
    with closing(sqlite3.connect("users.db")) as db, db:
        return db.execute(sql).fetchall()


def test_a_backfill_fills_the_table(run: Run, ids: list[str]) -> None:
    """Without a running worker the command works the order off itself, and ends with what it read and the proof."""
    done = run("backfill")
    assert done.code == 0
    assert sorted(table("SELECT id FROM users")) == [(user_id,) for user_id in ids]
    for text in ("Done ...", "3 users in 1 calls", "3 users changed in the own store; 0 missing", "equal"):
        assert text in done.out
    assert "NOT EQUAL" not in done.out


def test_a_dry_run_as_json_tells_all_and_changes_nothing(run: Run, ids: list[str]) -> None:
    """Before the first load, all users are missing on both sides; no table and no user comes of it."""
    done = run("reconcile", "--dry-run", "--json")
    told = json.loads(done.out)
    assert (done.code, told["kind"], told["phase"], told["error"]) == (1, "reconcile", "done", "")
    found = [(one["target"], one["user"], one["kind"]) for one in told["findings"]]
    assert sorted(found) == sorted((target, user_id, "missing") for target in ("", "app") for user_id in ids)
    assert not Path("users.db").exists()
    assert write(lambda db: db.execute('SELECT count(*) FROM "user"').fetchall()) == [(0,)]


def test_a_dry_run_names_user_field_and_both_values(run: Run, ids: list[str], okta_org: OktaOrg) -> None:
    """For people: what Okta has that the own store has not, and what would be written, value by value."""
    run("backfill")
    equal = run("reconcile", "--dry-run")
    assert (equal.code, "Nothing differs." in equal.out, "Nothing was changed." in equal.out) == (0, True, True)
    okta_org.update_user(ids[0], title="Lead", lastName="Changed[bold]")
    table(f"UPDATE users SET email = 'edited' WHERE id = '{ids[1]}'")
    done = run("reconcile", "--dry-run")
    okta, _, target = done.out.partition("Target app: what would be written")
    assert (done.code, "Okta: what the own store does not hold yet" in okta) == (1, True)
    assert [line.split()[:4] for line in okta.splitlines() if ids[0] in line] != []
    assert "Changed[bold]" in okta
    [line] = [line for line in target.splitlines() if ids[1] in line]
    assert line.split()[:5] == [ids[1], "differs", "email", "edited", okta_org.user(ids[1])["profile"]["email"]]
    assert table(f"SELECT email FROM users WHERE id = '{ids[1]}'") == [("edited",)]


def test_a_reconcile_mends_and_proves(run: Run, ids: list[str]) -> None:
    """What differs is written, compared once more, and told; the exit code says equal."""
    run("backfill")
    table(f"UPDATE users SET email = 'edited' WHERE id = '{ids[1]}'")
    table(f"DELETE FROM users WHERE id = '{ids[2]}'")
    done = run("reconcile")
    assert (done.code, "NOT EQUAL" in done.out) == (0, False)
    assert "app: 1 row differed, 1 row lacked, 2 of them mended." in done.out
    assert table("SELECT count(*) FROM users WHERE email <> 'edited'") == [(3,)]


def test_a_reconcile_that_only_reports_is_unequal(run: Run, ids: list[str], okta_org: OktaOrg) -> None:
    """With drift = "report" the exit code is 1, and the row stays."""
    configure(okta_org, "report")
    run("backfill")
    table(f"UPDATE users SET email = 'edited' WHERE id = '{ids[1]}'")
    done = run("reconcile")
    assert (done.code, "NOT EQUAL" in done.out, "app: 1 row differed." in done.out) == (1, True, True)
    assert table("SELECT count(*) FROM users WHERE email = 'edited'") == [(1,)]


def test_lost_access_fails_with_its_cure(run: Run, ids: list[str], okta_org: OktaOrg) -> None:
    """When the org shows nobody any more, the command fails, deletes nobody, and says what to check."""
    run("backfill")
    for user_id in ids:
        okta_org.delete_user(user_id)
    done = run("reconcile")
    assert (done.code, "reconcile failed: Okta lists nobody, where 3 users are known" in done.out) == (1, True)
    assert "admin role" in done.out
    assert table("SELECT DISTINCT status FROM users") == [("ACTIVE",)]


def test_who_was_deleted_is_accepted_by_hand(run: Run, ids: list[str], okta_org: OktaOrg) -> None:
    """With --accept-missing, who is missing and not found by id is deleted without an event that says so."""
    run("backfill")
    okta_org.delete_user(ids[0])
    done = run("reconcile", "--accept-missing", "--target", "app")
    assert done.code == 0
    assert table("SELECT id FROM users WHERE status = 'DELETED'") == [(ids[0],)]


@pytest.mark.parametrize("kind", ["backfill", "reconcile"])
def test_a_sweep_as_json_is_json_alone(run: Run, ids: list[str], kind: str) -> None:
    """A program that reads the output gets one JSON document, with the sweep and what it found."""
    done = run(kind, "--json")
    told = json.loads(done.out)
    assert (done.code, told["kind"], told["phase"], told["listed"]) == (0, kind, "done", 3)
    assert told["report"]["okta"] == told["report"]["directory"]
    assert len(told["findings"]) == (3 if kind == "reconcile" else 0)


def open_sweeps() -> list[Sweep]:
    found: list[Sweep] = write(sweeps.open_sweeps)
    return found


def test_an_order_may_be_left_to_the_worker(run: Run, ids: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """With --no-wait the order is a row for the worker that runs, and the command ends at once."""
    monkeypatch.setattr(command, "is_running", lambda *_: True)
    done = run("backfill", "--no-wait")
    assert (done.code, done.out) == (0, "Ordered: backfill 1. `rosterhook status` shows how far it is.\n")
    [sweep] = open_sweeps()
    assert (sweep.kind, sweep.phase, sweep.reason) == ("backfill", "asked", "ordered by hand")
    run("reconcile", "--no-wait", "--target", "app")
    assert dict(open_sweeps()[1].options) == {"target": "app"}
    assert not Path("users.db").exists()


def test_an_order_without_a_worker_waits_for_one(run: Run, ids: list[str]) -> None:
    """With --no-wait and no worker, nothing is begun: the next worker takes the order."""
    done = run("backfill", "--no-wait")
    assert (done.code, [sweep.phase for sweep in open_sweeps()]) == (0, ["asked"])
    assert not Path("users.db").exists()


def test_an_order_as_json_is_json(run: Run, ids: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """--json with --no-wait tells the order as JSON."""
    monkeypatch.setattr(command, "is_running", lambda *_: True)
    assert json.loads(run("backfill", "--no-wait", "--json").out)["id"] == 1


def test_a_target_that_is_not_configured_is_refused(run: Run, ids: list[str]) -> None:
    """A misspelt target is named, with those that there are; nothing is ordered."""
    done = run("reconcile", "--target", "ap")
    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines() == ['rosterhook: There is no target "ap".', "There is: app."]
    assert not Path("data/state.db").exists()


@pytest.mark.parametrize("words", [["backfill"], ["reconcile"], ["reconcile", "--dry-run"], ["backfill", "--no-wait"]])
def test_without_a_login_there_is_nothing_to_read(run: Run, words: list[str]) -> None:
    """A service that reads no org has no full read: that is a fault of the configuration, with exit code 2."""
    done = run(*words)
    assert done.code == 2
    assert "There is no login to Okta" in done.err
    assert "okta.token or okta.client_id" in done.err


def test_a_worker_that_ends_ends_the_command(run: Run, ids: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """When the worker of the command dies, the command says so and does not wait for ever."""

    async def die(self: object, stop: object) -> None:
        return

    monkeypatch.setattr("rosterhook.worker.Worker.run", die)
    done = run("backfill")
    assert (done.code, "The worker has ended before its time." in done.err) == (1, True)


def process(*words: str) -> Ran:
    """The command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "rosterhook", *words], capture_output=True, text=True, env=os.environ, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def test_a_whole_process_prints_json_and_logs_elsewhere(run: Run, ids: list[str]) -> None:
    """As a program of its own, a dry run prints JSON and no more, and no secret is in its log."""
    run("backfill")
    table(f"UPDATE users SET email = 'edited' WHERE id = '{ids[1]}'")
    done = process("reconcile", "--dry-run", "--json")
    assert (done.code, [one["user"] for one in json.loads(done.out)["findings"]]) == (1, [ids[1]])
    assert "sim-token" not in done.err
    assert "Traceback" not in done.err
