"""Which of the simulated org's event hooks gets which event, and what Okta's limits keep back."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

import httpx2
import pytest
import trustme
from hook_receiver import until
from hook_world import HOOKS, World, org
from hypothesis import given, settings
from hypothesis import strategies as st

from rosterhook.simulator import Settings, Simulator, in_process
from rosterhook.simulator.problems import SimulatorError


async def test_each_hook_gets_what_it_subscribes_to():
    """Two hooks with other types get other events, and one that shares a type gets its own delivery."""
    async with org() as world:
        one = await world.hook("one.test", "user.lifecycle.create")
        two = await world.hook("two.test", "user.lifecycle.create", "user.lifecycle.activate")
        world.person()
        await world.settled()
        created, activated = world.logged("user.lifecycle.create"), world.logged("user.lifecycle.activate")
    assert world.types("one.test") == ["user.lifecycle.create"]
    assert world.types("two.test") == ["user.lifecycle.create", "user.lifecycle.activate"]
    assert created[0]["debugContext"]["debugData"]["targetEventHookIds"] == f"{one},{two}"
    assert activated[0]["debugContext"]["debugData"]["targetEventHookIds"] == two
    sources = {body["source"].rpartition("/")[2] for _, body in world.receivers["one.test"].requests}
    assert sources == {one}


async def test_only_active_and_verified_hooks_get_anything():
    """An unverified and a deactivated hook are not even named in the event; back again, old events are not made up."""
    async with org() as world:
        hook = await world.hook("off.test", "user.lifecycle.create")
        world.receivers["never.test"].echo = lambda _: {}
        await world.hook("never.test", "user.lifecycle.create")
        await world.okta.post(f"{HOOKS}/{hook}/lifecycle/deactivate")
        world.person()
        await world.okta.post(f"{HOOKS}/{hook}/lifecycle/activate")
        world.person("b@x.com")
        await world.settled()
        first, second = (event["debugContext"]["debugData"] for event in world.logged("user.lifecycle.create"))
    assert world.types("never.test") == []
    assert len(world.types("off.test")) == 1
    assert "targetEventHookIds" not in first
    assert second["targetEventHookIds"] == hook


@given(st.lists(st.sampled_from(["person", "one off", "one on", "two off", "two on", "two moves", "two verifies"])))
@settings(max_examples=25, deadline=None)
def test_a_hook_gets_exactly_the_events_that_name_it(steps):
    """However hooks are switched, moved and verified in between: named in the event is delivered, and nothing else."""
    asyncio.run(_live(steps))


async def _live(steps: list[str]) -> None:
    async with org() as world:
        ids = {name: await world.hook(f"{name}.test", "user.lifecycle.create") for name in ("one", "two")}
        for number, step in enumerate(steps):
            if step == "person":
                world.person(f"{number}@x.com")
                await world.settled()
                continue
            name, what = step.split()
            url = f"{HOOKS}/{ids[name]}"
            if what == "moves":
                found = (await world.okta.get(url)).json()
                found["channel"]["config"]["uri"] = f"https://two.test/{number}"
                assert (await world.okta.put(url, json=found)).status_code == 200
            else:
                life = {"off": "deactivate", "on": "activate", "verifies": "verify"}[what]
                await world.okta.post(f"{url}/lifecycle/{life}")
        created = world.logged("user.lifecycle.create")
    for name, hook_id in ids.items():
        named = [e["uuid"] for e in created if hook_id in e["debugContext"]["debugData"].get("targetEventHookIds", "")]
        assert world.receivers[f"{name}.test"].uuids == named


async def test_what_waits_is_forgotten_when_a_hook_is_deactivated():
    """A batch that was still being gathered never goes out."""
    async with org(batch_seconds=600) as world:
        hook = await world.hook("off.test", "user.lifecycle.create")
        world.person()
        assert world.simulator.hooks.pending == 1
        await world.okta.post(f"{HOOKS}/{hook}/lifecycle/deactivate")
        await world.settled()
    assert world.types("off.test") == []


@pytest.mark.parametrize("and_deleted", [False, True])
async def test_what_waits_may_go_out_all_the_same(and_deleted):
    """With the setting that forgets nothing, a hook that was deactivated or deleted gets what happened before."""
    async with org(batch_seconds=0.05, deactivated_hook_drops=False) as world:
        hook = await world.hook("off.test", "user.lifecycle.create")
        world.person()
        await world.okta.post(f"{HOOKS}/{hook}/lifecycle/deactivate")
        if and_deleted:
            assert (await world.okta.delete(f"{HOOKS}/{hook}")).status_code == 204
        world.person("b@x.com")
        await world.settled()
    assert world.types("off.test") == ["user.lifecycle.create"]


async def test_what_waits_never_goes_to_an_unproven_address():
    """Whatever the setting: a hook that is moved elsewhere has to prove itself before it gets anything."""
    async with org(batch_seconds=0.05, deactivated_hook_drops=False) as world:
        hook = await world.hook("off.test", "user.lifecycle.create")
        world.person()
        found = (await world.okta.get(f"{HOOKS}/{hook}")).json()
        found["channel"]["config"]["uri"] = "https://other.test/"
        assert (await world.okta.put(f"{HOOKS}/{hook}", json=found)).status_code == 200
        await world.settled()
    assert world.types("off.test") == world.types("other.test") == []


async def test_a_slow_hook_keeps_no_other_waiting():
    """While one receiver doesn't answer, another one gets its events."""
    async with org(hook_timeout_seconds=600, parallel_deliveries=1) as world:
        await world.hook("slow.test", "user.lifecycle.create")
        await world.hook("fast.test", "user.lifecycle.create")
        world.receivers["slow.test"].answers = [None]
        for number in range(3):
            world.person(f"{number}@x.com")
        await until(lambda: len(world.types("fast.test")) == 3)
        assert world.simulator.hooks.pending == 3


async def test_a_filter_lets_only_matching_events_through():
    """A hook with a filter gets and is named in what the expression is true for."""
    async with org() as world:
        matching = "event.target.?[type eq 'User' && alternateId eq 'b@x.com'].size()>0"
        hook = await world.hook("one.test", "user.lifecycle.create", expression=matching)
        world.person("a@x.com")
        world.person("b@x.com")
        await world.settled()
        debug = [event["debugContext"]["debugData"] for event in world.logged("user.lifecycle.create")]
    assert [event["target"][0]["alternateId"] for event in world.receivers["one.test"].events] == ["b@x.com"]
    assert [each.get("targetEventHookIds") for each in debug] == [None, hook]


async def test_a_new_hook_gets_nothing_for_a_while():
    """With hook_start_seconds, what happens soon after the verification is delivered to nobody."""
    async with org(hook_start_seconds=60) as world:
        await world.hook("one.test", "user.lifecycle.create")
        world.clock[0] += 59
        world.person("early@x.com")
        world.clock[0] += 1
        world.person("late@x.com")
        await world.settled()
    assert [event["target"][0]["alternateId"] for event in world.receivers["one.test"].events] == ["late@x.com"]


@pytest.mark.parametrize(
    ("answers", "reason"),
    [([404], "HTTP 404"), ([500, 503], "HTTP 503"), ([ConnectionError()] * 2, "could not connect")],
)
async def test_a_failed_delivery_is_in_the_log(answers, reason):
    """One event_hook.delivery, a FAILURE with the hook as target; no hook hears of it, and no success is logged."""
    async with org() as world:
        hook = await world.hook("one.test", "user.lifecycle.create")
        world.receivers["one.test"].answers = list(answers)
        world.person("a@x.com")
        await world.settled()
        world.person("b@x.com")
        await world.settled()
        [failure] = world.logged("event_hook.delivery")
    assert failure["outcome"] == {"result": "FAILURE", "reason": reason}
    assert (failure["target"][0]["id"], failure["target"][0]["displayName"]) == (hook, "one.test")
    assert "targetEventHookIds" not in failure["debugContext"]["debugData"]


async def test_the_day_has_a_limit_for_all_hooks_together():
    """Beyond it no event goes to any hook, nothing is made up later, and the log has warned once and told once."""
    async with org(hook_daily_limit=10) as world:
        await world.hook("one.test", "user.lifecycle.create")
        await world.hook("two.test", "user.lifecycle.create")
        for number in range(15):
            world.person(f"{number}@x.com")
        tally = await world.settled()
        assert len(world.types("one.test")) == len(world.types("two.test")) == 10
        assert tally["daily"] == {"limit": 10, "used": 10, "cut": 5}
        world.clock[0] += 24 * 3600 - 1
        world.person("still@x.com")
        world.clock[0] += 1
        world.person("again@x.com")
        await world.settled()
        [warning] = world.logged("system.operation.rate_limit.warning")
        [violation] = world.logged("system.operation.rate_limit.violation")
        order = [event["eventType"] for event in world.log]
    assert [event["target"][0]["alternateId"] for event in world.receivers["one.test"].events][10:] == ["again@x.com"]
    assert order[: order.index(warning["eventType"])].count("user.lifecycle.create") == 7
    assert warning["debugContext"]["debugData"]["operationRateLimitType"] == "event_hook_delivery"
    assert violation["outcome"]["result"] == "DENY"


async def test_the_count_of_the_day_survives_a_restart():
    """An org that goes on from its dump has what was left of the day, not a whole one."""
    async with org(hook_daily_limit=3) as world:
        await world.hook("one.test", "user.lifecycle.create")
        world.person("a@x.com")
        await world.settled()
        dumped = world.simulator.hooks.dump()
    async with org(hook_daily_limit=3) as world:
        world.simulator.hooks.load(dumped)
        for number in range(5):
            world.person(f"{number}@x.com")
        await world.settled()
        assert len(world.types("one.test")) == 2


async def test_a_hook_that_fails_too_often_is_skipped_for_a_while():
    """With hook_quiet_failures, deliveries of the next 15 minutes are skipped, for this hook, and for good."""
    async with org(hook_quiet_failures=2) as world:
        await world.hook("bad.test", "user.lifecycle.create")
        await world.hook("good.test", "user.lifecycle.create")
        world.receivers["bad.test"].answers = [500] * 4
        for number in range(3):
            world.person(f"{number}@x.com")
            await world.settled()
        assert len(world.receivers["bad.test"].requests) == 4
        world.clock[0] += 15 * 60
        world.person("later@x.com")
        tally = await world.settled()
    assert len(world.receivers["bad.test"].requests) == 5
    assert len(world.types("good.test")) == 4
    assert tally["skipped"] == 1


def test_a_hook_cannot_be_skipped_after_no_failure():
    """A number of failures that makes no sense is told before anything starts."""
    with pytest.raises(ValueError, match="hook_quiet_failures is a whole number, 1 or more"):
        Settings(hook_quiet_failures=0)


async def test_tallies_are_told_in_all_and_by_hook():
    """The sums stay when a hook is deleted."""
    async with org() as world:
        one = await world.hook("one.test", "user.lifecycle.create")
        two = await world.hook("two.test", "user.lifecycle.create")
        world.receivers["two.test"].answers = [404]
        world.person()
        await world.settled()
        await world.okta.post(f"{HOOKS}/{two}/lifecycle/deactivate")
        await world.okta.delete(f"{HOOKS}/{two}")
        told = (await world.okta.get("/_sim/traffic")).json()["deliveries"]
    assert (told["sent"], told["acknowledged"], told["refused"], told["pending"]) == (2, 1, 1, 0)
    assert told["hooks"][one]["acknowledged"] == told["hooks"][two]["refused"] == 1


async def preview(world: World, **body: str) -> httpx2.Response:
    return await world.okta.post("/_sim/preview", json=body)


async def test_a_preview_delivers_an_odd_body():
    """Sample data of a type comes without actor, target and context, with another spelling of success."""
    async with org() as world:
        hook = await world.hook("one.test", "user.lifecycle.create", expression="event.eventType eq 'never'")
        answer = await preview(world, hook=hook, event="user.lifecycle.create")
        assert (answer.status_code, answer.json()["delivered"], answer.json()["status"]) == (200, True, 200)
    [(headers, body)] = world.receivers["one.test"].requests
    assert headers["user-agent"] == f"Okta Hook Service v1.0.0 - {hook}"
    assert body == answer.json()["sent"]
    [event] = body["data"]["events"]
    nulls = ("actor", "target", "debugContext", "securityContext", "device")
    assert [event[name] for name in nulls] == [None] * 5
    assert event["outcome"] == {"result": "Success", "reason": None}
    assert (event["client"]["ipChain"], event["transaction"]["type"]) == (None, None)


async def test_a_preview_can_repeat_an_old_event():
    """A recent event that is picked keeps its uuid and its time."""
    async with org() as world:
        hook = await world.hook("one.test", "user.lifecycle.create")
        world.person()
        await world.settled()
        [old] = world.receivers["one.test"].events
        await preview(world, hook=hook, event=old["uuid"])
    again = world.receivers["one.test"].events[-1]
    names = ("uuid", "published", "eventType")
    assert [again[name] for name in names] == [old[name] for name in names]
    assert again["target"] is None


async def test_a_preview_tells_what_went_wrong():
    """A refusal by the receiver is told and is no delivery; an unknown hook or event is a mistake of the caller."""
    async with org() as world:
        hook = await world.hook("one.test", "user.lifecycle.create")
        world.receivers["one.test"].answers = [401]
        refused = (await preview(world, hook=hook, event="user.lifecycle.create")).json()
        mistakes = [
            await preview(world, hook="who1", event="user.lifecycle.create"),
            await preview(world, hook=hook, event="event_hook.created"),
            await preview(world, hook=hook),
        ]
        assert world.simulator.hooks.as_json()["sent"] == 0
    assert (refused["delivered"], refused["status"], refused["why"]) == (False, 401, "HTTP 401")
    assert [answer.status_code for answer in mistakes] == [404, 400, 400]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The least HTTP server that proves itself."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    [challenge] = [line.partition(": ")[2] for line in head.splitlines() if line.lower().startswith("x-okta-verif")]
    body = f'{{"verification":"{challenge}"}}'
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
    await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def https_receiver(authority: trustme.CA) -> AsyncIterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with await asyncio.start_server(echo, "127.0.0.1", 0, ssl=context) as server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_receiver_with_a_certificate_of_its_own_is_reached_by_its_authority(tmp_path, trusted):
    """hook_ca_file makes the org trust a local authority; without it the receiver cannot be verified."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    ca_file = tmp_path / "ca.pem" if trusted else None
    async with https_receiver(authority) as url, in_process(Settings(hook_ca_file=ca_file)) as (_, okta):
        answer = await okta.post("/_sim/hook", json={"url": url})
    assert answer.status_code == (200 if trusted else 400)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_authority_that_cannot_be_read_is_told(tmp_path, content):
    """A CA file that is not there, or holds something else, keeps the org from starting, with its name."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SimulatorError, match=r"cannot use .*ca\.pem: .*--hook-ca"):
        Simulator(Settings(hook_ca_file=path))
