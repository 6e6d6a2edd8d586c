"""`rosterhook check`: each point is a value, for people and for programs."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from email.utils import formatdate
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from rich.console import Console
from rich.text import Text

from rosterhook import cli
from rosterhook.cli import common, points
from rosterhook.config import DEFAULT_COLUMNS
from rosterhook.errors import ConfigError, OktaForbidden
from rosterhook.model import ORG
from rosterhook.okta.connect import ScopeCheck, connected
from rosterhook.store import queries
from rosterhook.store.database import Database

HOUR = 3600
SECRET = "a-secret-that-is-long-enough"
USER = {"id": "00u1", "status": "ACTIVE", "profile": {"login": "ann@example.com"}}
TOML = f"""\
[okta]
org_url = "https://example.okta.com"
token = "00token"
[hook]
secret = "{SECRET}"
[[targets]]
name = "app"
type = "sql"
url = "sqlite:///users.db"
"""

Check = Callable[..., tuple[int, str]]


class Org:
    """Answers every request alike, but one for the log as told; `ahead` is its clock's seconds before ours."""

    def __init__(self) -> None:
        self.status = 200
        self.log_status = 200
        self.users: list[dict[str, Any]] = [USER]
        self.ahead: float | None = 0.0

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/api/v1/logs" and self.status == 200:
            return httpx2.Response(self.log_status, json=[], headers={"Link": f'<{request.url}>; rel="next"'})
        date = {} if self.ahead is None else {"Date": formatdate(time.time() + self.ahead, usegmt=True)}
        return httpx2.Response(self.status, json=self.users, headers=date)


@pytest.fixture
def org(monkeypatch: pytest.MonkeyPatch) -> Org:
    org = Org()
    monkeypatch.setattr(points, "connected", partial(connected, transport=httpx2.MockTransport(org.answer)))
    return org


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], org: Org) -> Check:
    """Runs `check` with a configuration, and returns its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(common, "configure_logging", lambda *_: None)

    def call(toml: str, *options: str) -> tuple[int, str]:
        (tmp_path / "rosterhook.toml").write_text(toml, encoding="utf-8")
        capsys.readouterr()
        code = cli.app(["check", *options], result_action="return_value", print_error=False, exit_on_error=False)
        return code, capsys.readouterr().out

    return call


def found(printed: str) -> list[tuple[str, str]]:
    return [(point["name"], point["state"]) for point in json.loads(printed)]


def test_a_program_reads_every_point(check: Check) -> None:
    """`--json` prints a list with name, state, message and cure of each point; all good is exit code 0."""
    code, printed = check(TOML, "--json")
    assert code == 0
    states = {
        "hook": "ok",
        "data_dir": "ok",
        "okta": "ok",
        "clock": "ok",
        "system log": "ok",
        "hook in okta": "warning",
        "target app": "ok",
    }
    assert found(printed) == list(states.items())
    assert {frozenset(point) for point in json.loads(printed)} == {frozenset({"name", "state", "message", "cure"})}
    assert SECRET not in printed


def test_a_log_that_may_not_be_read_is_a_warning(check: Check, org: Org) -> None:
    """Without the log users are synced all the same: it fails nothing, and the cure says what is lost by it."""
    org.log_status = 403
    code, printed = check(TOML, "--json")
    [point] = [each for each in json.loads(printed) if each["name"] == "system log"]
    assert (code, point["state"]) == (0, "warning")
    assert "what the hook misses" in point["cure"]


def test_people_read_the_same_points(check: Check, org: Org) -> None:
    """Each point is a line with a mark, and its cure the next."""
    org.users = []
    code, printed = check(TOML)
    assert code == 1
    marks = [line.split("  ")[0] for line in printed.splitlines()]
    assert marks == ["✓ hook", "✓ data_dir", "✗ okta", "", "✓ clock", "· hook in okta", "✓ target app"]
    assert "Read-only Admin" in printed


@pytest.mark.parametrize(
    ("skew", "state", "told"),
    [
        (0.4, "ok", "within 60 s"),
        (60, "ok", "within 60 s"),
        (-60, "ok", "within 60 s"),
        (61, "problem", "61 s ahead of Okta's"),
        (-19_800, "problem", "19,800 s behind Okta's"),
    ],
)
def test_a_clock_may_be_a_minute_apart(skew: float, state: str, told: str) -> None:
    """Beyond a minute it is a problem, told with the seconds, the direction and the cure."""
    point = points.clock_point({"clock_skew_seconds": skew})
    assert point is not None and (point.name, point.state) == ("clock", state)
    assert told in point.message
    assert ("NTP" in point.cure) == (state == "problem")


def test_a_wrong_clock_fails_the_check(check: Check, org: Org) -> None:
    """The clock is compared with the date of Okta's own answer."""
    org.ahead = HOUR
    code, printed = check(TOML)
    assert code == 1
    assert "✗ clock  this machine's clock is 3," in printed
    assert "s behind Okta's" in printed


def test_a_clock_that_is_not_told_is_no_point(check: Check, org: Org) -> None:
    """Where the answer has no date, nothing is said about the clock."""
    org.ahead = None
    assert "clock" not in check(TOML, "--json")[1]
    assert points.clock_point({}) is None


def test_one_problem_hides_no_other(check: Check, org: Org) -> None:
    """Every point is looked at, whatever the ones before say."""
    org.status = 401
    code, printed = check(TOML.replace("sqlite:///users.db", "oracle://h/db").replace(SECRET, "short"), "--json")
    assert code == 1
    assert found(printed) == [
        ("hook", "warning"),
        ("data_dir", "ok"),
        ("okta", "problem"),
        ("clock", "skipped"),
        ("hook in okta", "skipped"),
        ("target app", "problem"),
    ]


def test_a_warning_is_no_failure(check: Check) -> None:
    """A short secret can be guessed: it is told, and does not fail a deployment."""
    code, printed = check(TOML.replace(SECRET, "short"))
    assert code == 0
    assert "! hook" in printed


def test_without_a_login_okta_is_not_asked(check: Check, org: Org) -> None:
    """Events alone are a way to run, not a mistake."""
    org.status = 500
    code, printed = check(TOML.replace('token = "00token"', ""), "--json")
    assert (code, found(printed)[2]) == (0, ("okta", "ok"))


@pytest.mark.parametrize(("status", "why"), [(503, "Okta did not answer"), (401, "the problem above comes first")])
def test_what_was_not_asked_is_told(check: Check, org: Org, status: int, why: str) -> None:
    """Without an answer from Okta, what needs one is listed with the reason, and is no problem of its own."""
    org.status = status
    lines = check(TOML)[1].splitlines()
    assert [line for line in lines if line.startswith("·")] == [
        f"· clock  not asked: {why}",
        f"· hook in okta  not asked: {why}",
    ]
    assert "It is tried again later" not in "".join(lines)


def test_the_users_of_another_org_are_a_point(check: Check, tmp_path: Path) -> None:
    """A data_dir of another org, at which the worker would refuse to start, is told in the worker's words."""
    state = Database(tmp_path / "data" / "state.db", "state")

    async def hold(org_url: str) -> None:
        note = {"org": ORG, "name": "org_url", "value": org_url, "now": 1}
        await state.write(lambda db: queries.run(db, "leave_note", note))

    asyncio.run(hold("https://example.okta.com"))
    assert "✓ data_dir  data holds the users of https://example.okta.com" in check(TOML)[1]
    asyncio.run(hold("https://other.okta.com"))
    code, printed = check(TOML)
    asyncio.run(state.close())
    assert code == 1
    told = "data_dir holds the users of https://other.okta.com, but okta.org_url is https://example.okta.com."
    assert f"✗ data_dir  {told}\n  Give the other org a data_dir of its own.\n" in printed


def test_the_folder_of_a_demo_is_a_point(check: Check, tmp_path: Path) -> None:
    """The worker does not start in a demo's folder: `check` says so before."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "made-by-rosterhook-demo").touch()
    assert "✗ data_dir  data was made by `rosterhook demo`" in check(TOML)[1]


def test_a_check_makes_no_store(check: Check, tmp_path: Path) -> None:
    """What is not there yet is told, and is not there afterwards either."""
    assert "✓ data_dir  data has no store yet" in check(TOML)[1]
    assert [path.name for path in tmp_path.iterdir()] == ["rosterhook.toml"]


def test_a_target_s_name_is_told_once(check: Check) -> None:
    """The line begins with the name: the error does not repeat it."""
    printed = check(TOML.replace("sqlite:///users.db", "postgresql://u@127.0.0.1:1/d"))[1]
    assert "✗ target app  PostgreSQL 127.0.0.1:1/d: the database cannot be reached (Connection refused)." in printed
    assert printed.count('"app"') == 0


def test_a_statement_that_cures_is_a_line_of_its_own(check: Check, tmp_path: Path) -> None:
    """What is to be run in the database can be copied."""
    with closing(sqlite3.connect(tmp_path / "users.db")) as db:
        columns = ", ".join(DEFAULT_COLUMNS)
        db.execute(f"CREATE TABLE users ({columns}, rosterhook_version BIGINT)")
    printed = check(TOML)[1]
    assert "\n  Run: CREATE UNIQUE INDEX users_id_unique ON users (id);\n" in printed


def test_a_terminal_gets_lines_broken_at_words() -> None:
    """On a terminal no word is cut, and further lines are indented; elsewhere a point is one line."""
    text = "✗ okta  " + " ".join(["https://example.okta.com/answers"] * 7)
    for width in (60, 80, 100):
        wide = Console(width=width, force_terminal=True)
        lines = common.hanging(Text(text), console=wide).plain.split("\n")
        assert len(lines) > 1 and max(map(len, lines)) <= width
        assert all(line.startswith("  ") for line in lines[1:])
        assert " ".join(line.strip() for line in lines) == text
    assert common.hanging(Text(text), console=Console(width=60, force_terminal=False)).plain == text


@pytest.mark.parametrize("variable", ["", "ROSTERHOOK_DATA_DIR"])
def test_a_folder_without_a_configuration_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str
) -> None:
    """Where nothing at all is configured, the wrong folder is the likely mistake; with variables alone it is none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(common, "configure_logging", lambda *_: None)
    for name in [name for name in os.environ if name.upper().startswith("ROSTERHOOK_")]:
        monkeypatch.delenv(name)
    if variable:
        monkeypatch.setenv(variable, "elsewhere")
    advice = f"There is no rosterhook.toml in {tmp_path}"
    for command in (["status"], ["serve"], ["hook", "status"], ["replay", "--all"]):
        monkeypatch.setattr("sys.argv", ["rosterhook", *command])
        with pytest.raises(SystemExit):
            cli.main()
        hint = capsys.readouterr().err.splitlines()[1]
        assert hint.startswith(f"{advice}: go to the service's folder, or give --config. ") == (not variable)
    cli.app(["check"], result_action="return_value")
    assert (f"! config  {advice}\n  Go to" in capsys.readouterr().out) == (not variable)


def test_a_broken_configuration_is_a_point_too(check: Check) -> None:
    """A program gets JSON even where there is nothing to check, with the exit code of a wrong configuration."""
    code, printed = check(TOML.replace("org_url", "org_ulr"), "--json")
    assert (code, found(printed)) == (2, [("config", "problem")])
    assert "okta.org_ulr" in printed
    with pytest.raises(ConfigError, match="org_ulr"):
        check(TOML.replace("org_url", "org_ulr"))


@pytest.mark.parametrize("refused", [True, False])
def test_a_missing_scope_is_named(check: Check, monkeypatch: pytest.MonkeyPatch, refused: bool) -> None:
    """Of a service app each scope is a point; without a needed one, Okta's users are not asked for."""

    async def scopes(_: object, asked: Sequence[str]) -> list[ScopeCheck]:
        return [ScopeCheck(scope, OktaForbidden("refused", hint="grant it") if refused else None) for scope in asked]

    monkeypatch.setattr(points, "check_scopes", scopes)
    code, printed = check(TOML, "--json")
    assert code == int(refused)
    assert ("scope okta.users.read", "problem" if refused else "ok") in found(printed)
    assert (("okta", "ok") in found(printed)) != refused


def test_a_key_that_others_may_read_is_a_warning(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file with the private key is the login itself: that others may read it is told, and fails nothing."""
    monkeypatch.setattr(points, "open_key_file", lambda _: "app.pem may be read by others")
    code, printed = check(TOML, "--json")
    assert (code, ("okta", "warning") in found(printed)) == (0, True)


def test_doubles_are_merged_without_asking_okta(check: Check, org: Org) -> None:
    """--merge-doubles works on the tutorial's table alone, and is refused where there is none."""
    org.status = 500
    with pytest.raises(ConfigError, match="tutorial"):
        check(TOML, "--merge-doubles")
    code, printed = check(TOML + 'preset = "tutorial"\n', "--merge-doubles", "--dry-run")
    assert (code, printed) == (0, "app: 0 rows would be removed.\n")
