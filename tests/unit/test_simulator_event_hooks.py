"""Okta's API of event hooks, as the simulated org has it: create, read, replace, the steps of life, the rules."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from hook_receiver import Receiver

from rosterhook.simulator import Settings, Simulator, in_process

HOOKS = "/api/v1/eventHooks"
TYPES = ["user.lifecycle.create", "user.lifecycle.delete.initiated", "user.account.update_profile"]


def wanted(name: str = "A hook", uri: str = "https://receiver.test/okta", **config: Any) -> dict[str, Any]:
    """A body that Okta takes."""
    scheme = {"type": "HEADER", "key": "Authorization", "value": "a secret"}
    return {
        "name": name,
        "events": {"type": "EVENT_TYPE", "items": TYPES},
        "channel": {
            "type": "HTTP", "version": "1.0.0", "config": {"uri": uri, "authScheme": scheme, **config},
        },
    }  # fmt: skip


@contextlib.asynccontextmanager
async def org(**settings: Any) -> AsyncIterator[tuple[Simulator, httpx2.AsyncClient, Receiver]]:
    """An org whose hooks all reach one receiver."""
    receiver = Receiver()
    chosen = Settings(**{"hook_timeout_seconds": 0.5, "batch_seconds": 0, **settings})
    async with in_process(chosen, hook_transport=httpx2.ASGITransport(receiver)) as (simulator, okta):
        yield simulator, okta, receiver


async def made(okta: httpx2.AsyncClient, **wants: Any) -> str:
    """A hook's URL."""
    answer = await okta.post(HOOKS, json=wanted(**wants))
    assert answer.status_code == 200, answer.text
    return f"{HOOKS}/{answer.json()['id']}"


async def test_a_created_hook_is_active_and_unverified():
    """The answer is 200 with id, status and links; the secret is in no answer."""
    async with org() as (_, okta, _):
        answer = await okta.post(HOOKS, json={**wanted(), "status": "INACTIVE"})
        hook = answer.json()
        assert answer.status_code == 200
        assert (hook["status"], hook["verificationStatus"]) == ("ACTIVE", "UNVERIFIED")
        assert hook["id"].startswith("who")
        assert hook["channel"]["config"] == {
            "uri": "https://receiver.test/okta",
            "headers": [],
            "method": "POST",
            "authScheme": {"type": "HEADER", "key": "Authorization"},
        }
        assert set(hook["_links"]) == {"self", "verify", "deactivate"}
        listed = await okta.get(HOOKS)
        one = await okta.get(f"{HOOKS}/{hook['id']}")
    assert listed.json() == [hook] == [one.json()]
    assert "a secret" not in listed.text


async def test_event_types_come_back_in_oktas_order():
    """Not as they were sent, and without doubles: the order is that of a recorded replace."""
    async with org() as (_, okta, _):
        body = wanted()
        body["events"]["items"] = [*TYPES, TYPES[0]]
        items = (await okta.post(HOOKS, json=body)).json()["events"]["items"]
    assert items == ["user.lifecycle.create", "user.account.update_profile", "user.lifecycle.delete.initiated"]


async def test_verification_asks_the_receiver_with_what_a_delivery_has():
    """The challenge comes with the secret and the custom headers, and its echo makes the hook VERIFIED."""
    async with org() as (_, okta, receiver):
        url = await made(okta, headers=[{"key": "X-Other", "value": "v"}])
        answer = await okta.post(f"{url}/lifecycle/verify")
        assert (answer.status_code, answer.json()["verificationStatus"]) == (200, "VERIFIED")
        assert (await okta.get(url)).json() == answer.json()
    [asked] = receiver.verifications
    assert (asked["authorization"], asked["x-other"]) == ("a secret", "v")


async def test_a_failed_verification_is_told_in_oktas_words():
    """After two wrong echoes: 400 with the hook's name in the cause, and the hook stays UNVERIFIED."""
    async with org() as (_, okta, receiver):
        receiver.echo = lambda _: {"verification": "no"}
        url = await made(okta, name="My hook")
        answer = await okta.post(f"{url}/lifecycle/verify")
        assert (answer.status_code, answer.json()["errorCode"]) == (400, "E0000001")
        assert answer.json()["errorSummary"] == "Api validation failed: eventHook"
        assert answer.json()["errorCauses"] == [
            {"errorSummary": "Unable to verify event hook. Hook My hook execution failed"}
        ]
        assert (await okta.get(url)).json()["verificationStatus"] == "UNVERIFIED"
    assert len(receiver.verifications) == 2


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, "VERIFIED"),
        ({"uri": "https://elsewhere.test/"}, "UNVERIFIED"),
        ({"headers": [{"key": "X-New", "value": "v"}]}, "UNVERIFIED"),
        ({"authScheme": {"type": "HEADER", "key": "Authorization", "value": "new"}}, "UNVERIFIED"),
    ],
)
async def test_another_channel_has_to_be_verified_again(change, status):
    """A replace keeps VERIFIED only while address, headers and secret are the same."""
    async with org() as (_, okta, _):
        url = await made(okta)
        await okta.post(f"{url}/lifecycle/verify")
        answer = await okta.put(url, json={**wanted("Renamed", **change), "description": "why"})
        assert (answer.status_code, answer.json()["verificationStatus"]) == (200, status)
        found = (await okta.get(url)).json()
    assert (found["status"], found["name"], found["description"]) == ("ACTIVE", "Renamed", "why")


async def test_a_replace_answers_with_the_old_time_of_change():
    """Recorded: `lastUpdated` is the old one in the answer of the PUT, and the new one in the next GET."""
    now = [1_000_000.0]
    async with in_process(Settings(), clock=lambda: now[0]) as (_, okta):
        url = await made(okta)
        now[0] += 60
        answer = await okta.put(url, json=wanted())
        found = (await okta.get(url)).json()
    assert answer.json()["lastUpdated"] == found["created"] < found["lastUpdated"]


async def test_an_org_may_unverify_with_every_replace():
    """Where a PUT of the same channel counts as a change, which Okta does not document, it is UNVERIFIED."""
    async with org(hook_put_unverifies=True) as (_, okta, _):
        url = await made(okta)
        await okta.post(f"{url}/lifecycle/verify")
        assert (await okta.put(url, json=wanted())).json()["verificationStatus"] == "UNVERIFIED"


async def test_a_replace_without_the_secret_is_refused():
    """The value of authScheme is never shown, so a caller that sends back what it read is told."""
    async with org() as (_, okta, _):
        url = await made(okta)
        answer = await okta.put(url, json=(await okta.get(url)).json())
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "E0000001")
    assert "authScheme.value" in answer.json()["errorSummary"]


async def test_the_steps_of_a_hooks_life():
    """Deactivated it keeps its verification and has the recorded links; a step that is done already is fine."""
    async with org() as (_, okta, _):
        url = await made(okta)
        await okta.post(f"{url}/lifecycle/verify")
        off = [await okta.post(f"{url}/lifecycle/deactivate") for _ in range(2)]
        refused = await okta.post(f"{url}/lifecycle/verify")
        on = [await okta.post(f"{url}/lifecycle/activate") for _ in range(2)]
    assert [answer.status_code for answer in (*off, *on)] == [200] * 4
    assert off[0].json() == off[1].json()
    assert (off[0].json()["status"], off[0].json()["verificationStatus"]) == ("INACTIVE", "VERIFIED")
    assert set(off[0].json()["_links"]) == {"activate", "self", "delete"}
    assert (refused.status_code, refused.json()["errorCode"]) == (400, "E0000001")
    assert (on[0].json()["status"], on[0].json()["verificationStatus"]) == ("ACTIVE", "VERIFIED")


async def test_only_an_inactive_hook_can_be_deleted():
    """DELETE is refused while it is ACTIVE, and 204 after it was deactivated; then Okta knows no such webhook."""
    async with org() as (_, okta, _):
        url = await made(okta)
        assert (await okta.delete(url)).status_code == 403
        await okta.post(f"{url}/lifecycle/deactivate")
        gone = await okta.delete(url)
        assert (gone.status_code, gone.content) == (204, b"")
        answers = [
            await okta.get(url), await okta.put(url, json=wanted()), await okta.delete(url),
            *[await okta.post(f"{url}/lifecycle/{step}") for step in ("activate", "deactivate", "verify")],
        ]  # fmt: skip
        assert (await okta.get(HOOKS)).json() == []
    assert {(answer.status_code, answer.json()["errorCode"]) for answer in answers} == {(404, "E0000007")}
    hook_id = url.rpartition("/")[2]
    assert answers[0].json()["errorSummary"] == f"Not found: Resource not found: {hook_id} (Webhook)"


def events(**changes: Any) -> dict[str, Any]:
    return {"events": {"type": "EVENT_TYPE", "items": TYPES, **changes}}


def channel(**changes: Any) -> dict[str, Any]:
    return {"channel": {**wanted()["channel"], **changes}}


def config(**changes: Any) -> dict[str, Any]:
    return {"channel": wanted(**changes)["channel"]}


def scheme(**changes: Any) -> dict[str, Any]:
    return config(authScheme={"type": "HEADER", "key": "Authorization", "value": "v", **changes})


def filtered(expression: Any, event: str = TYPES[0]) -> dict[str, Any]:
    conditions = [{"event": event, "condition": {"expression": expression}}]
    return events(filter={"type": "EXPRESSION_LANGUAGE", "eventFilterMap": conditions})


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"name": "Taken"}, "name"),
        ({"description": 5}, "description"),
        ({"events": None}, "events"),
        (events(type="OTHER"), "events.type"),
        (events(items=[]), "events.items"),
        (events(items=[f"user.type{number}.made" for number in range(301)]), "events.items"),
        (events(items=["user lifecycle"]), "events.items"),
        (events(items=["user.lifecycle.delete.completed"]), "events.items"),
        (events(items=["event_hook.delivery"]), "events.items"),
        (filtered("event.eventType"), "events.filter.eventFilterMap.condition.expression"),
        (filtered("event.eventType eq 'x'", "user.lifecycle.suspend"), "events.filter.eventFilterMap"),
        (channel(type="AMQP"), "channel.type"),
        (channel(version="2"), "channel.version"),
        (channel(config=None), "channel.config"),
        (config(uri="http://receiver.test/okta"), "channel.config.uri"),
        (config(uri="https://receiver.test/a b"), "channel.config.uri"),
        (config(uri="https:///okta"), "channel.config.uri"),
        (config(uri="https://receiver.test/" + "x" * 1024), "channel.config.uri"),
        (config(headers={"X": "v"}), "channel.config.headers"),
        (config(headers=[{"key": "ACCEPT", "value": "text/plain"}]), "channel.config.headers"),
        (config(headers=[{"key": "X-Okta-Thing", "value": "v"}]), "channel.config.headers"),
        (config(headers=[{"key": "X Y", "value": "v"}]), "channel.config.headers"),
        (config(headers=[{"key": "X", "value": "a\r\nB: c"}]), "channel.config.headers"),
        (scheme(type="BASIC"), "channel.config.authScheme.type"),
        (scheme(key=""), "channel.config.authScheme.key"),
        (scheme(value=None), "channel.config.authScheme.value"),
        (scheme(value="sécret"), "channel.config.authScheme.value"),
    ],
)
async def test_a_hook_against_the_rules_is_refused(change, field):
    """Each rule of Okta's is a validation error that names the field, for a create and for a replace."""
    async with org() as (_, okta, _):
        await made(okta, name="Taken")
        url = await made(okta)
        answers = [await okta.post(HOOKS, json={**wanted("Other"), **change})]
        answers.append(await okta.put(url, json={**wanted(), **change}))
        assert len((await okta.get(HOOKS)).json()) == 2
    for answer in answers:
        assert (answer.status_code, answer.json()["errorCode"]) == (400, "E0000001")
        assert answer.json()["errorSummary"] == f"Api validation failed: {field}"
        assert answer.json()["errorCauses"][0]["errorSummary"].startswith(f"{field}: ")


async def test_a_body_that_is_none_is_no_well_formed_request():
    """Neither nothing nor half a JSON document makes a hook."""
    async with org() as (_, okta, _):
        answers = [await okta.post(HOOKS), await okta.post(HOOKS, content=b'{"name":')]
    assert {answer.json()["errorCode"] for answer in answers} == {"E0000003"}


async def test_http_is_allowed_where_the_settings_say_so():
    """For tries on loopback a hook may have an http address."""
    async with org(allow_http_hooks=True) as (_, okta, _):
        await made(okta, uri="http://127.0.0.1:8787/okta/events")


async def test_a_filter_is_kept_as_the_description_shows_it():
    """It comes back with the condition's version, which Okta sets."""
    expression = "event.target.?[type eq 'User'].size() > 0"
    async with org() as (_, okta, _):
        answer = await okta.post(HOOKS, json={**wanted(), **filtered(expression)})
    assert answer.json()["events"]["filter"] == {
        "type": "EXPRESSION_LANGUAGE",
        "eventFilterMap": [{"event": TYPES[0], "condition": {"version": None, "expression": expression}}],
    }


async def test_there_are_25_active_and_verified_hooks_at_most():
    """One more can be made, but neither verified nor activated until another one goes."""
    async with org(rate_multiplier=10) as (_, okta, _):
        urls = [await made(okta, name=f"Hook {number}") for number in range(26)]
        statuses = [(await okta.post(f"{url}/lifecycle/verify")).status_code for url in urls]
        assert statuses == [200] * 25 + [400]
        await okta.post(f"{urls[0]}/lifecycle/deactivate")
        assert (await okta.post(f"{urls[-1]}/lifecycle/verify")).status_code == 200
        assert (await okta.post(f"{urls[0]}/lifecycle/activate")).status_code == 400
        found = (await okta.get(HOOKS)).json()
    assert sum(hook["status"] == "ACTIVE" and hook["verificationStatus"] == "VERIFIED" for hook in found) == 25


async def test_a_hook_that_changes_while_it_is_asked_is_not_verified():
    """An echo from the old address proves nothing about the new one."""
    async with org() as (simulator, okta, receiver):
        url = await made(okta)

        def echo(challenge: str) -> dict[str, str]:
            hook = simulator.hooks.get(url.rpartition("/")[2])
            simulator.hooks.deactivate(hook.id)
            return {"verification": challenge}

        receiver.echo = echo
        answer = await okta.post(f"{url}/lifecycle/verify")
        assert answer.status_code == 400
        assert (await okta.get(url)).json()["verificationStatus"] == "UNVERIFIED"


async def test_each_change_of_a_hook_is_in_the_log():
    """Created, updated, verified or not, deactivated, activated, deleted: with the hook as target."""
    async with org() as (simulator, okta, receiver):
        told: list[dict[str, Any]] = []
        keep, simulator.org.on_event = simulator.org.on_event, lambda event: (told.append(event), keep(event))[1]
        url = await made(okta)
        await okta.post(f"{url}/lifecycle/verify")
        await okta.put(url, json=wanted(uri="https://elsewhere.test"))
        receiver.echo = lambda _: {}
        await okta.post(f"{url}/lifecycle/verify")
        for step in ("deactivate", "activate", "deactivate"):
            await okta.post(f"{url}/lifecycle/{step}")
        await okta.delete(url)
    names = [event["eventType"].removeprefix("event_hook.") for event in told]
    assert names == [
        "created", "verified", "updated", "verified", "deactivated", "activated", "deactivated", "deleted",
    ]  # fmt: skip
    assert [event["outcome"]["result"] for event in told].index("FAILURE") == 3
    hook_id = url.rpartition("/")[2]
    assert {event["target"][0]["id"] for event in told} == {hook_id}


def through_json(dumped: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(dumped))
    return found


async def test_hooks_survive_a_restart():
    """What `dump` wrote makes the same hooks, with their secrets and filters, in another org."""
    async with org() as (before, okta, _):
        await okta.post(
            HOOKS, json={**wanted(headers=[{"key": "X", "value": "v"}]), **filtered("event.actor.id ne ''")}
        )
        await okta.post(f"{await made(okta, name='Other')}/lifecycle/verify")
        shown, dumped = (await okta.get(HOOKS)).json(), through_json(before.hooks.dump())
    async with org(seed=2) as (after, okta, receiver):
        after.hooks.load(dumped)
        again = (await okta.get(HOOKS)).json()
        await okta.post(f"{HOOKS}/{again[0]['id']}/lifecycle/verify")
        assert through_json(after.hooks.dump())["hooks"][0]["channel"] == dumped["hooks"][0]["channel"]
    host = [text.replace("simulated.okta.example", "") for text in (str(shown), str(again))]
    assert host[0] == host[1]
    assert receiver.verifications[0]["authorization"] == "a secret"
