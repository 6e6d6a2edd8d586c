"""`rosterhook check`: each point is a value, for people and for programs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from email.utils import formatdate
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from rosterhook import cli
from rosterhook.cli import common, points
from rosterhook.errors import ConfigError, OktaForbidden
from rosterhook.okta.connect import ScopeCheck, connected

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
    """Answers every request alike; `users` and `ahead` (its clock's seconds before ours) may be changed."""

    def __init__(self) -> None:
        self.status = 200
        self.users: list[dict[str, Any]] = [USER]
        self.ahead: float | None = 0.0

    def answer(self, _: httpx2.Request) -> httpx2.Response:
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
    states = {"hook": "ok", "okta": "ok", "clock": "ok", "hook in okta": "warning", "target app": "ok"}
    assert found(printed) == list(states.items())
    assert {frozenset(point) for point in json.loads(printed)} == {frozenset({"name", "state", "message", "cure"})}
    assert SECRET not in printed


def test_people_read_the_same_points(check: Check, org: Org) -> None:
    """Each point is a line with a mark, and its cure the next."""
    org.users = []
    code, printed = check(TOML)
    assert code == 1
    marks = [line.split("  ")[0] for line in printed.splitlines()]
    assert marks == ["✓ hook", "✗ okta", "", "✓ clock", "✓ target app"]
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
    assert found(printed) == [("hook", "warning"), ("okta", "problem"), ("target app", "problem")]


def test_a_warning_is_no_failure(check: Check) -> None:
    """A short secret can be guessed: it is told, and does not fail a deployment."""
    code, printed = check(TOML.replace(SECRET, "short"))
    assert code == 0
    assert "! hook" in printed


def test_without_a_login_okta_is_not_asked(check: Check, org: Org) -> None:
    """Events alone are a way to run, not a mistake."""
    org.status = 500
    code, printed = check(TOML.replace('token = "00token"', ""), "--json")
    assert (code, found(printed)[1]) == (0, ("okta", "ok"))


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
