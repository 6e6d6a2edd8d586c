"""The simulated org's event hooks against Okta's API description, its catalogue, and recorded exchanges."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
import yaml
from openapi import DESCRIPTION, SHARED, Description
from starlette.requests import Request
from starlette.responses import JSONResponse

from rosterhook.simulator import Settings, in_process
from rosterhook.simulator.errors import OktaError
from rosterhook.simulator.events import KINDS
from rosterhook.simulator.hooks.eligible import OFFERED
from rosterhook.simulator.hooks.rules import wanted

RECORDED = SHARED / "samples" / "tf__EventHookVerification_crud_oie-00.yaml"
RECORDED_2020 = SHARED / "samples" / "sdk-python__TestEventHooksResource.test_delete_event_hook.yaml"
CATALOGUE = SHARED / "catalogue" / "event-types.json"
OFFERED_FILE = SHARED / "catalogue" / "event-hook-eligible.users-groups-apps.json"
EXAMPLES = SHARED / "samples" / "openapi-examples.json"

pytestmark = pytest.mark.skipif(not DESCRIPTION.exists(), reason=f"Okta's API description is not at {DESCRIPTION}")

HOOKS, HOOK = "/api/v1/eventHooks", "/api/v1/eventHooks/{eventHookId}"
BODY: dict[str, Any] = {
    "name": "A hook",
    "events": {"type": "EVENT_TYPE", "items": ["user.lifecycle.create"]},
    "channel": {
        "type": "HTTP",
        "version": "1.0.0",
        "config": {
            "uri": "https://receiver.test/",
            "headers": [{"key": "X-Other", "value": "v"}],
            "authScheme": {"type": "HEADER", "key": "Authorization", "value": "secret"},
        },
    },
}


async def receiver(scope: Any, receive: Any, send: Any) -> None:
    challenge = Request(scope).headers.get("x-okta-verification-challenge", "")
    await JSONResponse({"verification": challenge})(scope, receive, send)


@pytest.fixture(scope="module")
def description():
    return Description()


@pytest.fixture
async def okta():
    async with in_process(hook_transport=httpx2.ASGITransport(receiver)) as (_, client):
        yield client


async def test_every_answer_about_hooks_is_as_described(description, okta):
    """Create, list, read, verify, replace, the steps and delete have the statuses and bodies of the description."""
    made = await okta.post(HOOKS, json=BODY)
    one = f"{HOOKS}/{made.json()['id']}"
    filtered = {**BODY, "events": json.loads(EXAMPLES.read_text("utf-8"))["CreateAnEventHookWithFilter"]["events"]}
    answers = [
        (made, HOOKS),
        (await okta.post(HOOKS, json={**filtered, "name": "Filtered"}), HOOKS),
        (await okta.post(HOOKS, json={}), HOOKS),
        (await okta.post(HOOKS, json=BODY), HOOKS),
        (await okta.post(f"{one}/lifecycle/verify"), f"{HOOK}/lifecycle/verify"),
        (await okta.get(HOOKS), HOOKS),
        (await okta.put(one, json={**filtered, "description": "why"}), HOOK),
        (await okta.put(one, json={**BODY, "name": ""}), HOOK),
        (await okta.get(one), HOOK),
        (await okta.delete(one), HOOK),
        (await okta.post(f"{one}/lifecycle/deactivate"), f"{HOOK}/lifecycle/deactivate"),
        (await okta.post(f"{one}/lifecycle/verify"), f"{HOOK}/lifecycle/verify"),
        (await okta.post(f"{one}/lifecycle/activate"), f"{HOOK}/lifecycle/activate"),
        (await okta.post(f"{one}/lifecycle/deactivate"), f"{HOOK}/lifecycle/deactivate"),
        (await okta.delete(one), HOOK),
        (await okta.get(one), HOOK),
        (await okta.post(f"{one}/lifecycle/verify"), f"{HOOK}/lifecycle/verify"),
    ]
    statuses = [answer.status_code for answer, _ in answers]
    assert statuses == [200, 200, 400, 400, 200, 200, 200, 400, 200, 403, 200, 400, 200, 200, 204, 404, 404]
    for answer, path in answers:
        assert description.complaints(answer, path) == [], answer.text


async def test_the_description_can_complain_of_a_hook(description):
    """A status and a channel that Okta doesn't have are not accepted, so that silence means something."""
    request = httpx2.Request("GET", "http://x/")
    wrong = httpx2.Response(200, request=request, json={"status": "GONE", "channel": {"type": "X"}, "name": 1})
    assert len(description.complaints(wrong, HOOK)) >= 3


def exchanges() -> Iterator[tuple[str, str, Any, int, Any]]:
    """Method, URL, body, status and answer of each recorded exchange, in order."""
    for each in yaml.safe_load(RECORDED.read_text("utf-8"))["interactions"]:
        asked, answered = each["request"], each["response"]
        sent = json.loads(asked["body"]) if asked.get("body") else None
        yield asked["method"], asked["url"], sent, answered["code"], json.loads(answered["body"] or "null")


def nameless(body: Any, hook_id: str, base_url: str) -> Any:
    """Without what differs from run to run: the id, the host and the times; which times are equal stays."""
    if body is None:
        return None
    text = json.dumps(body).replace(hook_id, "ID").replace(base_url, "BASE")
    shown = json.loads(text)
    shown["changed"] = shown.pop("created") != shown.pop("lastUpdated")
    shown.pop("createdBy")
    return shown


@pytest.mark.skipif(not RECORDED.exists(), reason="no recorded exchanges")
async def test_a_recorded_life_of_a_hook_is_repeated():
    """The requests that Okta was sent, in their order, get the answers that Okta gave, key by key and link by link."""
    now = [1_000_000.0]
    ids: dict[str, str] = {}
    transport = httpx2.ASGITransport(receiver)
    async with in_process(Settings(), clock=lambda: now[0], hook_transport=transport) as (simulator, okta):
        for method, url, sent, status, theirs in exchanges():
            now[0] += 3
            parts = urlsplit(url)
            path = parts.path
            for known, own in ids.items():
                path = path.replace(known, own)
            answer = await okta.request(method, path, json=sent)
            assert answer.status_code == status, (method, path, answer.text)
            ours = answer.json() if answer.content else None
            if not ids:
                ids[theirs["id"]] = ours["id"]
            [(their_id, our_id)] = ids.items()
            expected = nameless(theirs, their_id, f"{parts.scheme}://{parts.netloc}")
            assert nameless(ours, our_id, simulator.url) == expected, (method, path)
    assert status == 204


@pytest.mark.skipif(not RECORDED_2020.exists(), reason="no recorded exchanges")
async def test_a_hook_that_is_not_there_is_told_in_the_recorded_words(okta):
    """After its deletion Okta names the kind of resource as it did in the recording."""
    last = yaml.safe_load(RECORDED_2020.read_text("utf-8"))["interactions"][-1]
    hook_id = last["request"]["uri"].rpartition("/")[2]
    theirs = json.loads(last["response"]["body"]["string"])
    answer = await okta.get(f"{HOOKS}/{hook_id}")
    ours = answer.json()
    assert answer.status_code == last["response"]["status"]["code"]
    assert {**ours, "errorId": ""} == {**theirs, "errorId": ""}


def catalogue() -> Iterator[tuple[str, bool]]:
    """Each event type of Okta's catalogue, and whether hooks may have it."""

    def nodes(node: Any) -> Iterator[dict[str, Any]]:
        if isinstance(node, dict) and "id" in node and "schema" in node:
            yield node
        elif isinstance(node, dict | list):
            for each in node.values() if isinstance(node, dict) else node:
                yield from nodes(each)

    for node in nodes(json.loads(CATALOGUE.read_text("utf-8"))):
        yield node["id"], "event-hook-eligible" in node["tags"]


def accepted(event_type: str) -> bool:
    try:
        wanted({**BODY, "events": {"type": "EVENT_TYPE", "items": [event_type]}}, allow_http=False)
    except OktaError:
        return False
    return True


@pytest.mark.skipif(not CATALOGUE.exists(), reason="no catalogue of event types")
def test_every_eligible_event_type_can_be_subscribed_to():
    """No type of the catalogue that Okta marks as eligible for event hooks is refused."""
    eligible = [event_type for event_type, hook in catalogue() if hook]
    assert len(eligible) > 300
    assert [event_type for event_type in eligible if not accepted(event_type)] == []


@pytest.mark.skipif(not CATALOGUE.exists(), reason="no catalogue of event types")
def test_what_is_refused_is_in_the_log_only():
    """A type of users, groups and imports that a sync would miss by hooks alone cannot be subscribed to."""
    refused = [event_type for event_type, _ in catalogue() if not accepted(event_type)]
    assert {"user.lifecycle.delete.completed", "user.account.expire_password", "system.import.user.update"} <= set(
        refused
    )
    assert len(refused) > 30


@pytest.mark.skipif(not CATALOGUE.exists(), reason="no catalogue of event types")
def test_what_the_simulator_delivers_is_what_okta_delivers():
    """Each of its event types is in the catalogue, and eligible for hooks there as here."""
    known = dict(catalogue())
    assert {name: known.get(name) for name in KINDS} == {name: kind.eligible for name, kind in KINDS.items()}


@pytest.mark.skipif(not OFFERED_FILE.exists(), reason="no catalogue of event types")
def test_what_a_hook_in_one_step_subscribes_to_is_the_catalogues():
    """All that is eligible about users, groups and applications, nothing else; all that is made here is in it."""
    offered = {each["id"] for each in json.loads(OFFERED_FILE.read_text())}
    assert set(OFFERED) == offered
    assert len(OFFERED) == len(offered)
    assert {name for name, kind in KINDS.items() if kind.eligible} <= offered
