"""The rotation of the hook's secret: nothing is lost or refused, wherever it is killed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hook_bench import CANARY, SECRET, URL, Bench, opened_bench, take

from rosterhook.config import HookConfig
from rosterhook.errors import RosterhookError
from rosterhook.hook import arrival, okta_side
from rosterhook.hook import rotation as rotation_module
from rosterhook.hook.rotation import Haste, plan_abandon, plan_rotation
from rosterhook.hook_secrets import HookSecrets, read_record, write_record
from rosterhook.simulator.hooks import MOST_HOOKS


class Killed(BaseException):
    """The process ends here."""


class Mortal:
    """Okta's API, until a call; then the process is killed, before Okta hears of it or before its answer is heard."""

    def __init__(self, api: Any, calls: int, *, heard: bool) -> None:
        self._api = api
        self._left = calls
        self._heard = heard

    def __getattr__(self, name: str) -> Any:
        async def call(*arguments: Any) -> Any:
            self._left -= 1
            if self._left < 0:
                if self._heard:
                    await getattr(self._api, name)(*arguments)
                raise Killed
            return await getattr(self._api, name)(*arguments)

        return call


@pytest.fixture
async def bench(tmp_path: Path):
    """An org with the hook."""
    async with opened_bench(tmp_path) as found:
        await found.create()
        yield found


async def arrives(bench: Bench) -> bool:
    """Whether each hook to which the org sends is let in: a touch of the canary comes in from all of them."""
    before = await bench.inbox.received()
    user = await bench.client.find_user(CANARY)
    await bench.client.update_profile(user["id"], {"title": f"t{before}"})
    senders = [hook.id for hook in bench.simulator.hooks if hook.listens]
    proof = bench.side(canary=False, seconds=10).prover
    return bool(senders) and all([await proof._arrivals.wait(each, before, 10) for each in senders])


async def test_rotation_replaces_the_secret_and_leaves_one_hook(bench: Bench) -> None:
    """At the end Okta sends the new secret by one hook, and the configured one runs out."""
    side = await bench.rotate()
    assert side.arrived
    assert len(list(bench.simulator.hooks)) == 1
    (sent,) = bench.secrets_sent()
    assert sent != SECRET
    assert bench.secrets_taken() == {SECRET, sent}
    later = HookSecrets(bench.config, bench.data_dir, lambda: 1e12)
    assert later.valid == (sent.encode(),)
    assert await arrives(bench)


async def test_rotation_after_a_rotation_works_the_same(bench: Bench) -> None:
    """The second rotation retires the secret of the first."""
    await bench.rotate()
    (first,) = bench.secrets_sent()
    await bench.rotate()
    (second,) = bench.secrets_sent()
    assert len({SECRET, first, second}) == 3
    assert HookSecrets(bench.config, bench.data_dir, lambda: 1e12).valid == (second.encode(),)


@pytest.mark.parametrize("heard", [False, True], ids=["unheard", "heard"])
@pytest.mark.parametrize("in_place", [False, True], ids=["beside", "in_place"])
async def test_rotation_killed_at_any_call_goes_on(tmp_path: Path, in_place: bool, heard: bool) -> None:
    """Killed before or after any call to Okta, whatever Okta sends is let in; run again, it ends as if never killed."""
    for calls in range(30):
        folder = tmp_path / str(calls)
        async with opened_bench(folder) as bench:
            await bench.create()
            bench.wrap = lambda api, calls=calls: Mortal(api, calls, heard=heard)
            try:
                await bench.rotate(in_place=in_place)
            except Killed:
                died = True
            else:
                died = False
            assert bench.secrets_sent() <= bench.secrets_taken()
            if not in_place:
                assert await arrives(bench), f"after {calls} calls"
            bench.wrap = lambda api: api
            if died and (read_record(folder).rotation is not None or bench.secrets_sent() == {SECRET}):
                await bench.rotate(in_place=in_place)
            (sent,) = bench.secrets_sent()
            assert sent != SECRET, f"after {calls} calls"
            assert [hook.listens for hook in bench.simulator.hooks] == [True]
            assert HookSecrets(bench.config, folder, lambda: 1e12).valid == (sent.encode(),)
        if not died:
            assert calls >= 3
            return
    pytest.fail("the rotation never ended")


async def test_rotation_killed_at_any_write_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same where it is killed before or after it writes its record."""
    real = okta_side.write_record
    for writes in range(3):
        for after in (False, True):
            folder = tmp_path / f"{writes}{after}"
            async with opened_bench(folder) as bench:
                await bench.create()
                left = [writes]

                def mortal(data_dir: Path, record: Any, left: list[int] = left, after: bool = after) -> None:
                    left[0] -= 1
                    if left[0] >= 0:
                        real(data_dir, record)
                        return
                    if after:
                        real(data_dir, record)
                    raise Killed

                monkeypatch.setattr(okta_side, "write_record", mortal)
                with pytest.raises(Killed):
                    await bench.rotate()
                monkeypatch.setattr(okta_side, "write_record", real)
                assert bench.secrets_sent() <= bench.secrets_taken()
                assert await arrives(bench)
                if read_record(folder).rotation is not None or bench.secrets_sent() == {SECRET}:
                    await bench.rotate()
                assert [hook.listens for hook in bench.simulator.hooks] == [True]
                assert SECRET not in bench.secrets_sent()


async def test_secret_of_the_last_rotation_is_taken_for_its_time_too(bench: Bench) -> None:
    """Deliveries that were on the way when the second rotation ended are let in, though no file configures their
    secret; when its time is over, its value is in no file any more.
    """
    await bench.rotate()
    (first,) = bench.secrets_sent()
    await bench.rotate()
    assert {SECRET, first} < bench.secrets_taken()
    await bench.rotate()
    record = read_record(bench.data_dir)
    old = replace(record, retired={digest: replace(each, until=0.0) for digest, each in record.retired.items()})
    write_record(bench.data_dir, old)
    await bench.rotate()
    assert first not in (bench.data_dir / "hook.json").read_text()


async def test_known_secret_can_be_refused_at_once(bench: Bench) -> None:
    """A secret that others know is not taken for a day more."""
    await take(await plan_rotation(bench.side(), haste=Haste(0.0, 0.0)))
    assert bench.secrets_taken() == bench.secrets_sent()


async def test_leaked_secret_of_an_earlier_rotation_is_refused_at_once_too(bench: Bench) -> None:
    """That the old secret leaked is learnt after a rotation: the next one ends its day of grace."""
    await bench.rotate()
    await take(await plan_rotation(bench.side(), haste=Haste(0.0, 0.0)))
    assert bench.secrets_taken() == bench.secrets_sent()


async def test_first_hook_lives_on_for_the_drain(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the proof and its end the first hook has time to send what it has taken up."""
    waited: list[tuple[float, int]] = []

    async def wait(seconds: float) -> None:
        waited.append((seconds, len(bench.secrets_sent())))

    monkeypatch.setattr(rotation_module, "pause", wait)
    await take(await plan_rotation(bench.side()))
    assert waited == [(60.0, 2)]


async def test_abandoned_secret_is_taken_for_its_time(bench: Bench) -> None:
    """The second hook may have sent it: deliveries of its that are late are let in."""
    await take((await plan_rotation(bench.side()))[:3])
    sent = bench.secrets_sent()
    await take(await plan_abandon(bench.side()))
    assert sent <= bench.secrets_taken()


async def test_replacement_whose_hook_is_gone_can_be_abandoned(bench: Bench) -> None:
    """Somebody deleted the only hook meanwhile: the way out ends in `hook create`, and not in a circle."""
    await take((await plan_rotation(bench.side(), in_place=True))[:1])
    (hook,) = bench.simulator.hooks
    bench.simulator.hooks.deactivate(hook.id)
    bench.simulator.hooks.delete(hook.id)
    with pytest.raises(RosterhookError, match="gone from Okta") as raised:
        await take(await plan_rotation(bench.side()))
    assert "--abandon" in raised.value.hint
    await take(await plan_abandon(bench.side()))
    await bench.create()


async def test_secrets_of_other_hooks_are_left_alone(bench: Bench) -> None:
    """Only the secret in force is retired: another value of `hook.secrets` may be another org's."""
    bench.config = HookConfig(secret=SECRET, secrets=("of-another-org",), url=URL)
    await bench.rotate()
    late = HookSecrets(bench.config, bench.data_dir, lambda: 1e12).valid
    assert b"of-another-org" in late
    assert SECRET.encode() not in late


async def test_other_hook_with_the_address_is_named(bench: Bench) -> None:
    """A second hook of the org that calls the same address may send the old secret: said before it is refused."""
    body = {
        **bench.side().wanted(name="by hand").body(),
        "events": {"type": "EVENT_TYPE", "items": ["group.lifecycle.create"]},
    }
    await bench.client.request("POST", "/api/v1/eventHooks", body)
    side = await bench.rotate()
    (note,) = side.notes
    assert '"by hand"' in note


async def test_second_hook_has_the_headers_of_the_first(bench: Bench) -> None:
    """What a gateway on the way asks for is sent by the new hook too."""
    (hook,) = bench.simulator.hooks
    channel = replace(hook.channel, headers=(("X-Gateway", "7"),))
    bench.simulator.hooks._keep(replace(hook, channel=channel, description="made by hand"))
    await bench.rotate()
    (second,) = bench.simulator.hooks
    assert second.channel.headers == (("X-Gateway", "7"),)
    assert second.description == "made by hand"


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("in_place", [False, True], ids=["beside", "in_place"])
async def test_rotation_can_be_abandoned(bench: Bench, in_place: bool, steps: int) -> None:
    """From any point the way back ends with the old secret alone, and nobody is refused meanwhile."""
    planned = await plan_rotation(bench.side(), in_place=in_place)
    await take(planned[:steps])
    await take(await plan_abandon(bench.side()))
    assert bench.secrets_sent() == {SECRET}
    assert bench.secrets_sent() <= bench.secrets_taken()
    assert [hook.listens for hook in bench.simulator.hooks] == [True]
    assert HookSecrets(bench.config, bench.data_dir, lambda: 1e12).valid == (SECRET.encode(),)
    await bench.rotate()
    with pytest.raises(RosterhookError, match="no rotation"):
        await plan_abandon(bench.side())


async def test_there_is_no_way_back_without_the_first_hook(bench: Bench) -> None:
    """When the first hook is deleted, going back would leave none: the rotation is to be ended."""
    planned = await plan_rotation(bench.side(), haste=Haste(drain_seconds=0.0))
    await take(planned[:-1])
    with pytest.raises(RosterhookError, match="no way back"):
        await plan_abandon(bench.side())
    assert len(bench.secrets_sent()) == 1


async def test_way_is_not_changed_in_the_middle(bench: Bench) -> None:
    """`--in-place` after a second hook was begun says how to go back first."""
    await take((await plan_rotation(bench.side()))[:1])
    with pytest.raises(RosterhookError, match="second hook was begun") as raised:
        await plan_rotation(bench.side(), in_place=True)
    assert "--abandon" in raised.value.hint


async def test_gap_of_a_replacement_is_made_once(bench: Bench) -> None:
    """In place, a rotation that is run again does not replace the hook again: each replacement loses events."""
    await bench.quiet()
    planned = await plan_rotation(bench.side(canary=False, seconds=0.2), in_place=True)
    with pytest.raises(RosterhookError, match="No delivery with the new secret"):
        await take(planned)
    assert not any("Replace" in step.description for step in await plan_rotation(bench.side()))
    await bench.rotate()
    assert SECRET not in bench.secrets_sent()


async def test_long_name_leaves_room_for_a_suffix(tmp_path: Path) -> None:
    """Okta's names have 255 characters at most."""
    async with opened_bench(tmp_path) as bench:
        bench.config = HookConfig(secret=SECRET, url=URL, name="n" * 255)
        await bench.create()
        await bench.rotate()
        (hook,) = bench.simulator.hooks
        assert len(hook.name) == 255


async def test_without_an_arrival_nothing_is_taken_away(bench: Bench) -> None:
    """No event comes by the new hook: both hooks and both secrets stay, and the next run goes on from there."""
    await bench.quiet()
    steps = await plan_rotation(bench.side(canary=False, seconds=0.3))
    with pytest.raises(RosterhookError, match="the old one stays valid"):
        await take(steps)
    assert [hook.listens for hook in bench.simulator.hooks] == [True, True]
    assert bench.secrets_sent() == bench.secrets_taken()
    words = [step.description for step in await plan_rotation(bench.side())]
    assert not any("Create" in each or "Make a new secret" in each for each in words)
    await bench.rotate()
    assert len(list(bench.simulator.hooks)) == 1


async def test_hook_that_is_slow_to_start_is_touched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new hook that sends nothing at first is proved by a later touch."""
    monkeypatch.setattr(arrival, "AGAIN_SECONDS", 0.3)
    async with opened_bench(tmp_path, hook_start_seconds=1.0) as bench:
        await bench.create()
        side = await bench.rotate()
        assert side.arrived
        user = await bench.client.find_user(CANARY)
        assert not user["profile"].get("nickName")


async def test_org_that_is_full_is_told_before_anything_changes(bench: Bench) -> None:
    """With 25 hooks a second one is refused by Okta: said before, with the way that works."""
    (hook,) = bench.simulator.hooks
    for number in range(MOST_HOOKS - 1):
        body = bench.side().wanted(name=f"other {number}").body()
        made = await bench.client.request("POST", "/api/v1/eventHooks", body)
        await bench.client.request("POST", f"/api/v1/eventHooks/{made['id']}/lifecycle/verify")
    with pytest.raises(RosterhookError, match="25 active event hooks") as raised:
        await plan_rotation(bench.side())
    assert "--in-place" in raised.value.hint
    assert read_record(bench.data_dir).rotation is None
    await bench.rotate(in_place=True)
    assert bench.simulator.hooks.get(hook.id).channel.secret != SECRET


async def test_without_the_service_nothing_begins(tmp_path: Path) -> None:
    """Where no web process runs over data_dir, no delivery could be seen: said before a secret is made."""
    async with opened_bench(tmp_path) as bench:
        await bench.create()
        side = bench.side()
    with pytest.raises(RosterhookError, match="does not run here"):
        await plan_rotation(side)
    assert read_record(tmp_path).rotation is None


async def test_rotation_of_a_hook_in_disorder_is_refused(bench: Bench) -> None:
    """What somebody changed by hand is repaired first, or the new hook would not be proved against the old one."""
    (hook,) = bench.simulator.hooks
    bench.simulator.hooks.deactivate(hook.id)
    with pytest.raises(RosterhookError, match="not ACTIVE") as raised:
        await plan_rotation(bench.side())
    assert "hook repair" in raised.value.hint
