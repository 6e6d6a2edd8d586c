"""Each way to be let in wrongly is one message that says what is wrong and where to mend it, as `check` prints it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, RSAKey

from rosterhook.cli.points import Point, points
from rosterhook.config import Config
from rosterhook.simulator import Settings, Simulator, running
from rosterhook.simulator.auth.principals import App

KEY = RSAKey.generate_key(2048, {"kid": "mine"})
OTHERS_KEY = ECKey.generate_key("P-256", {"kid": "of-another-app"})
CLIENT_ID = "0oamine0000000001"
SCOPES = ("okta.users.read", "okta.eventHooks.read", "okta.eventHooks.manage")
URL = "https://hooks.example.com/okta/events"


def app(**changes: Any) -> App:
    """The app as it should be, but for the changes."""
    right = {"client_id": CLIENT_ID, "keys": (KEY.as_dict(private=False),), "scopes": SCOPES, "role": "super"}
    return App(**{**right, **changes})


@contextlib.asynccontextmanager
async def org(*apps: App) -> AsyncIterator[Simulator]:
    """An org with somebody in it."""
    async with running(Settings(users=2, apps=apps, rate_multiplier=100)) as simulator:
        yield simulator


async def problems(simulator: Simulator, folder: Path, **okta: Any) -> list[Point]:
    """What `check` finds wrong about Okta."""
    login = {"client_id": CLIENT_ID, "private_key": KEY.as_pem(private=True).decode(), "key_id": "mine"}
    config = Config.model_validate(
        {
            "data_dir": str(folder),
            "okta": {"org_url": simulator.url, **(okta or login)},
            "hook": {"secret": "a-secret-that-is-long-enough", "url": URL},
            "follower": {"enabled": False},  # its scope is a question of its own
        }
    )
    return [point async for point in points(config) if point.state not in ("ok", "skipped")]


def only(found: list[Point]) -> tuple[str, str]:
    """The one problem: its message and its cure."""
    (point,) = [point for point in found if point.name != "hook in okta"]
    return point.message, point.cure


def behind(seconds: float) -> Callable[[Simulator], None]:
    """This machine's clock is so far behind the org's."""
    return lambda simulator: simulator.faults.merge({"clock_skew_seconds": seconds})


async def test_right_login_has_no_problem(tmp_path: Path) -> None:
    """The table below would prove nothing if the right login failed too. Only the hook is still to be made."""
    async with org(app()) as simulator:
        (point,) = await problems(simulator, tmp_path)
    assert (point.name, point.state) == ("hook in okta", "problem")
    assert point.cure == "Run `rosterhook hook create`."


@pytest.mark.parametrize(
    ("apps", "says", "cure"),
    [
        ((app(keys=(OTHERS_KEY.as_dict(private=False),)),), "kid is invalid", "okta.private_key is not of this app"),
        (
            (app(keys=({**RSAKey.generate_key(2048).as_dict(private=False), "kid": "mine"},)),),
            "signature is invalid",
            "okta.private_key is not of this app",
        ),
        ((app(keys=()),), "JWKSet", "save the public key"),
        ((app(client_id="0oaanother000001"),), "valid client_id", "knows no service app with this okta.client_id"),
        ((app(active=False),), "invalid_client", "active"),
        ((app(scopes=("okta.groups.read",)),), "consent_required", "Grant the app okta.users.read"),
        ((app(role="none"),), "sees no user", "Admin roles"),
    ],
    ids=["key of another app", "wrong key", "no key", "another org", "inactive", "missing scope", "missing role"],
)
async def test_wrong_app_is_told_with_its_cure(tmp_path: Path, apps: tuple[App, ...], says: str, cure: str) -> None:
    """What Okta says, and what to do, with the page of the Admin Console where it is done."""
    async with org(*apps) as simulator:
        message, told = only(await problems(simulator, tmp_path))
    assert says in message
    assert cure in told


@pytest.mark.parametrize(("seconds", "side"), [(900.0, "behind"), (-7200.0, "ahead of")])
async def test_wrong_clock_is_told_with_its_seconds(tmp_path: Path, seconds: float, side: str) -> None:
    """An assertion that Okta finds expired, or of the future: the cure is this machine's clock, not the key."""
    async with org(app()) as simulator:
        behind(seconds)(simulator)
        _, told = only(await problems(simulator, tmp_path))
    assert f"s {side} Okta's" in told
    assert "NTP" in told


async def test_clock_of_a_token_s_user_is_told(tmp_path: Path) -> None:
    """An API token works with any clock; lag would be told wrong, so the clock is a point of its own."""
    async with org() as simulator:
        behind(900.0)(simulator)
        found = await problems(simulator, tmp_path, token=simulator.settings.token)
    assert "clock" in {point.name for point in found}


async def test_wrong_token_is_told(tmp_path: Path) -> None:
    """A token of another org, or one that was revoked."""
    async with org() as simulator:
        message, told = only(await problems(simulator, tmp_path, token="00of-another-org"))
    assert "401" in message
    assert "of another org" in told
    assert "service app" not in told
    assert "00of-another-org" not in message + told


async def test_token_that_may_not_manage_hooks_syncs_all_the_same(tmp_path: Path) -> None:
    """Without the scope for hooks the users are synced: a warning that names the scope, no problem."""
    async with org(app(scopes=("okta.users.read",))) as simulator:
        (point,) = await problems(simulator, tmp_path)
    assert (point.name, point.state) == ("hook in okta", "warning")
    assert "okta.eventHooks.read" in point.cure


async def test_role_that_may_not_see_hooks_is_told(tmp_path: Path) -> None:
    """A read-only admin's app reads users, but no hooks: said with the role that is needed."""
    async with org(app(role="read_only")) as simulator:
        (point,) = await problems(simulator, tmp_path)
    assert (point.name, point.state) == ("hook in okta", "warning")
    assert "Give the app the role Super Administrator, or a custom role with the event hook" in point.cure


async def test_dpop_is_found_out(tmp_path: Path) -> None:
    """An app that demands DPoP needs no setting here."""
    async with org(app(dpop=True)) as simulator:
        (point,) = await problems(simulator, tmp_path)
    assert point.name == "hook in okta"
    assert point.cure == "Run `rosterhook hook create`."
