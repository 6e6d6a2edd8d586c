"""The hook doctor against a simulated org: what it makes, what it finds, what it says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hook_bench import CANARY, SECRET, URL, Bench, take

from rosterhook.config import HookConfig
from rosterhook.errors import ConfigError, OktaError, RosterhookError
from rosterhook.hook import arrival, doctor
from rosterhook.hook.arrival import MARK, Canary
from rosterhook.hook.rotation import plan_rotation
from rosterhook.hook_secrets import read_record
from rosterhook.okta.events import NEEDED


async def test_create_makes_a_hook_that_works(bench: Bench) -> None:
    """The hook has the needed events, the secret and the address; Okta has verified it, and a delivery was seen."""
    side = bench.side()
    await take(await doctor.plan_create(side))
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


async def test_canary_is_restored_though_setting_it_seemed_to_fail(bench: Bench) -> None:
    """The answer to the touch is lost, and Okta has taken the value: it is taken away all the same."""

    class Deaf:
        """Okta's users, whose first answer to a change is not heard."""

        def __init__(self) -> None:
            self.changes = 0

        async def find_user(self, login: str) -> dict[str, Any]:
            return await bench.client.find_user(login)

        async def update_profile(self, user_id: str, changes: Any) -> dict[str, Any]:
            self.changes += 1
            user = await bench.client.update_profile(user_id, changes)
            if self.changes == 1:
                raise OktaError("no answer")
            return user

    canary = Canary(Deaf(), CANARY)
    await canary.choose()
    with pytest.raises(OktaError):
        await canary.toggle()
    assert await canary.restore() == ""
    assert not (await bench.client.find_user(CANARY))["profile"].get("nickName")


async def test_canary_that_may_not_be_changed_is_not_left_to_be_cleaned(bench: Bench) -> None:
    """Okta has refused the change: nobody is told to undo by hand what was never done."""

    class Forbidding:
        """Okta's users, who may be read only."""

        async def find_user(self, login: str) -> dict[str, Any]:
            return await bench.client.find_user(login)

        async def update_profile(self, _user_id: str, _changes: Any) -> dict[str, Any]:
            raise OktaError("forbidden", status=403)

    canary = Canary(Forbidding(), CANARY)
    await canary.choose()
    with pytest.raises(OktaError):
        await canary.toggle()
    assert await canary.restore() == ""


async def test_canary_nobody_knows_is_told_before_anything_changes(bench: Bench) -> None:
    """A mistyped login ends the command before its first step."""
    with pytest.raises(OktaError):
        await Canary(bench.client, "canry@example.com").choose()


async def test_canary_never_loses_a_value(bench: Bench) -> None:
    """A user without an empty attribute is not touched."""
    user = await bench.client.find_user(CANARY)
    await bench.client.update_profile(user["id"], dict.fromkeys(arrival.TOUCHED, "dear to somebody"))
    with pytest.raises(OktaError, match="none may be lost"):
        await Canary(bench.client, CANARY).choose()
    user = await bench.client.find_user(CANARY)
    assert {user["profile"][name] for name in arrival.TOUCHED} == {"dear to somebody"}


async def test_create_again_creates_nothing(bench: Bench) -> None:
    """A second run has Okta verify the hook that is there, and proves that deliveries arrive."""
    hook_id = await bench.create()
    steps = await doctor.plan_create(bench.side())
    assert [step.description for step in steps][1:] == [bench.side().prover.description]
    await take(steps)
    assert [hook.id for hook in bench.simulator.hooks] == [hook_id]


async def test_hook_made_by_hand_gets_our_secret(bench: Bench) -> None:
    """A hook that somebody made for our address, with another secret, looks right in all that Okta shows: every
    delivery would be refused. To have it verified finds that out.
    """
    made = await bench.client.request("POST", "/api/v1/eventHooks", bench.side().wanted(name="by hand").body())
    bench.simulator.hooks._keep(replace(bench.simulator.hooks.get(made["id"]), verified=True))
    bench.change(channel=replace(bench.simulator.hooks.get(made["id"]).channel, secret="typed by hand"))
    side = bench.side()
    await take(await doctor.plan_create(side))
    assert side.arrived
    assert bench.secrets_sent() == {SECRET}
    assert read_record(bench.data_dir).hook_id == made["id"]


async def test_interrupted_creation_goes_on(bench: Bench) -> None:
    """Killed between creation and verification, the same command verifies."""
    (first, *_) = await doctor.plan_create(bench.side())
    await first.act()
    await bench.create()
    assert [hook.listens for hook in bench.simulator.hooks] == [True]


async def test_plan_changes_nothing(bench: Bench) -> None:
    """A dry run prints the steps that a run takes, and Okta and data_dir stay as they are."""
    words = [step.description for step in await doctor.plan_create(bench.side())]
    assert words[0].startswith(f'Create the hook "rosterhook" for {URL}')
    assert list(bench.simulator.hooks) == []
    assert not (bench.data_dir / "hook.json").exists()


async def test_hook_of_another_service_is_left_alone(bench: Bench) -> None:
    """Staging and production have one org and one default name: no command touches the other's hook."""
    await bench.create()
    (bench.data_dir / "hook.json").unlink()
    staging = HookConfig(secret=SECRET, url="https://staging.example.com/okta/events")
    before = list(bench.simulator.hooks)
    for plan in (doctor.plan_create, doctor.plan_repair, doctor.plan_verify, doctor.plan_delete, plan_rotation):
        with pytest.raises(RosterhookError, match=r"\"rosterhook\".*hooks\.example\.com.*not its address") as raised:
            await plan(bench.side(config=staging))
        assert "another hook.name" in raised.value.hint
    found = await doctor.look(bench.side(config=staging))
    assert found.hook is None
    assert found.namesake is not None
    assert list(bench.simulator.hooks) == before


async def test_delete_in_the_middle_of_a_replacement_takes_ours_alone(bench: Bench) -> None:
    """A rotation in place has no second hook: one of another service with a like name stays."""
    await bench.create()
    other = HookConfig(secret=SECRET, url="https://other.example.com/okta/events", name="other")
    await bench.client.request("POST", "/api/v1/eventHooks", bench.side(config=other).wanted().body())
    await take((await plan_rotation(bench.side(), in_place=True))[:2])
    await take(await doctor.plan_delete(bench.side()))
    assert [hook.name for hook in bench.simulator.hooks] == ["other"]


async def test_full_org_is_told(bench: Bench) -> None:
    """With 25 hooks Okta allows no more: said with where to delete one."""
    for number in range(25):
        made = await bench.client.request("POST", "/api/v1/eventHooks", bench.side().wanted(name=f"n{number}").body())
        await bench.client.request("POST", f"/api/v1/eventHooks/{made['id']}/lifecycle/verify")
    other = HookConfig(secret=SECRET, url="https://new.example.com/okta/events")
    with pytest.raises(RosterhookError, match="25 active event hooks") as raised:
        await doctor.plan_create(bench.side(config=other))
    assert "Admin Console" in raised.value.hint


async def test_address_that_does_not_answer_is_told_with_its_reason(bench: Bench) -> None:
    """What is seen from here, since Okta gives no reason; the hook stays, for `hook verify` after the cure."""
    away = HookConfig(secret=SECRET, url="https://hooks.example.com/elsewhere")
    with pytest.raises(OktaError, match=r"could not verify .*E0000001.*looked at from here: 404") as raised:
        await take(await doctor.plan_create(bench.side(config=away)))
    assert "run this command again" in raised.value.hint
    assert [hook.listens for hook in bench.simulator.hooks] == [False]


async def test_create_where_the_hook_is_otherwise_says_how_to_go_on(bench: Bench) -> None:
    """Ours by its id, with another address: nothing is created, and the hint names the key and the command."""
    await bench.create()
    moved = HookConfig(secret=SECRET, url="https://moved.example.com/okta/events")
    with pytest.raises(RosterhookError, match="Okta calls https://hooks") as raised:
        await doctor.plan_create(bench.side(config=moved))
    assert "Set hook.url to https://moved.example.com/okta/events" in raised.value.hint


async def test_inactive_hook_is_not_verified(bench: Bench) -> None:
    """Okta verifies only active hooks: said with the command that activates it."""
    await bench.create()
    bench.change(active=False)
    with pytest.raises(RosterhookError, match="INACTIVE") as raised:
        await doctor.plan_verify(bench.side())
    assert "hook repair" in raised.value.hint


async def test_hook_of_a_lost_record_is_found_again(bench: Bench) -> None:
    """Without data_dir's record the hook is known by its address."""
    hook_id = await bench.create()
    (bench.data_dir / "hook.json").unlink()
    found = await doctor.look(bench.side())
    assert found.hook is not None
    assert found.hook["id"] == hook_id


async def test_delete_removes_the_hook_and_what_a_rotation_left(bench: Bench) -> None:
    """No hook of ours stays behind; the secrets stay valid for deliveries on their way."""
    await bench.create()
    await take((await plan_rotation(bench.side()))[:3])
    assert len(list(bench.simulator.hooks)) == 2
    sent = bench.secrets_sent()
    await take(await doctor.plan_delete(bench.side()))
    assert sent <= bench.secrets_taken()
    assert list(bench.simulator.hooks) == []
    assert read_record(bench.data_dir).hook_id is None
    with pytest.raises(RosterhookError, match="no event hook"):
        await doctor.plan_delete(bench.side())


async def test_without_an_address_nothing_is_asked(bench: Bench) -> None:
    """The address has to be known; the error names the key and the option."""
    with pytest.raises(ConfigError, match="public address") as raised:
        await doctor.plan_create(bench.side(config=HookConfig(secret=SECRET)))
    assert "hook.url" in raised.value.hint
    assert "--url" in raised.value.hint


async def test_no_secret_is_in_what_is_shown(bench: Bench) -> None:
    """Steps, differences and records tell nobody the secret."""
    side = bench.side()
    steps = await doctor.plan_create(side)
    shown = f"{steps} {side.wanted()} {side.record} {await doctor.look(side)}"
    assert SECRET not in shown
