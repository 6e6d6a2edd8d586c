"""The rotation of the hook's secret: nothing is lost or refused, wherever it is killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hook_bench import CANARY, SECRET, Bench, opened_bench, take

from rosterhook.errors import RosterhookError
from rosterhook.hook import arrival, okta_side
from rosterhook.hook import rotation as rotation_module
from rosterhook.hook_secrets import HookSecrets, read_record
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


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The inbox is looked into more often than a person needs."""
    monkeypatch.setattr(arrival, "POLL_SECONDS", 0.01)


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
            assert calls >= 5
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


async def test_without_an_arrival_nothing_is_taken_away(bench: Bench) -> None:
    """No event comes by the new hook: both hooks and both secrets stay, and the next run goes on from there."""
    steps = await rotation_module.rotate(bench.side(canary=False, seconds=0.3))
    with pytest.raises(RosterhookError, match="the old one stays"):
        await take(steps)
    assert [hook.listens for hook in bench.simulator.hooks] == [True, True]
    assert bench.secrets_sent() == bench.secrets_taken()
    words = [step.words for step in await rotation_module.rotate(bench.side())]
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
        await rotation_module.rotate(bench.side())
    assert "--in-place" in raised.value.hint
    assert read_record(bench.data_dir).rotation is None
    await bench.rotate(in_place=True)
    assert bench.simulator.hooks.get(hook.id).channel.secret != SECRET


async def test_rotation_of_a_hook_in_disorder_is_refused(bench: Bench) -> None:
    """What somebody changed by hand is repaired first, or the new hook would not be proved against the old one."""
    (hook,) = bench.simulator.hooks
    bench.simulator.hooks.deactivate(hook.id)
    with pytest.raises(RosterhookError, match="not ACTIVE") as raised:
        await rotation_module.rotate(bench.side())
    assert "hook repair" in raised.value.hint
