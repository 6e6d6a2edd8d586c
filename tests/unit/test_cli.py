"""The commands print what they are given as it is, and refuse what they cannot do."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import apsw
import pytest
from cyclopts import CycloptsError

from rosterhook import cli, directory
from rosterhook.arrivals import HOOK, record_event
from rosterhook.cli import check, common, look, points, run
from rosterhook.config import Config
from rosterhook.errors import RosterhookError
from rosterhook.inbox import SqliteInbox
from rosterhook.okta import events as okta_events
from rosterhook.store.database import Database

Command = Callable[..., str]
#: Each ends the printing with an error, or vanishes, where it is taken for markup.
EVIL = ["evil[/bold]", "a[/b]@x", "[targets.columns]", "[bold]x", ":smile:", "[link=x]y"]


def write(work: Callable[[apsw.Connection], object]) -> None:
    """Run `work` on the store in the working directory."""

    async def whole() -> None:
        state = Database(Path("data/state.db"), "state")
        await state.write(work)
        await state.close()
        await SqliteInbox(Path("data")).close()

    asyncio.run(whole())


def put_event(number: int, kind: str = "user.lifecycle.activate", user: str = "00u1") -> None:
    body = {"uuid": f"e-{number}", "eventType": kind, "published": "2026-01-01T00:00:00.000Z",
            "target": [{"id": user, "type": "User"}]}  # fmt: skip
    event = okta_events.parse(json.dumps(body).encode())
    write(lambda db: record_event(db, event, HOOK, number, number))


def put_user(number: int, login: str) -> None:
    user = {"id": f"00u{number}", "status": "ACTIVE", "lastUpdated": "2026-01-01T00:00:00.000Z",
            "profile": {"login": login}}  # fmt: skip
    write(lambda db: directory.record(db, user, fresh=True, targets=["users"], waiting_ms=None, now=1))


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in a folder with an empty store, and returns what it prints."""
    monkeypatch.chdir(tmp_path)
    # The logging of the whole process is not the test's to change.
    monkeypatch.setattr(common, "configure_logging", lambda *_: None)
    write(lambda _: None)

    def call(*words: str) -> str:
        capsys.readouterr()
        cli.app(list(words), result_action="return_value", print_error=False, exit_on_error=False)
        return capsys.readouterr().out

    return call


@pytest.mark.parametrize("text", EVIL)
def test_events_are_printed_as_they_are(command: Command, text: str) -> None:
    """The type of an event may hold what looks like markup."""
    put_event(1, kind=text)
    assert text in command("events")


@pytest.mark.parametrize("text", EVIL)
def test_users_are_printed_as_they_are(command: Command, text: str) -> None:
    """A login may hold what looks like markup."""
    put_user(1, text)
    assert text in command("users")


@pytest.mark.parametrize("text", EVIL)
def test_reasons_are_printed_as_they_are(command: Command, text: str) -> None:
    """The reason why something is parked may quote anything."""
    put_user(1, "a")
    put_event(1, user="00u2")
    write(lambda db: db.execute("UPDATE link SET state = 'parked', error = ?", (f"link {text}",)))
    write(lambda db: db.execute("UPDATE subject SET state = 'parked', error = ?", (f"subject {text}",)))
    quarantine = "INSERT INTO quarantine (org, delivery_seq, received_ms, reason, headers, body)"
    write(lambda db: db.execute(f"{quarantine} SELECT org, 1, 1, ?, '{{}}', x'00' FROM link", (f"delivery {text}",)))
    printed = command("parked")
    assert [kind for kind in ("link", "subject", "delivery") if f"{kind} {text}" not in printed] == []


@pytest.mark.parametrize("text", EVIL)
def test_status_prints_errors_as_they_are(
    command: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """What hinders Okta or a target is told word by word."""
    found = json.loads(command("status", "--json"))
    found["okta"]["error"], found["targets"][0]["error"] = f"okta {text}", f"target {text}"
    look._print_status(found)
    printed = capsys.readouterr().out
    assert f"okta {text}" in printed
    assert f"target {text}" in printed


@pytest.mark.parametrize("text", EVIL)
def test_check_prints_errors_as_they_are(capsys: pytest.CaptureFixture[str], text: str) -> None:
    """The point that failed and its cure are told word by word."""
    check._print(points.Point("target app", "problem", f"what {text}", f"cure {text}"))
    printed = capsys.readouterr().out
    assert f"target app  what {text}\n  cure {text}\n" in printed


def test_no_value_commands_the_terminal(command: Command) -> None:
    """Control characters in a value are shown by their number, and start no line of their own."""
    put_event(1, kind="a\x1b[2J\nb")
    put_user(1, "a\x1b]0;b\x07\x9bc")
    assert r"a\x1b[2J\x0ab" in command("events")
    assert r"a\x1b]0;b\x07\x9bc" in command("users")


@pytest.mark.parametrize("name", ["users", "events"])
@pytest.mark.parametrize("limit", ["-5", "-1", str(2**63)])
def test_a_limit_that_is_none_is_refused(command: Command, name: str, limit: str) -> None:
    """A limit below 0, or above what SQLite can count, is an error in words."""
    with pytest.raises(CycloptsError, match="Must be"):
        command(name, "--limit", limit)


def test_a_limit_is_kept(command: Command) -> None:
    """As many are listed as were asked for, of events the newest; 0 is none."""
    for number in range(3):
        put_event(number)
        put_user(number, f"login-{number}")
    assert [each["uuid"] for each in json.loads(command("events", "--json", "--limit", "2"))] == ["e-1", "e-2"]
    assert [each["id"] for each in json.loads(command("users", "--json", "--limit", "2"))] == ["00u0", "00u1"]
    assert json.loads(command("events", "--json", "--limit", "0")) == []
    assert json.loads(command("users", "--json", "--limit", "0")) == []


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ([], ["e-0", "e-1", "e-9"]),
        (["--limit", "1"], ["e-1", "e-9"]),
        (["--limit", "0"], ["e-9"]),
        (["--limit", "0", "--user", "00u1"], ["e-9"]),
        (["--user", "somebody"], []),
    ],
)
def test_follow_begins_after_what_is_there(
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    shown: list[str],
) -> None:
    """Following prints the history as far as it was asked for, and then each new event once."""
    put_event(0)
    put_event(1)
    steps = iter([lambda: asyncio.to_thread(put_event, 9), lambda: asyncio.to_thread(int)])

    async def instead_of_waiting(_: float) -> None:
        step = next(steps, None)
        if step is None:
            raise RosterhookError("seen enough")
        await step()

    monkeypatch.setattr(look, "asyncio", SimpleNamespace(sleep=instead_of_waiting))
    with pytest.raises(RosterhookError, match="seen enough"):
        command("events", "--follow", "--json", *options)
    assert [json.loads(line)["uuid"] for line in capsys.readouterr().out.splitlines()] == shown


def process(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, with an encoding that has few characters."""
    whole = {**os.environ, "PYTHONIOENCODING": "ascii", **env}
    return subprocess.run(
        [sys.executable, "-m", "rosterhook", *words], capture_output=True, text=True, env=whole, check=False
    )


def test_a_poor_terminal_gets_every_line(command: Command) -> None:
    """Where the encoding lacks a character it is escaped: no command ends for it."""
    put_user(1, "zoë😀")
    listed, checked = process("users"), process("check")
    assert listed.returncode == 0
    assert r"zo\xeb\U0001f600" in listed.stdout
    assert "target users" in checked.stdout
    assert "Traceback" not in listed.stderr + checked.stderr


def test_json_stays_json_on_a_poor_terminal(command: Command) -> None:
    """JSON is escaped in JSON's own way, so that a program reads the very same text."""
    put_user(1, "zoë😀")
    assert json.loads(process("users", "--json").stdout)[0]["profile"]["login"] == "zoë😀"


def test_a_reader_who_leaves_early_sees_no_error(command: Command) -> None:
    """`rosterhook events | head -1` prints one line and nothing else."""
    for number in range(3):
        put_event(number)
    shell = f'"{sys.executable}" -m rosterhook events --limit 3 | head -1'
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.count("\n"), done.stderr) == (0, 1, "")


@pytest.mark.parametrize("more", ["--quarantined", "--all", "--target=users"])
def test_gone_goes_with_ids_alone(command: Command, more: str) -> None:
    """An option that --gone would not heed is refused."""
    with pytest.raises(RosterhookError, match="--gone goes with Okta ids or --parked alone"):
        command("replay", "00u1", "--gone", more)


def test_the_link_can_be_opened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The link that is printed at the start has the real address; from the second start on, where the token is."""
    config = Config.model_validate({"data_dir": tmp_path / "[b]data"})
    for token in ("", "..."):
        run.announce(config, "http://[::1]:4711")
        assert f"http://[::1]:4711/?token={token}" in (printed := capsys.readouterr().out)
    assert str(tmp_path / "[b]data" / "admin-token") in printed


@pytest.mark.parametrize(
    ("hook", "told"),
    [
        ({}, "Point Okta's event hook at https://<your host>/okta/events"),
        ({"path": "/in"}, "Point Okta's event hook at https://<your host>/in"),
        ({"url": "https://h.example.com/in"}, "Okta's event hook calls https://h.example.com/in (rosterhook hook"),
    ],
)
def test_the_start_tells_what_okta_calls(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], hook: dict[str, str], told: str
) -> None:
    """Who has told the hook's address is not asked again to point Okta there."""
    run.announce(Config.model_validate({"data_dir": tmp_path, "hook": hook}), "http://127.0.0.1:1")
    assert told in capsys.readouterr().out


@pytest.mark.parametrize(
    ("url", "passwords"),
    [
        ("postgresql://u:secret@h/db", {"secret"}),
        ("postgresql://u:se%2Fcret@h/db", {"se%2Fcret", "se/cret"}),
        ("postgresql://u:se/cr:et@h/db", {"se/cr:et"}),
        ("postgresql+asyncpg://u@h:secret@h:1/db", {"secret"}),
        ("postgresql://h:5432/db?user=u&password=s%26t", {"s&t"}),
        ("sqlite:///a/b.db", set()),
        ("postgresql://u@h/db", set()),
        ("no address", set()),
    ],
)
def test_the_passwords_of_databases_are_secrets(url: str, passwords: set[str]) -> None:
    """Whatever a target's address holds as its password is kept out of the log, as written and as meant."""
    target = {"name": "app", "type": "sql", "url": url}
    assert set(common.secrets_of(Config.model_validate({"targets": [target]}))) == passwords
