"""The simulated org's budgets: of the whole org, of each caller, and of calls at a time."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from oauth_caller import NOW, Caller, settings
from rosterhook.simulator import Settings, in_process
from rosterhook.simulator.limits import RateLimits

USERS = "/api/v1/users"


async def another(okta) -> dict[str, str]:
    """The header with a new API token."""
    return {"Authorization": f"SSWS {(await okta.post('/_sim/tokens', json={})).json()['token']}"}


def numbers(answer) -> tuple[int, str, str]:
    """Status, limit, remaining."""
    return answer.status_code, answer.headers["x-rate-limit-limit"], answer.headers["x-rate-limit-remaining"]


async def test_a_caller_has_half_of_each_limit():
    """A caller may spend its share, is told that as its limit, and leaves the other half to others."""
    async with in_process(Settings(rate_limits={"users": 4}), clock=lambda: NOW) as (_, okta):
        answers = [await okta.get(USERS) for _ in range(3)]
        assert [numbers(each) for each in answers] == [(200, "2", "1"), (200, "2", "0"), (429, "2", "0")]
        assert answers[2].json()["errorCode"] == "E0000047"
        assert numbers(await okta.get(USERS, headers=await another(okta))) == (200, "2", "1")


async def test_the_org_has_a_limit_beyond_all_shares():
    """Several callers together cannot spend more than the org has, whatever their own limit says."""
    async with in_process(Settings(rate_limits={"users": 4}), clock=lambda: NOW) as (_, okta):
        callers = [await another(okta) for _ in range(3)]
        statuses = [(await okta.get(USERS, headers=who)).status_code for _ in range(2) for who in callers]
        assert statuses == [200, 200, 200, 200, 429, 429]
        last = await okta.get(USERS, headers=callers[1])
    assert numbers(last) == (429, "2", "0")


async def test_an_app_has_a_budget_of_its_own():
    """An OAuth app and an API token don't spend from each other."""
    async with in_process(settings(rate_limits={"users": 4}), clock=lambda: NOW) as (_, okta):
        token = await Caller(okta).token()
        for _ in range(2):
            assert (await okta.get(USERS)).status_code == 200
        assert (await okta.get(USERS)).status_code == 429
        assert numbers(await Caller(okta).get(USERS, token)) == (200, "2", "1")


async def test_a_strangers_call_counts_for_the_org_alone():
    """Who isn't known is counted, and told the org's limit."""
    async with in_process(Settings(), clock=lambda: NOW) as (_, okta):
        stranger = await okta.get(USERS, headers={"Authorization": "SSWS wrong"})
        assert numbers(stranger) == (401, "600", "599")
        assert numbers(await okta.get(USERS)) == (200, "300", "299")


async def test_buckets_are_those_of_okta():
    """Lists, users by id, the log and the rest have the limits of a workforce org, halved for one caller."""
    paths = {"users": "300", "users/x": "1000", "logs": "60", "eventHooks": "600", "groups": "250", "groups/x": "500"}
    async with in_process(Settings(), clock=lambda: NOW) as (_, okta):
        told = {path: (await okta.get(f"/api/v1/{path}")).headers["x-rate-limit-limit"] for path in paths}
    assert told == paths


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 30)), max_size=60))
def test_no_window_holds_more_than_its_limit(calls):
    """However calls are spread over callers and time, no window lets through more than the share or the limit."""
    now = [1000.0]
    limits = RateLimits(Settings(rate_limits={"users": 8}, rate_window_seconds=60), lambda: now[0])
    passed: dict[Any, int] = {}
    windows: dict[str | None, float] = {}
    for who, pause in calls:
        now[0] += pause
        allowance = limits.spend("users", who)
        assert allowance.limit == 4
        assert 0 <= allowance.remaining <= 4
        for each in (None, who):
            if now[0] >= windows.get(each, 0.0) + 60:
                windows[each], passed[each] = now[0], 0
            passed[each] += not allowance.exceeded
        assert passed[None] <= 8
        assert passed[who] <= 4


def test_a_clock_that_is_put_back_starts_a_new_window():
    """A fault that ends must not leave a limit used up for as long as the clock was ahead."""
    now = [NOW + 19800]
    limits = RateLimits(Settings(rate_limits={"users": 1}), lambda: now[0])
    limits.spend("users")
    assert limits.spend("users").exceeded
    now[0] = NOW
    assert not limits.spend("users").exceeded


async def test_too_many_calls_at_a_time_are_refused():
    """The call over the concurrency limit is 429 with limit and remaining 0; afterwards there is room again."""
    async with in_process(Settings(concurrency=3, rate_multiplier=10)) as (_, okta):
        answers = await asyncio.gather(*(okta.get(USERS) for _ in range(5)))
        refused = [answer for answer in answers if answer.status_code == 429]
        assert 0 < len(refused) <= 2
        assert {numbers(answer) for answer in refused} == {(429, "0", "0")}
        assert refused[0].json()["errorCode"] == "E0000047"
        assert (await okta.get(USERS)).status_code == 200


async def test_crowding_is_a_fault_too():
    """concurrency_429 refuses without a crowd, until it is cleared."""
    async with in_process(Settings()) as (_, okta):
        await okta.post("/_sim/faults", json={"concurrency_429": 1})
        assert numbers(await okta.get(USERS)) == (429, "0", "0")
        await okta.delete("/_sim/faults")
        assert (await okta.get(USERS)).status_code == 200


async def test_the_log_tells_once_of_a_limit_that_is_neared_and_of_one_that_is_passed():
    """At 60 % a warning, at the first refusal a violation, once a window, for the caller's share and for the org."""
    now, heard = [NOW], []
    settings = Settings(rate_limits={"users": 10}, principal_share=0.5)
    async with in_process(settings, clock=lambda: now[0]) as (simulator, okta):
        simulator.org.on_event = heard.append
        for _ in range(8):
            await okta.get(USERS)
        await okta.get(USERS, headers=await another(okta))
        told = [(each["eventType"].rsplit(".", 1)[1], each["debugContext"]["debugData"]) for each in heard]
        assert [(what, data["rateLimitScopeType"], data["threshold"]) for what, data in told] == [
            ("warning", "PRINCIPAL", "5"), ("violation", "PRINCIPAL", "5"), ("warning", "ORG", "10"),
        ]  # fmt: skip
        assert heard[0]["target"][0]["id"] == USERS
        assert told[0][1]["warningPercent"] == "60"
        now[0] += 60
        for _ in range(3):
            await okta.get(USERS)
    assert len(heard) == 4
