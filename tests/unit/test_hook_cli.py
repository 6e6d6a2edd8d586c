"""`rosterhook hook` as it is typed: what is printed, for people and for programs, and with which exit code."""

from __future__ import annotations

import asyncio
import fcntl
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from rosterhook import cli, data_dir
from rosterhook.cli import common
from rosterhook.errors import ConfigError, RosterhookError
from rosterhook.stores import opened_stores
from rosterhook.testing.org import OktaOrg, served

#: Nobody listens there.
URL = "https://127.0.0.1:9/okta/events"
Hook = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def org() -> Iterator[OktaOrg]:
    """A simulated org without hooks."""
    with served() as found:
        yield found


@pytest.fixture
def hook(org: OktaOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Hook:
    """Types `rosterhook hook ...` in a configured folder; the exit code and what was printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(common.out, "width", 1000)
    (tmp_path / "rosterhook.toml").write_text(
        f'[okta]\norg_url = "{org.url}"\ntoken = "{org.token}"\n'
        f'[hook]\nsecret = "a-secret-that-is-long-enough"\nurl = "{URL}"\n'
    )

    def type_in(*arguments: str) -> tuple[int, str]:
        result = cli.app(["hook", *arguments], result_action="return_value")
        return int(result or 0), capsys.readouterr().out

    return type_in


@pytest.fixture(autouse=True)
def tidy(org: OktaOrg) -> Iterator[None]:
    """No hook is left for the next test."""
    yield
    for each in ask(org, "GET", "/api/v1/eventHooks").json():
        ask(org, "POST", f"/api/v1/eventHooks/{each['id']}/lifecycle/deactivate")
        ask(org, "DELETE", f"/api/v1/eventHooks/{each['id']}")


def ask(org: OktaOrg, method: str, path: str, **more: Any) -> httpx2.Response:
    """One call of the org's API."""
    return httpx2.request(method, org.url + path, headers=org.headers, trust_env=False, **more)


def made_by_hand(org: OktaOrg, **changes: Any) -> str:
    """A hook that somebody made in the Admin Console; its id."""
    config = {"uri": changes.pop("uri", URL), "headers": [], "authScheme": {"type": "HEADER", "key": "Authorization"}}
    config["authScheme"]["value"] = "typed by hand"
    events = {"type": "EVENT_TYPE", "items": ["user.lifecycle.create"]}
    channel = {"type": "HTTP", "version": "1.0.0", "config": config}
    body = {"name": "rosterhook", "events": events, "channel": channel, **changes}
    return str(ask(org, "POST", "/api/v1/eventHooks", json=body).json()["id"])


def test_dry_run_prints_the_steps_and_takes_none(hook: Hook, org: OktaOrg, tmp_path: Path) -> None:
    """Nothing is made, neither in Okta nor in data_dir."""
    code, printed = hook("create", "--dry-run")
    assert code == 0
    assert f'· would: Create the hook "rosterhook" for {URL}' in printed
    assert ask(org, "GET", "/api/v1/eventHooks").json() == []
    assert not (tmp_path / "data").exists()


def test_program_reads_the_steps(hook: Hook) -> None:
    """`--json` is one object, in a dry run too."""
    code, printed = hook("create", "--dry-run", "--json")
    told = json.loads(printed)
    assert (code, told["dry_run"], told["error"], told["arrived"]) == (0, True, None, None)
    assert [step["done"] for step in told["steps"]] == [False, False]


def test_address_where_nobody_answers_is_told_with_its_cure(hook: Hook, org: OktaOrg) -> None:
    """Okta's "execution failed" comes with what is seen from here; what was done is told, and stays."""
    with pytest.raises(RosterhookError, match=r"could not verify .*Nothing answers") as raised:
        hook("create")
    assert "run this command again" in raised.value.hint
    (made,) = ask(org, "GET", "/api/v1/eventHooks").json()
    assert made["verificationStatus"] == "UNVERIFIED"


def test_program_reads_an_error_too(hook: Hook) -> None:
    """With `--json` a failure is JSON: the steps that were done, the error with its cure, and exit code 1."""
    code, printed = hook("create", "--json")
    told = json.loads(printed)
    assert code == 1
    assert [step["done"] for step in told["steps"]] == [True, False]
    assert "Nothing answers" in told["error"]["message"]
    assert told["error"]["hint"]


@pytest.mark.parametrize("command", ["create", "status", "verify", "rotate", "repair", "delete"])
def test_broken_configuration_is_json_for_a_program(hook: Hook, tmp_path: Path, command: str) -> None:
    """Exit code 2, as for people, with the error as an object."""
    (tmp_path / "rosterhook.toml").write_text("[hook]\nsecert = 1\n")
    code, printed = hook(command, "--json")
    assert code == 2
    assert "hook.secert" in json.loads(printed)["error"]["message"]
    with pytest.raises(ConfigError):
        hook(command)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://hooks.example.com/okta/events", "must start with https://"),
        ("https://hooks.example.com/a b", "a host and a path"),
        ("https://user:pw@hooks.example.com/", "a host and a path"),
        ("https://other.example.com/okta/events", "but hook.url is"),
        ("https://hooks.example.com/" + "x" * 1024, "longer than 1,024"),
    ],
    ids=["http", "blank", "password", "another than configured", "long"],
)
def test_address_that_okta_would_refuse_is_refused_here(hook: Hook, org: OktaOrg, url: str, why: str) -> None:
    """Before anything is asked, with the reason."""
    with pytest.raises(ConfigError, match=why) as raised:
        hook("create", "--url", url)
    assert "pw" not in str(raised.value)
    assert ask(org, "GET", "/api/v1/eventHooks").json() == []


def test_status_says_what_differs_and_what_happens(hook: Hook, org: OktaOrg) -> None:
    """Each difference is a line with ✗ and its consequence; exit code 1; the cure is named once."""
    made_by_hand(org)
    code, printed = hook("status")
    assert code == 1
    assert "✗ The hook's address has not proved itself" in printed
    assert "✗ The hook is not subscribed to user.account.lock" in printed
    assert "and 8 more" in printed
    assert "These changes do not arrive by the hook." in printed
    assert printed.count("rosterhook hook repair") == 1
    told = json.loads(hook("status", "--json")[1])
    assert {each["what"] for each in told["differences"]} == {"verification", "events"}
    assert told["address"]["is_good"] is False


def test_status_without_a_hook_names_the_command(hook: Hook) -> None:
    """A newcomer reads what to type."""
    code, printed = hook("status")
    assert code == 1
    assert "rosterhook hook create" in printed


def test_status_of_a_namesake_does_not_send_anybody_to_repair_it(hook: Hook, org: OktaOrg) -> None:
    """A hook of another service with our name: said so, with both ways out."""
    hook_id = made_by_hand(org, uri="https://other.example.com/okta/events")
    code, printed = hook("status")
    assert code == 1
    assert "has this service's name, but not its address" in printed
    assert f"--adopt {hook_id}" in printed


def test_delete_asks_and_names_the_hook(hook: Hook, org: OktaOrg, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal and without --yes nothing is deleted; what would be is named."""
    hook_id = made_by_hand(org)
    with pytest.raises(RosterhookError, match="Nothing was done") as raised:
        hook("delete")
    assert hook_id in capsys.readouterr().out
    assert "--yes" in raised.value.hint
    assert len(ask(org, "GET", "/api/v1/eventHooks").json()) == 1
    assert hook("delete", "--yes")[0] == 0
    assert ask(org, "GET", "/api/v1/eventHooks").json() == []


def test_mistyped_canary_ends_before_the_first_step(hook: Hook, org: OktaOrg, tmp_path: Path) -> None:
    """Where deliveries can be seen, the canary is looked up before anything is made."""

    async def run_before() -> None:
        async with opened_stores(tmp_path / "data"):
            pass

    asyncio.run(run_before())
    with pytest.raises(RosterhookError, match="no user with the login of the canary"):
        hook("create", "--canary", "canry@example.com")
    assert ask(org, "GET", "/api/v1/eventHooks").json() == []


def test_second_command_at_once_waits_for_the_first(
    hook: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two rotations at a time would retire each other's secret."""
    monkeypatch.setattr(data_dir, "WAIT_SECONDS", 0.1)
    (tmp_path / "data").mkdir()
    with (tmp_path / "data" / "hook.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RosterhookError) as raised:
            hook("repair")
    assert "Another `rosterhook hook` command" in raised.value.hint
