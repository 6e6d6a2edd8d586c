"""The hook in Okta brought back to what the configuration says, and what tells that it is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hook_bench import SECRET, URL, Bench, take

from rosterhook.config import HookConfig
from rosterhook.errors import OktaError, RosterhookError
from rosterhook.hook import doctor
from rosterhook.hook.rotation import plan_rotation
from rosterhook.hook_secrets import HookSecrets
from rosterhook.model import now_ms
from rosterhook.notes import REFUSED, leave_note
from rosterhook.okta.events import NEEDED


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
    bench.change(channel=replace(hook.channel, **channel), **rest)
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
    bench.change(channel=replace(hook.channel, secret="typed by hand"))
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
    bench.change(channel=replace(hook.channel, secret="of a lost record"))
    told = {"count": 3, "last_ms": now_ms() + 1000}
    await bench.stores.state.write(lambda db: leave_note(db, REFUSED, told, now_ms()))
    (found,) = (await doctor.look(bench.side())).differences
    assert "3 of its calls were refused" in found.words
    await take(await doctor.plan_repair(bench.side()))
    assert bench.secrets_sent() == {SECRET}


async def test_stranger_who_calls_himself_okta_changes_nothing(bench: Bench) -> None:
    """Anybody can send Okta's User-Agent with a wrong secret: a good hook is verified, and not replaced; then the
    refused calls are of the past.
    """
    await bench.create()
    await bench.quiet()
    (before,) = bench.simulator.hooks
    told = {"count": 1, "last_ms": now_ms() + 1}
    await bench.stores.state.write(lambda db: leave_note(db, REFUSED, told, now_ms()))
    await take((await doctor.plan_repair(bench.side(canary=False, seconds=0.1)))[:1])
    (after,) = bench.simulator.hooks
    assert after.channel is before.channel
    assert (await doctor.look(bench.side())).differences == []


async def test_repair_after_a_damaged_record_sets_the_configured_secret(bench: Bench) -> None:
    """The record was moved away, as its error says: Okta sends the rotated secret, which is still taken and so
    verifies, and which nobody knows once the new record is there. Repair gives it the configured one.
    """
    await bench.create()
    await bench.rotate()
    (bench.data_dir / "hook.json").rename(bench.data_dir / "hook.json.damaged")
    await take(await doctor.plan_repair(bench.side()))
    assert bench.secrets_sent() == {SECRET}
    assert bench.secrets_sent() <= bench.secrets_taken()


async def test_repair_sets_the_first_of_two_configured_secrets(bench: Bench) -> None:
    """By hand: the new secret is put before the old one, and Okta still sends the old one, which verifies."""
    await bench.create()
    bench.config = HookConfig(secrets=("a new one by hand", SECRET), url=URL)
    bench.receiver._secrets = HookSecrets(bench.config, bench.data_dir)
    await take(await doctor.plan_repair(bench.side()))
    assert bench.secrets_sent() == {"a new one by hand"}


async def test_nothing_is_created_or_repaired_in_the_middle_of_a_rotation(bench: Bench) -> None:
    """Both would take the second hook for ours, and the rotation would end by deleting it."""
    await bench.create()
    await take((await plan_rotation(bench.side()))[:2])
    for plan in (doctor.plan_create, doctor.plan_repair):
        with pytest.raises(RosterhookError, match="begun and not ended"):
            await plan(bench.side())


async def test_our_hook_is_the_one_whose_id_is_remembered(bench: Bench) -> None:
    """Another hook with our address does not take its place; ours keeps the name that it has in Okta."""
    other = await bench.client.request("POST", "/api/v1/eventHooks", bench.side().wanted(name="other").body())
    hook_id = str((await bench.client.request("POST", "/api/v1/eventHooks", bench.side().wanted().body()))["id"])
    bench.side().remember(hook_id, bench.side().wanted())
    found = await doctor.look(bench.side())
    assert found.hook is not None
    assert found.hook["id"] == hook_id
    assert [hook["id"] for hook in found.others] == [other["id"]]
    renamed = HookConfig(secret="another secret", url=URL, name="renamed in the configuration")
    bench.receiver._secrets = HookSecrets(renamed, bench.data_dir)
    await take((await doctor.plan_repair(bench.side(config=renamed)))[:1])
    mended = bench.simulator.hooks.get(hook_id)
    assert (mended.name, mended.channel.secret) == ("rosterhook", "another secret")


async def test_calls_that_were_refused_long_ago_are_no_difference(bench: Bench) -> None:
    """A delivery that has arrived since shows that the secret is right."""
    told = {"count": 3, "last_ms": now_ms()}
    await bench.stores.state.write(lambda db: leave_note(db, REFUSED, told, now_ms()))
    await bench.create()
    assert (await doctor.look(bench.side())).differences == []


async def test_event_types_too_many_are_harmless(bench: Bench) -> None:
    """They cost quota and lose nothing: neither a rotation nor a creation is refused because of them."""
    await bench.create()
    bench.change(items=(*NEEDED, "user.session.start"))
    (found,) = (await doctor.look(bench.side())).differences
    assert found.is_harmless
    await bench.rotate()
    await take(await doctor.plan_create(bench.side()))


async def test_repair_says_since_when_changes_may_be_missing(bench: Bench) -> None:
    """Okta makes up for nothing: whoever repairs has to know it."""
    await bench.create()
    bench.change(active=False)
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
    (hook,) = bench.simulator.hooks
    assert (hook.channel.secret, hook.listens) == (SECRET, True)


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
    bench.change(channel=replace(hook.channel, headers=(("X-Gateway", "7"),)), items=NEEDED[1:])
    await take(await doctor.plan_repair(bench.side()))
    (mended,) = bench.simulator.hooks
    assert mended.channel.headers == (("X-Gateway", "7"),)
