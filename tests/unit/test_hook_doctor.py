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
from rosterhook.hook.arrival import MARK, Canary
from rosterhook.hook.rotation import plan_rotation
from rosterhook.hook_secrets import HookSecrets, read_record
from rosterhook.model import now_ms
from rosterhook.notes import REFUSED, leave_note
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
    await change(bench, channel=replace(bench.simulator.hooks.get(made["id"]).channel, secret="typed by hand"))
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


async def test_hook_is_adopted_by_its_id(bench: Bench) -> None:
    """After a loss of data_dir and a change of the address, its owner says which hook is its own."""
    hook_id = await bench.create()
    (bench.data_dir / "hook.json").unlink()
    bench.config = HookConfig(secret=SECRET, url="https://moved.example.com/okta/events")
    await take(await doctor.plan_repair(bench.side(), adopt=hook_id))
    (hook,) = bench.simulator.hooks
    assert (hook.id, hook.channel.uri) == (hook_id, "https://moved.example.com/okta/events")
    with pytest.raises(RosterhookError, match="no event hook with the id whoNobody"):
        await doctor.plan_repair(bench.side(), adopt="whoNobody")


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
    assert "rosterhook hook verify" in raised.value.hint
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
    await take(await doctor.plan_repair(side))
    assert side.arrived
    assert (await doctor.look(bench.side())).differences == []
    (mended,) = bench.simulator.hooks
    assert (mended.id, mended.channel, mended.listens) == (hook.id, hook.channel, True)
    assert not mended.filters


async def test_repair_of_a_good_hook_replaces_nothing(bench: Bench) -> None:
    """A replacement is a gap: a hook without a difference is only verified, which proves its secret."""
    await bench.create()
    (before,) = bench.simulator.hooks
    await take(await doctor.plan_repair(bench.side()))
    (after,) = bench.simulator.hooks
    assert after.channel is before.channel


async def test_repair_sets_a_secret_that_was_typed_by_hand(bench: Bench) -> None:
    """Okta never shows a secret; when it cannot verify a good address, it sends another one, and gets ours."""
    await bench.create()
    (hook,) = bench.simulator.hooks
    await change(bench, channel=replace(hook.channel, secret="typed by hand"))
    assert (await doctor.look(bench.side())).differences == []
    await take(await doctor.plan_repair(bench.side()))
    assert bench.secrets_sent() == {SECRET}


async def test_refused_calls_tell_of_another_secret(bench: Bench) -> None:
    """data_dir was restored without its record: Okta sends a secret that nobody knows here any more. All that Okta
    shows is right, and the refused calls tell; repair sets ours.
    """
    await bench.create()
    (hook,) = bench.simulator.hooks
    await bench.quiet()
    await change(bench, channel=replace(hook.channel, secret="of a lost record"))
    told = {"count": 3, "last_ms": now_ms() + 1000}
    await bench.stores.state.write(lambda db: leave_note(db, REFUSED, told, now_ms()))
    (found,) = (await doctor.look(bench.side())).differences
    assert "3 of its calls were refused" in found.words
    await take(await doctor.plan_repair(bench.side()))
    assert bench.secrets_sent() == {SECRET}


async def test_calls_that_were_refused_long_ago_are_no_difference(bench: Bench) -> None:
    """A delivery that has arrived since shows that the secret is right."""
    told = {"count": 3, "last_ms": now_ms()}
    await bench.stores.state.write(lambda db: leave_note(db, REFUSED, told, now_ms()))
    await bench.create()
    assert (await doctor.look(bench.side())).differences == []


async def test_event_types_too_many_are_harmless(bench: Bench) -> None:
    """They cost quota and lose nothing: neither a rotation nor a creation is refused because of them."""
    await bench.create()
    await change(bench, items=(*NEEDED, "user.session.start"))
    (found,) = (await doctor.look(bench.side())).differences
    assert found.is_harmless
    await bench.rotate()
    await take(await doctor.plan_create(bench.side()))


async def test_repair_says_since_when_changes_may_be_missing(bench: Bench) -> None:
    """Okta makes up for nothing: whoever repairs has to know it."""
    await bench.create()
    await change(bench, active=False)
    side = bench.side()
    await doctor.plan_repair(side)
    assert any("may be missing here" in note for note in side.notes)
    (hook,) = bench.simulator.hooks
    assert hook.updated in side.notes[0]


async def test_repair_while_the_address_is_down_leaves_a_good_hook_alone(bench: Bench) -> None:
    """With the service down Okta cannot verify: replaced now, the hook would stay unverified when it is up again."""
    await bench.create()
    bench.receiver._paths = set()
    with pytest.raises(OktaError, match="could not verify"):
        await take(await doctor.plan_repair(bench.side()))
    assert [(hook.channel.secret, hook.active) for hook in bench.simulator.hooks] == [(SECRET, True)]


async def test_repair_retires_a_rotated_secret_that_its_owner_has_replaced(bench: Bench) -> None:
    """A new secret in the configuration is its owner's word: the last rotation's runs out."""
    await bench.create()
    await bench.rotate()
    (rotated,) = bench.secrets_sent()
    bench.config = HookConfig(secret="a new one by hand", url=URL)
    bench.receiver._secrets = HookSecrets(bench.config, bench.data_dir)
    await take(await doctor.plan_repair(bench.side()))
    assert bench.secrets_sent() == {"a new one by hand"}
    assert rotated in bench.secrets_taken()
    assert HookSecrets(bench.config, bench.data_dir, lambda: 1e12).valid == (b"a new one by hand",)


async def test_repair_keeps_the_headers_of_others(bench: Bench) -> None:
    """Static headers that an admin added, for a gateway perhaps, survive a replacement."""
    await bench.create()
    (hook,) = bench.simulator.hooks
    await change(bench, channel=replace(hook.channel, headers=(("X-Gateway", "7"),)), items=NEEDED[1:])
    await take(await doctor.plan_repair(bench.side()))
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
    await take((await plan_rotation(bench.side()))[:3])
    assert len(list(bench.simulator.hooks)) == 2
    await take(await doctor.plan_delete(bench.side()))
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
