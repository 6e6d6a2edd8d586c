"""The simulated org's random traffic, and the truth to compare with."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import signal
import sys
from random import Random

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rosterhook.simulator import Settings, in_process, running
from rosterhook.simulator.events import KINDS
from rosterhook.simulator.org import Org
from rosterhook.simulator.people import random_profile
from rosterhook.simulator.traffic import MIX, Changer

#: From Okta's description of each step: what a user may become in one change.
NEXT = {
    "STAGED": {"ACTIVE", "PROVISIONED", "DEPROVISIONED"},
    "PROVISIONED": {"ACTIVE", "DEPROVISIONED"},
    "ACTIVE": {"SUSPENDED", "LOCKED_OUT", "RECOVERY", "PASSWORD_EXPIRED", "DEPROVISIONED"},
    "SUSPENDED": {"ACTIVE", "DEPROVISIONED"},
    "LOCKED_OUT": {"ACTIVE", "RECOVERY", "PASSWORD_EXPIRED", "DEPROVISIONED"},
    "RECOVERY": {"ACTIVE", "PROVISIONED", "PASSWORD_EXPIRED", "DEPROVISIONED"},
    "PASSWORD_EXPIRED": {"ACTIVE", "RECOVERY", "DEPROVISIONED"},
    "DEPROVISIONED": {"ACTIVE", "PROVISIONED"},
}


async def finished(okta: httpx2.AsyncClient) -> dict:
    """Wait until all traffic is done and delivered."""
    async with asyncio.timeout(20):
        while True:
            progress = (await okta.get("/_sim/traffic")).json()
            if not progress["running"] and not progress["deliveries"]["pending"]:
                return progress


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    mix=st.dictionaries(st.sampled_from(sorted({*MIX, "expire_password"})), st.integers(1, 9), min_size=1),
)
def test_traffic_only_takes_steps_that_okta_has(seed, mix):
    """Whatever the mix, no change takes a user to a status that Okta wouldn't, and each one is told."""
    org = Org(Settings(seed=seed), lambda: 1_700_000_000.0)
    events: list[dict] = []
    org.on_event = events.append
    changer = Changer(org, Random(seed), mix, itertools.count().__next__)
    for _ in range(60):
        before = {user["id"]: user["status"] for user in org}
        users, told = list(org), len(events)
        changer.change(again=seed % 2 == 0)
        # Okta has no event for hooks when a password expires.
        assert list(org) == users or len(events) > told or "expire_password" in mix
        for user in org:
            was = before.get(user["id"], user["status"])
            assert user["status"] == was or user["status"] in NEXT[was]
        assert all(before[user_id] == "DEPROVISIONED" for user_id in org.deleted if user_id in before)
    assert {event["eventType"] for event in events} <= set(KINDS)


@given(seed=st.integers())
def test_random_people_are_valid_users(seed):
    """Every random profile is one that Okta takes: short enough, with the four required attributes, in 3-byte UTF-8."""
    profile = random_profile(Random(seed), seed % 1000)
    Org(Settings(), lambda: 0.0).create(profile)
    assert all(ord(letter) < 0x10000 for letter in str(profile))


async def test_the_same_seed_makes_the_same_changes():
    """Traffic is repeatable: seed and start decide every change."""
    truths = []
    for seed in (3, 3, 4):
        async with in_process(Settings(users=20), clock=lambda: 1_700_000_000.0) as (_, okta):
            await okta.post("/_sim/traffic", json={"changes": 200, "seed": seed})
            await finished(okta)
            truths.append((await okta.get("/_sim/truth")).json())
    assert truths[0] == truths[1] != truths[2]


async def test_traffic_counts_what_it_did():
    """Progress says how much is done of how much, and how many events that made."""
    async with in_process(Settings(users=20)) as (simulator, okta):
        answer = await okta.post("/_sim/traffic", json={"changes": 150, "seed": 1})
        assert answer.json()["total"] == 150
        progress = await finished(okta)
    assert (progress["done"], progress["total"], progress["error"]) == (150, 150, None)
    assert progress["events"] == simulator.org.events >= 100


async def test_a_mix_is_all_there_is():
    """With a mix only the named changes happen."""
    async with in_process(Settings(users=20)) as (simulator, okta):
        seen: list[str] = []
        simulator.org.on_event = lambda event: seen.append(event["eventType"])
        await okta.post("/_sim/traffic", json={"changes": 50, "mix": {"group_add": 1, "application_add": 1}})
        await finished(okta)
    assert set(seen) == {"group.user_membership.add", "application.user_membership.add"}


async def test_memberships_change_no_user():
    """A membership leaves the user object as it was, and names the user at no fixed place."""
    async with in_process(Settings(users=5)) as (simulator, okta):
        before = (await okta.get("/_sim/truth")).json()["users"]
        targets: list[tuple[str, ...]] = []
        simulator.org.on_event = lambda event: targets.append(tuple(t["type"] for t in event["target"]))
        mix = {"group_add": 1, "group_remove": 1, "application_add": 1}
        await okta.post("/_sim/traffic", json={"changes": 60, "mix": mix})
        await finished(okta)
        assert (await okta.get("/_sim/truth")).json()["users"] == before
    assert set(targets) == {("User", "UserGroup"), ("UserGroup", "User"), ("AppUser", "AppInstance", "User")}


async def test_endless_traffic_ends_when_told():
    """Traffic without a number goes on until it is deleted, and no second job starts meanwhile."""
    async with in_process(Settings(users=5)) as (simulator, okta):
        await okta.post("/_sim/traffic", json={"changes": 0, "per_second": 500})
        async with asyncio.timeout(5):
            while simulator.traffic.done < 3:
                assert (await okta.get("/_sim/traffic")).json()["running"]
        assert (await okta.post("/_sim/traffic", json={"changes": 1})).status_code == 400
        assert (await okta.delete("/_sim/traffic")).json()["running"] is False


@pytest.mark.parametrize(
    "body",
    [
        *(
            {"mix": {"explode": 1}},
            {"mix": {"update": 0}},
            {"mix": {"update": "x"}},
            {"mix": [1]},
            {"mix": {"update": -1}},
        ),
        *({"changes": -1}, {"changes": 0}, {"changes": "5"}, {"changes": None}, {"changes": True}),
        *({"per_second": 0}, {"per_second": "x"}, {"seed": "x"}, {"rate": 1}),
    ],
)
async def test_traffic_that_makes_no_sense_is_refused(body):
    """A job that cannot be is told so, and none is started."""
    async with in_process(Settings(users=1)) as (simulator, okta):
        assert (await okta.post("/_sim/traffic", json=body)).status_code == 400
        assert not simulator.busy


async def test_truth_is_what_get_by_id_says():
    """The truth has every user, deactivated ones too, as GET by id shows it but for links, and the deleted's ids."""
    async with in_process(Settings(users=30, rate_multiplier=100)) as (_, okta):
        await okta.post("/_sim/traffic", json={"changes": 400, "seed": 5})
        await finished(okta)
        truth = (await okta.get("/_sim/truth")).json()
        for user in truth["users"]:
            one = (await okta.get(f"/api/v1/users/{user['id']}")).json()
            assert {**one, "_links": {"self": one["_links"]["self"]}} == user
        for user_id in truth["deleted"]:
            assert (await okta.get(f"/api/v1/users/{user_id}")).status_code == 404
    assert truth["deleted"]
    assert sum(truth["counts"].values()) == len(truth["users"])
    assert truth["counts"]["DEPROVISIONED"] > 0


async def test_new_users_on_request():
    """POST /_sim/users makes that many users and tells their ids."""
    async with in_process() as (simulator, okta):
        ids = (await okta.post("/_sim/users", json={"count": 4})).json()["ids"]
        assert ids == [user["id"] for user in simulator.org]
        assert (await okta.post("/_sim/users", json={"count": "many"})).status_code == 400
        assert simulator.org.events >= 4


async def test_the_index_names_every_control_path():
    """GET /_sim/ tells a person what there is."""
    async with in_process(Settings(users=2)) as (_, okta):
        answer = (await okta.get("/_sim/")).json()
    assert answer["users"] == 2
    assert {"GET /_sim/truth", "POST /_sim/traffic", "POST /_sim/faults", "POST /_sim/hook"} <= set(answer["paths"])


async def test_running_serves_on_a_port_of_its_own():
    """`running` gives a real address, which links and users name too, with a single Date header."""
    async with running(Settings(users=3)) as simulator, httpx2.AsyncClient(trust_env=False) as client:
        headers = {"Authorization": f"SSWS {simulator.settings.token}"}
        answer = await client.get(f"{simulator.url}/api/v1/users?limit=1", headers=headers)
        assert answer.json()[0]["_links"]["self"]["href"].startswith(simulator.url)
        assert answer.links["next"]["url"].startswith(simulator.url)
        assert len(answer.headers.get_list("date")) == 1
        assert len(simulator.org) == 3


async def test_the_program_says_where_it_is_and_ends_on_sigterm():
    """`python -m rosterhook.simulator` prints its address once it answers, and SIGTERM ends it with 0."""
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "rosterhook.simulator", "--users", "2", stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, env=dict(os.environ),
    )  # fmt: skip
    try:
        assert program.stdout
        line = (await asyncio.wait_for(program.stdout.readline(), 20)).decode()
        match = re.fullmatch(r"simulator listening on (http://127\.0\.0\.1:\d+)\n", line)
        assert match, line
        async with httpx2.AsyncClient(trust_env=False) as client:
            assert (await client.get(f"{match[1]}/_sim/")).json()["users"] == 2
        program.send_signal(signal.SIGTERM)
        _, problems = await asyncio.wait_for(program.communicate(), 20)
    finally:
        if program.returncode is None:
            program.kill()
            await program.wait()
    assert (program.returncode, problems) == (0, b"")


async def test_the_program_refuses_a_host_that_others_reach():
    """Without --allow-remote the program doesn't listen beyond this machine."""
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "rosterhook.simulator", "--host", "0.0.0.0", stderr=asyncio.subprocess.PIPE
    )
    _, problems = await asyncio.wait_for(program.communicate(), 20)
    assert program.returncode == 2
    assert b"--allow-remote" in problems
