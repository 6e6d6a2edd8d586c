"""The simulated org's rate limits and API faults."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import pytest

from rosterhook.simulator import Settings, in_process

NOW = 1_700_000_000.25


async def test_every_answer_tells_the_limit():
    """The caller's limit, remaining and reset, a request id and a date are on good and bad answers alike."""
    async with in_process(Settings(users=1), clock=lambda: NOW) as (_, okta):
        answers = [await okta.get("/api/v1/users"), await okta.get("/api/v1/users/none")]
    headers = [answer.headers for answer in answers]
    assert [h["x-rate-limit-limit"] for h in headers] == ["300", "1000"]
    assert [h["x-rate-limit-remaining"] for h in headers] == ["299", "999"]
    assert {h["x-rate-limit-reset"] for h in headers} == {"1700000061"}
    assert {int(parsedate_to_datetime(h["date"]).timestamp()) for h in headers} == {1_700_000_000}
    assert len({h["x-okta-request-id"] for h in headers}) == 2


async def test_a_used_up_limit_is_429_until_the_window_ends():
    """The call over the limit is 429 E0000047, in its bucket alone, until the reset that the headers name."""
    now = [NOW]
    settings = Settings(users=1, rate_limits={"users": 2}, principal_share=1)
    async with in_process(settings, clock=lambda: now[0]) as (_, okta):
        answers = [await okta.get("/api/v1/users") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[2].json()["errorCode"] == "E0000047"
        assert answers[2].headers["x-rate-limit-remaining"] == "0"
        assert (await okta.get("/api/v1/users/none")).status_code == 404
        now[0] = float(answers[2].headers["x-rate-limit-reset"])
        assert (await okta.get("/api/v1/users")).status_code == 200


async def test_the_multiplier_scales_every_bucket():
    """One number makes all limits larger or smaller."""
    async with in_process(Settings(rate_multiplier=0.5)) as (_, okta):
        answer = await okta.get("/api/v1/users/none")
    assert answer.headers["x-rate-limit-limit"] == "500"


@pytest.mark.parametrize(
    ("fault", "http_status", "code"),
    [
        ({"outage": True}, 503, "E0000010"),
        ({"status_500": 1}, 500, "E0000009"),
        ({"status_429": 1}, 429, "E0000047"),
        ({"concurrency_429": 1}, 429, "E0000047"),
    ],
)
async def test_api_faults_come_and_go(fault, http_status, code):
    """A fault breaks the API in Okta's shape until it is cleared; the control paths go on."""
    async with in_process(Settings()) as (_, okta):
        shown = (await okta.post("/_sim/faults", json=fault)).json()
        assert shown.items() >= fault.items()
        answer = await okta.get("/api/v1/users")
        assert (answer.status_code, answer.json()["errorCode"]) == (http_status, code)
        assert (await okta.delete("/_sim/faults")).status_code == 200
        assert (await okta.get("/api/v1/users")).status_code == 200


async def test_faults_are_merged():
    """What a second request doesn't name stays as it was."""
    async with in_process(Settings()) as (_, okta):
        await okta.post("/_sim/faults", json={"drop": 0.5})
        await okta.post("/_sim/faults", json={"delay": {"probability": 1, "seconds": 2}})
        plan = (await okta.get("/_sim/faults")).json()
    assert (plan["drop"], plan["delay"]) == (0.5, {"probability": 1.0, "seconds": 2.0})


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"dropp": 1}, "no such fault: dropp; there are"),
        ({"drop": 2}, "drop is a probability"),
        ({"outage": "yes"}, "outage is true or false"),
        ({"refuse_cursors": 1}, "refuse_cursors is true or false"),
        ({"lost_role": "false"}, "lost_role is true or false"),
        ({"revoke_tokens": "no"}, "revoke_tokens is true or false"),
        ({"latency_ms": -1}, "latency_ms is a number, 0 or more"),
        ({"late_seconds": "5"}, "late_seconds is a number, 0 or more"),
        ({"late_rows": 3}, "late_rows is a probability"),
        ({"delay": {"seconds": -1}}, "delay.seconds is a number, 0 or more"),
        ({"clock_skew_seconds": "1h"}, "clock_skew_seconds is a number"),
        ({"clock_skew_seconds": None}, "clock_skew_seconds is a number"),
        ({"lost_scope": ["okta.user.read"]}, "no such scope: okta.user.read"),
        ({"lost_scope": 3}, "lost_scope is a list of scopes"),
        ({"drop": "often"}, "drop is a probability"),
        ({"delay": 3}, "delay is"),
    ],
)
async def test_a_fault_that_does_not_exist_is_refused(fault, reason):
    """A mistyped fault is told with its reason, not ignored."""
    async with in_process(Settings()) as (_, okta):
        answer = await okta.post("/_sim/faults", json=fault)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(reason)


async def test_calls_are_counted():
    """Tests can see how many calls were made, where, and how they ended; control paths don't count."""
    async with in_process(Settings(users=1)) as (_, okta):
        await okta.get("/api/v1/users")
        await okta.get("/api/v1/users/none")
        await okta.get("/api/v1/users/none")
        calls = (await okta.get("/_sim/calls")).json()
    assert calls == {"total": 3, "by_bucket": {"users": 1, "user": 2}, "by_status": {"200": 1, "404": 2}}


def test_other_machines_are_kept_out():
    """The control paths ask for no password, so a host that others reach must be allowed in so many words."""
    with pytest.raises(ValueError, match="allow_remote"):
        Settings(host="0.0.0.0")
    assert Settings(host="0.0.0.0", allow_remote=True).allow_remote
    assert Settings(host="::1").host == "::1"
