"""The hook doctor against a simulated org: what it makes, what it finds, what it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hook_bench import CANARY, SECRET, URL, Bench, opened_bench, take

from rosterhook.config import HookConfig
from rosterhook.errors import ConfigError, OktaError, RosterhookError
from rosterhook.hook import arrival, doctor
from rosterhook.hook.arrival import MARK
from rosterhook.hook_secrets import read_record
from rosterhook.okta.events import NEEDED


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The inbox is looked into more often than a person needs."""
    monkeypatch.setattr(arrival, "POLL_SECONDS", 0.01)


@pytest.fixture
async def bench(tmp_path: Path):
    """An org without a hook."""
    async with opened_bench(tmp_path) as found:
        yield found


async def change(bench: Bench, **changes: Any) -> None:
    """Somebody changes the hook by hand in the Admin Console."""
    (hook,) = bench.simulator.hooks
    bench.simulator.hooks._keep(replace(hook, **changes))


async def test_create_makes_a_hook_that_works(bench: Bench) -> None:
    """The hook has the needed events, the secret and the address; Okta has verified it, and a delivery was seen."""
    side = bench.side()
    await take(await doctor.create(side))
    (hook,) = bench.simulator.hooks
    assert side.arrived
    assert hook.listens
    assert (hook.name, hook.channel.uri, hook.channel.secret) == ("rosterhook", URL, SECRET)
    assert set(hook.items) == set(NEEDED)
    assert read_record(bench.data_dir).hook_id == hook.id
    assert (await doctor.look(bench.side())).differences == []


async def test_canary_is_left_as_it_was(bench: Bench) -> None:
    """The touch sets an empty attribute, and takes it away again."""
    await bench.create()
    user = await bench.client.find_user(CANARY)
    assert not user["profile"].get("nickName")


async def test_canary_of_a_killed_command_is_restored_by_the_next(bench: Bench) -> None:
    """A mark that was left behind is taken away by the next touch, which makes an event all the same."""
    user = await bench.client.find_user(CANARY)
    await bench.client.update_profile(user["id"], {"nickName": MARK})
    await bench.create()
    user = await bench.client.find_user(CANARY)
    assert not user["profile"].get("nickName")


async def test_canary_never_loses_a_value(bench: Bench) -> None:
    """A user without an empty attribute is not touched."""
    user = await bench.client.find_user(CANARY)
    await bench.client.update_profile(user["id"], dict.fromkeys(arrival.TOUCHED, "dear to somebody"))
    with pytest.raises(OktaError, match="none may be lost"):
        await bench.create()
    user = await bench.client.find_user(CANARY)
    assert {user["profile"][name] for name in arrival.TOUCHED} == {"dear to somebody"}


async def test_create_again_has_nothing_to_create(bench: Bench) -> None:
    """A second run only proves that deliveries arrive."""
    await bench.create()
    steps = await doctor.create(bench.side())
    assert [step.words for step in steps] == [bench.side().prover.words]


async def test_interrupted_creation_goes_on(bench: Bench) -> None:
    """Killed between creation and verification, the same command verifies."""
    (first, *_) = await doctor.create(bench.side())
    await first.act()
    await bench.create()
    assert [hook.listens for hook in bench.simulator.hooks] == [True]


async def test_plan_changes_nothing(bench: Bench) -> None:
    """A dry run prints the steps that a run takes, and Okta and data_dir stay as they are."""
    words = [step.words for step in await doctor.create(bench.side())]
    assert words[0].startswith(f'Create the hook "rosterhook" for {URL}')
    assert list(bench.simulator.hooks) == []
    assert not (bench.data_dir / "hook.json").exists()


async def test_name_of_another_hook_is_told(bench: Bench) -> None:
    """A hook of that name that calls somebody else is not touched: its owner may be another service."""
    other = HookConfig(secret=SECRET, url="https://other.example.com/okta/events")
    await bench.client.request("POST", "/api/v1/eventHooks", bench.side(config=other).wanted().body())
    with pytest.raises(RosterhookError, match=r"already has the hook \"rosterhook\".*other\.example\.com") as raised:
        await doctor.create(bench.side())
    assert "another hook.name" in raised.value.hint


async def test_full_org_is_told(bench: Bench) -> None:
    """With 25 hooks Okta allows no more: said with where to delete one."""
    for number in range(25):
        made = await bench.client.request("POST", "/api/v1/eventHooks", bench.side().wanted(name=f"n{number}").body())
        await bench.client.request("POST", f"/api/v1/eventHooks/{made['id']}/lifecycle/verify")
    other = HookConfig(secret=SECRET, url="https://new.example.com/okta/events")
    with pytest.raises(RosterhookError, match="25 active event hooks") as raised:
        await doctor.create(bench.side(config=other))
    assert "Admin Console" in raised.value.hint


async def test_address_that_does_not_answer_is_told_with_its_reason(bench: Bench) -> None:
    """Okta's own words, and what is seen from here; the hook stays, for `hook verify` after the cure."""
    away = HookConfig(secret=SECRET, url="https://hooks.example.com/elsewhere")
    with pytest.raises(OktaError, match="Unable to verify event hook") as raised:
        await take(await doctor.create(bench.side(config=away)))
    assert raised.value.hint == "looked at from here"
    assert [hook.listens for hook in bench.simulator.hooks] == [False]


@pytest.mark.parametrize(
    ("changes", "what", "words"),
    [
        ({"active": False}, "status", "not ACTIVE"),
        ({"verified": False}, "verification", "has not proved itself"),
        ({"items": NEEDED[1:]}, "events", f"not subscribed to {NEEDED[0]}"),
        ({"items": (*NEEDED, "user.session.start")}, "events", "also subscribed to user.session.start"),
        ({"filters": {NEEDED[0]: "event.actor.id eq 'x'"}}, "filter", "has a filter"),
        ({"uri": "https://else.example.com/"}, "url", "Okta calls https://else.example.com/"),
        ({"header": "X-Key"}, "header", "Okta sends the secret in X-Key"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
async def test_change_by_hand_is_found_and_repaired(
    bench: Bench, changes: dict[str, Any], what: str, words: str
) -> None:
    """Whatever somebody changes in the Admin Console is named with its consequence; repair undoes it."""
    await bench.create()
    (hook,) = bench.simulator.hooks
    channel = {key: value for key, value in changes.items() if key in ("uri", "header")}
    rest = {key: value for key, value in changes.items() if key not in channel}
    await change(bench, channel=replace(hook.channel, **channel), **rest)
    (found,) = (await doctor.look(bench.side())).differences
    assert found.what == what
    assert words in found.words
    assert found.consequence.endswith(".")
    side = bench.side()
    await take(await doctor.repair(side))
    assert side.arrived
    assert (await doctor.look(bench.side())).differences == []
    (mended,) = bench.simulator.hooks
    assert (mended.id, mended.channel, mended.listens) == (hook.id, hook.channel, True)
    assert not mended.filters


async def test_repair_of_a_good_hook_has_no_steps(bench: Bench) -> None:
    """Nothing is replaced without need: a replacement is a gap. With `--secret` it is done all the same."""
    await bench.create()
    assert await doctor.repair(bench.side()) == []
    (hook,) = bench.simulator.hooks
    await change(bench, channel=replace(hook.channel, secret="typed by hand"))
    await take(await doctor.repair(bench.side(), secret=True))
    assert bench.secrets_sent() == {SECRET}


async def test_repair_keeps_the_headers_of_others(bench: Bench) -> None:
    """Static headers that an admin added, for a gateway perhaps, survive a replacement."""
    await bench.create()
    (hook,) = bench.simulator.hooks
    await change(bench, channel=replace(hook.channel, headers=(("X-Gateway", "7"),)), items=NEEDED[1:])
    await take(await doctor.repair(bench.side()))
    (mended,) = bench.simulator.hooks
    assert mended.channel.headers == (("X-Gateway", "7"),)


async def test_hook_of_a_lost_record_is_found_again(bench: Bench) -> None:
    """Without data_dir's record the hook is known by its name or its address."""
    hook_id = await bench.create()
    (bench.data_dir / "hook.json").unlink()
    found = await doctor.look(bench.side())
    assert found.hook is not None
    assert found.hook["id"] == hook_id


async def test_delete_removes_the_hook_and_what_a_rotation_left(bench: Bench) -> None:
    """No hook of ours stays behind; the secrets stay valid for deliveries on their way."""
    await bench.create()
    from rosterhook.hook.rotation import rotate

    for step in (await rotate(bench.side()))[:3]:
        await step.act()
    assert len(list(bench.simulator.hooks)) == 2
    await take(await doctor.delete(bench.side()))
    assert list(bench.simulator.hooks) == []
    assert read_record(bench.data_dir).hook_id is None
    with pytest.raises(RosterhookError, match="no event hook"):
        await doctor.delete(bench.side())


async def test_without_an_address_nothing_is_asked(bench: Bench) -> None:
    """The address has to be known; the error names the key and the option."""
    with pytest.raises(ConfigError, match="public address") as raised:
        await doctor.create(bench.side(config=HookConfig(secret=SECRET)))
    assert "hook.url" in raised.value.hint
    assert "--url" in raised.value.hint


async def test_no_secret_is_in_what_is_shown(bench: Bench) -> None:
    """Steps, differences and records tell nobody the secret."""
    side = bench.side()
    steps = await doctor.create(side)
    shown = f"{steps} {side.wanted()} {side.record} {await doctor.look(side)}"
    assert SECRET not in shown
