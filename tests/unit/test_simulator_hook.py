"""The simulated org's event hook: its proof, its deliveries, its one retry, and its faults."""

from __future__ import annotations

import asyncio

import httpx2
import pytest
from hook_receiver import SECRET, URL, Receiver, hooked, settled, until

from rosterhook.okta.events import SUBSCRIBED
from rosterhook.simulator import Settings, in_process, world


async def test_a_hook_proves_itself_before_it_gets_anything():
    """Verification is a GET with challenge, agent and secret; an event before it is never delivered."""
    receiver = Receiver()
    async with in_process(Settings(batch_seconds=0), hook_transport=httpx2.ASGITransport(receiver)) as (org, okta):
        org.create_users(3)
        answer = await okta.post(
            "/_sim/hook", json={"url": URL, "header": "X-Key", "secret": SECRET, "headers": {"A": "b"}}
        )
        assert (answer.json()["status"], answer.json()["verificationStatus"]) == ("ACTIVE", "VERIFIED")
        assert SECRET not in answer.text
        await settled(org)
    assert receiver.requests == []
    [asked] = receiver.verifications
    assert (asked["user-agent"], asked["x-key"], asked["a"]) == ("Okta-Integrations", SECRET, "b")


@pytest.mark.parametrize(
    "echo", [lambda _: {"verification": "other"}, lambda c: c, lambda c: {"verification": c, "x": 1}]
)
async def test_a_hook_that_cannot_prove_itself_gets_nothing(echo):
    """A wrong answer to the challenge, twice, is Okta's validation error, and no event is delivered."""
    async with hooked() as (simulator, okta, receiver):
        receiver.verifications.clear()
        receiver.echo = echo
        answer = await okta.post("/_sim/hook", json={"url": URL})
        assert (answer.status_code, answer.json()["errorCode"]) == (400, "E0000001")
        assert "Unable to verify event hook" in answer.json()["errorCauses"][0]["errorSummary"]
        assert len(receiver.verifications) == 2
        assert (await okta.get("/_sim/hook")).json()["verificationStatus"] == "UNVERIFIED"
        simulator.create_users(1)
        assert simulator.hooks.pending == 0
    assert receiver.requests == []


async def test_a_hook_is_one_of_the_orgs_and_stays_the_same_one():
    """Set again it keeps its id, but has to prove itself again; Okta's API shows it among the others."""
    async with hooked() as (_, okta, receiver):
        before = (await okta.get("/_sim/hook")).json()
        receiver.echo = lambda _: {}
        assert (await okta.post("/_sim/hook", json={"url": URL, "secret": SECRET})).status_code == 400
        after = (await okta.get("/_sim/hook")).json()
        [listed] = (await okta.get("/api/v1/eventHooks")).json()
    assert (before["verificationStatus"], after["verificationStatus"]) == ("VERIFIED", "UNVERIFIED")
    assert (listed["id"], listed["verificationStatus"]) == (before["id"], "UNVERIFIED")


async def test_a_hook_of_the_settings_is_asked_until_it_answers():
    """A hook in the settings may come up later than the org; the first users are announced once it has."""
    receiver = Receiver()
    receiver.echo = lambda c: {"verification": c if len(receiver.verifications) > 3 else ""}
    settings = Settings(hook_url=URL, hook_secret=SECRET, users=3, announce=True, batch_seconds=0)
    async with in_process(settings, hook_transport=httpx2.ASGITransport(receiver)) as (simulator, _):
        await settled(simulator)
    created = [event for event in receiver.events if event["eventType"] == "user.lifecycle.create"]
    assert len(created) == 3


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (404, "HTTP 404"),
        (None, "no answer within 0.1 s"),
        (httpx2.ConnectError("Connection refused"), "could not connect: Connection refused"),
        (200, 'HTTP 200, but the body is not {"verification": "<the challenge>"}'),
    ],
)
async def test_a_hook_of_the_settings_that_never_answers_is_told(answer, why, monkeypatch, caplog):
    """After a minute one line says why, and neither its password nor its query."""
    monkeypatch.setattr(world, "VERIFY_FOR_SECONDS", 0.01)
    monkeypatch.setattr(world, "VERIFY_EVERY_SECONDS", 0.001)

    async def owner(_request: httpx2.Request) -> httpx2.Response:
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            await asyncio.Event().wait()
        return httpx2.Response(answer, text="hello")

    settings = Settings(hook_url="http://me:hush@receiver.test/okta?key=hush", hook_timeout_seconds=0.1)
    async with in_process(settings, hook_transport=httpx2.MockTransport(owner)):
        await until(lambda: bool(caplog.records))
    assert [each.getMessage() for each in caplog.records] == [
        f"the hook at http://receiver.test/okta did not verify: {why}"
    ]


async def test_a_hook_that_was_removed_meanwhile_is_not_waited_for(monkeypatch, caplog):
    """Who deletes the hook of the settings before it has proved itself hears nothing of it later."""
    monkeypatch.setattr(world, "VERIFY_EVERY_SECONDS", 0.001)
    receiver = Receiver()
    receiver.echo = lambda _: {}
    settings = Settings(hook_url=URL, announce=True, users=1, batch_seconds=0)
    async with in_process(settings, hook_transport=httpx2.ASGITransport(receiver)) as (simulator, okta):
        await until(lambda: bool(receiver.verifications))
        assert (await okta.delete("/_sim/hook")).status_code == 204
        await settled(simulator)
    assert caplog.records == []


async def test_a_failed_proof_says_what_came_back():
    """Beside Okta's words, which name no reason, the control path has one."""
    async with hooked() as (_, okta, receiver):
        receiver.echo = lambda _: {}
        answer = (await okta.post("/_sim/hook", json={"url": URL})).json()
    assert answer["why"].startswith("HTTP 200, but the body is not")


async def test_a_hook_in_one_step_subscribes_to_all_that_a_sync_needs():
    """It lists every type that the service subscribes to, and gets one that nothing in this org makes by preview."""
    async with hooked() as (simulator, okta, receiver):
        [hook] = simulator.hooks
        assert set(SUBSCRIBED) <= set(hook.items)
        body = {"hook": hook.id, "event": "user.account.unlock_by_admin"}
        assert (await okta.post("/_sim/preview", json=body)).json()["delivered"] is True
    assert [event["eventType"] for event in receiver.events] == ["user.account.unlock_by_admin"]


async def test_a_delivery_looks_like_oktas():
    """Headers and envelope are those that Okta documents, and each event names its user."""
    async with hooked() as (simulator, _, receiver):
        user = simulator.org.create(
            {"firstName": "A", "lastName": "Ö", "login": "a@x.com", "email": "a@x.com"}, password=True
        )
        await settled(simulator)
    [(headers, body)] = receiver.requests
    hook_id = body["source"].rpartition("/")[2]
    assert headers["user-agent"] == f"Okta Hook Service v1.0.0 - {hook_id}"
    assert (headers["authorization"], headers["content-type"]) == (SECRET, "application/json")
    assert set(body) == {
        "eventType", "eventTypeVersion", "cloudEventsVersion", "source", "eventId", "data", "eventTime", "contentType",
    }  # fmt: skip
    assert [event["eventType"] for event in receiver.events] == ["user.lifecycle.create", "user.lifecycle.activate"]
    target = {"id": user["id"], "type": "User", "alternateId": "a@x.com", "displayName": "A Ö", "detailEntry": None}
    assert [event["target"] for event in receiver.events] == [[target], [target]]
    debug = receiver.events[0]["debugContext"]["debugData"]
    assert debug["targetEventHookIds"] == hook_id


async def test_an_update_names_what_changed_and_a_lock_is_a_failure():
    """update_profile lists the names of the attributes; lock has the outcome that real ones have."""
    async with hooked() as (simulator, _, receiver):
        user_id = simulator.org.create(
            {"firstName": "A", "lastName": "B", "login": "a@x.com", "email": "a@x.com"}, password=True
        )["id"]
        simulator.org.update(user_id, {"title": "Lead", "city": "Here", "lastName": "B"})
        simulator.org.step(user_id, "lock")
        await settled(simulator)
    update, lock = receiver.events[-2:]
    assert update["debugContext"]["debugData"]["changedAttributes"] == "city,title"
    assert lock["outcome"] == {"result": "FAILURE", "reason": "LOCKED_OUT"}


async def test_events_of_a_moment_share_a_delivery_up_to_the_most():
    """What happens within batch_seconds comes together, in order, at most max_batch in one body."""
    async with hooked(max_batch=4, batch_seconds=0.05) as (simulator, _, receiver):
        simulator.create_users(5)
        await settled(simulator)
        total = simulator.org.events
    sizes = [len(body["data"]["events"]) for _, body in receiver.requests]
    assert max(sizes) == 4
    assert len(sizes) == -(-total // 4)
    assert len(set(receiver.uuids)) == total


@pytest.mark.parametrize("failure", [500, 503, None])
async def test_a_failed_delivery_is_tried_once_more(failure):
    """After a 5xx or no answer in time the same delivery comes again, with the same eventId."""
    async with hooked() as (simulator, _, receiver):
        receiver.answers = [failure]
        simulator.org.update(next(iter(simulator.org))["id"], {"city": "There"})
        tally = await settled(simulator)
    assert (tally["sent"], tally["acknowledged"], tally["attempts"]) == (1, 1, 2)
    assert receiver.requests[0][1] == receiver.requests[1][1]


async def test_after_two_failures_a_delivery_is_lost():
    """There is one retry, not two."""
    async with hooked() as (simulator, _, receiver):
        receiver.answers = [500, 500]
        simulator.org.update(next(iter(simulator.org))["id"], {"city": "There"})
        tally = await settled(simulator)
    assert (tally["lost"], tally["acknowledged"], len(receiver.requests)) == (1, 0, 2)


@pytest.mark.parametrize("refusal", [400, 401, 404, 429, 302, 201])
async def test_what_is_no_failure_is_never_tried_again(refusal):
    """A 4xx is final, and so is any other answer that is neither success nor 5xx."""
    async with hooked(patient=True) as (simulator, _, receiver):
        receiver.answers = [refusal]
        simulator.org.update(next(iter(simulator.org))["id"], {"city": "There"})
        tally = await settled(simulator)
    assert (tally["refused"], tally["lost"], len(receiver.requests)) == (1, 0, 1)


async def test_a_patient_hook_is_tried_until_it_accepts():
    """With `patient` nothing is lost to a receiver that is away for a while."""
    async with hooked(patient=True) as (simulator, _, receiver):
        receiver.answers = [500, 503, 500]
        simulator.org.update(next(iter(simulator.org))["id"], {"city": "There"})
        tally = await settled(simulator)
    assert (tally["acknowledged"], tally["lost"], tally["attempts"]) == (1, 0, 4)


async def test_a_receiver_that_is_not_there_is_a_failure_too():
    """A refused connection is tried once more, and then the delivery is lost."""
    async with hooked() as (simulator, _, receiver):
        receiver.answers = [ConnectionError(), ConnectionError()]
        simulator.org.update(next(iter(simulator.org))["id"], {"city": "There"})
        tally = await settled(simulator)
    assert (tally["acknowledged"], tally["lost"], tally["attempts"]) == (0, 1, 2)


async def test_dropped_deliveries_are_never_sent():
    """drop=1 keeps every delivery from the receiver, and the tally says so."""
    async with hooked() as (simulator, okta, receiver):
        await okta.post("/_sim/faults", json={"drop": 1})
        simulator.create_users(3)
        tally = await settled(simulator)
    assert receiver.requests == []
    assert tally["dropped"] >= 1
    assert (tally["sent"], tally["lost"]) == (0, 0)


async def test_duplicates_come_in_a_later_delivery():
    """duplicate=1 delivers each event twice, in two deliveries with an eventId each."""
    async with hooked() as (simulator, okta, receiver):
        await okta.post("/_sim/faults", json={"duplicate": 1})
        simulator.create_users(3)
        await settled(simulator)
        total = simulator.org.events
    assert len(receiver.uuids) == 2 * total
    assert len(set(receiver.uuids)) == total
    for _, body in receiver.requests:
        own = [event["uuid"] for event in body["data"]["events"]]
        assert len(own) == len(set(own))


async def test_reordered_events_are_overtaken_but_not_lost():
    """reorder lets later events arrive first, and each exactly once."""
    async with hooked(max_batch=1) as (simulator, okta, receiver):
        await okta.post("/_sim/faults", json={"reorder": 0.5})
        user_id = next(iter(simulator.org))["id"]
        for number in range(30):
            simulator.org.update(user_id, {"title": f"Step {number}"})
        await settled(simulator)
    published = [event["published"] for event in receiver.events]
    assert len(set(receiver.uuids)) == len(published) == 30
    assert published != sorted(published)


async def test_a_removed_hook_gets_nothing_more():
    """After DELETE of the hook nothing waits for delivery."""
    async with hooked() as (simulator, okta, receiver):
        assert (await okta.delete("/_sim/hook")).status_code == 204
        simulator.create_users(2)
        assert simulator.hooks.pending == 0
        assert (await okta.get("/_sim/hook")).status_code == 404
    assert receiver.requests == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "url is missing"),
        ({"url": URL, "secrets": "x"}, "no such key: secrets; there are"),
        ({"url": "ftp://x"}, "url is an address that begins with http:// or https://"),
        ({"url": "http://user:hush@"}, "url is an address"),
        ({"url": URL, "max_batch": 0}, "max_batch is a whole number, 1 or more"),
        ({"url": URL, "batch_seconds": -1}, "batch_seconds is a number, 0 or more"),
        ({"url": URL, "patient": "yes"}, "patient is true or false"),
        ({"url": URL, "header": "A B"}, "header is the name of a header"),
        ({"url": URL, "secret": "hush\nhush"}, "secret is text that a header can hold"),
        ({"url": URL, "headers": ["X"]}, "headers is an object"),
        ({"url": URL, "headers": {"A": 1}}, "headers.A is text"),
    ],
)
async def test_a_hook_that_is_misspelt_is_refused(body, reason):
    """A hook without url, with a key that doesn't exist, or with nonsense in one, is told so, without its secrets."""
    async with in_process() as (_, okta):
        answer = await okta.post("/_sim/hook", json=body)
        assert (await okta.get("/api/v1/eventHooks")).json() == []
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(reason)
    assert "hush" not in answer.text
