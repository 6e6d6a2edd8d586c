"""The simulated System Log and groups against Okta's own API description, and against recorded answers of real orgs."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import jsonschema
import pytest
from openapi import DESCRIPTION, SHARED, Description, absolute

from rosterhook.simulator import Settings, in_process

SYSTEM_LOG = SHARED / "syslog" / "criblpacks__cribl-okta-rest.ndjson"
LOG_CALLS = SHARED / "users" / "JupiterOne__graph-okta.exchanges.ndjson"
RECORDED = SHARED / "users" / "okta__okta-sdk-python.exchanges.ndjson"

pytestmark = pytest.mark.skipif(not DESCRIPTION.exists(), reason=f"Okta's API description is not at {DESCRIPTION}")


@pytest.fixture(scope="module")
def description():
    return Description()


@pytest.fixture
async def okta():
    async with in_process(Settings(index_lag_seconds=0, users=30)) as (_, client):
        await client.post("/_sim/traffic", json={"changes": 300, "seed": 3})
        while (await client.get("/_sim/traffic")).json()["running"]:
            pass
        yield client


def without_nulls(node: Any) -> Any:
    """The description forbids most nulls that real answers have, and allows to leave them out (okta-facts 5.6)."""
    if isinstance(node, list):
        return [without_nulls(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {key: without_nulls(value) for key, value in node.items() if value is not None}


def complaints(description: Description, schema: str, value: Any) -> list[str]:
    """What a schema of the description has against a value."""
    found = absolute(description.document["components"]["schemas"][schema])
    validator = jsonschema.Draft202012Validator(found, registry=description.registry)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(without_nulls(value))]


def shape(node: Any) -> Any:
    """The keys, all the way down; a list has the shape of its first entry."""
    if isinstance(node, dict):
        return {key: shape(value) for key, value in node.items() if value is not None}
    return [shape(each) for each in node[:1]] if isinstance(node, list) else None


def lines(path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


async def test_every_logged_event_is_as_described(description, okta):
    """All that traffic leaves in the log fits Okta's LogEvent."""
    events = (await okta.get("/api/v1/logs", params={"limit": "1000"})).json()
    assert len({event["eventType"] for event in events}) > 10
    assert [each for event in events for each in complaints(description, "LogEvent", event)] == []


def test_the_description_of_an_event_can_complain(description):
    """A result that Okta doesn't have is not accepted, so that silence means something."""
    assert complaints(description, "LogEvent", {"outcome": {"result": "GREAT"}, "target": {}}) != []


@pytest.mark.parametrize(
    "params",
    [{"limit": "1001"}, {"after": "!"}, {"since": "x"}, {"q": "x" * 41}, {"filter": "nothing eq 1"}],
    ids=lambda params: next(iter(params)),
)
async def test_refusals_of_the_log_are_as_described(description, okta, params):
    """A mistake is answered with an error as described."""
    answer = await okta.get("/api/v1/logs", params=params)
    assert answer.status_code == 400
    assert description.complaints(answer, "/api/v1/logs") == []


@pytest.mark.skipif(not SYSTEM_LOG.exists(), reason="no recorded log")
async def test_an_event_has_the_keys_of_a_recorded_one(okta):
    """Key for key, and in the same order, an event looks like that of a real org."""
    real = next(each for each in lines(SYSTEM_LOG) if each["eventType"] == "application.user_membership.add")
    ours = (await okta.get("/api/v1/logs", params={"filter": f'eventType eq "{real["eventType"]}"'})).json()[0]
    assert list(ours) == list(real)
    for part in ("actor", "client", "outcome", "securityContext", "transaction", "request", "debugContext"):
        assert list(ours[part]) == list(real[part])
    assert sorted(each["type"] for each in ours["target"]) == sorted(each["type"] for each in real["target"])
    assert {tuple(each) for each in ours["target"]} == {tuple(each) for each in real["target"]}
    # A root session is newer than the rest.
    assert set(ours["authenticationContext"]) == set(real["authenticationContext"]) - {"rootSessionId"}


@pytest.mark.skipif(not LOG_CALLS.exists(), reason="no recorded calls")
async def test_recorded_calls_of_the_log_get_links_like_theirs():
    """A real client's two calls are understood, and the links name the same parameters in the same order."""
    calls = [each for each in lines(LOG_CALLS) if "/api/v1/logs" in each["url"]]
    assert len(calls) == 2
    # On the day of the recording: the calls ask for two months before it.
    async with in_process(Settings(), clock=lambda: 1_658_862_453.66) as (simulator, okta):
        simulator.create_users(1)
        for call in calls:
            asked = dict(parse_qsl(urlsplit(call["url"]).query))
            asked["filter"] = asked["filter"].replace("application.lifecycle.update", "user.lifecycle.create")
            answer = await okta.get(
                "/api/v1/logs", params={**asked, "filter": asked["filter"].replace("_new_", "users")}
            )
            assert answer.status_code == 200, answer.text
            assert bool(answer.json()) == bool(call["body"])
            ours = [names(link) for link in answer.headers.get_list("link")]
            assert ours == [names(link) for header in call["headers"]["link"] for link in header.split(", ")]
            cursor = dict(parse_qsl(urlsplit(answer.links["next"]["url"]).query))["after"]
            assert re.fullmatch(r"1658862453660_\d", cursor)


def names(link: str) -> tuple[list[str], str]:
    """The parameters of a Link header, in order, and what it is."""
    url, _, rel = link.partition(">")
    return [name for name, _ in parse_qsl(urlsplit(url.strip("<")).query)], rel.strip("; ")


async def test_groups_are_as_described(description, okta):
    """Every group, alone, in the list and among a user's, fits Okta's Group."""
    made = await okta.post("/api/v1/groups", json={"profile": {"name": "Zürich", "description": None}})
    listed = (await okta.get("/api/v1/groups", params={"expand": "stats"})).json()
    user_id = (await okta.get("/api/v1/users", params={"limit": "1"})).json()[0]["id"]
    mine = await okta.get(f"/api/v1/users/{user_id}/groups")
    assert [each for group in [made.json(), *listed] for each in complaints(description, "Group", group)] == []
    assert description.complaints(mine, "/api/v1/users/{id}/groups") == []
    assert complaints(description, "Group", {"type": "MY_GROUP"}) != []


async def test_members_are_as_described(description, okta):
    """The answers to list, add and remove are those of the description, for known and for unknown groups."""
    group_id = (await okta.post("/api/v1/groups", json={"profile": {"name": "Zürich"}})).json()["id"]
    user_id = (await okta.get("/api/v1/users", params={"limit": "1"})).json()[0]["id"]
    for known in (group_id, "00gNone"):
        path = f"/api/v1/groups/{known}/users"
        one = "/api/v1/groups/{groupId}/users/{userId}"
        assert description.complaints(await okta.put(f"{path}/{user_id}"), one) == []
        assert description.complaints(await okta.get(path), "/api/v1/groups/{groupId}/users") == []
        assert description.complaints(await okta.delete(f"{path}/{user_id}"), one) == []


@pytest.mark.skipif(not RECORDED.exists(), reason="no recorded exchanges")
async def test_groups_have_the_shape_of_recorded_ones(okta):
    """A user's groups and a group's members have exactly the keys that a real org sent, and a like link."""
    exchanges = lines(RECORDED)
    user_id = (await okta.get("/api/v1/users", params={"limit": "1"})).json()[0]["id"]
    theirs = next(each for each in exchanges if re.fullmatch(r".*/users/00u\w+/groups", each["url"]))
    ours = await okta.get(f"/api/v1/users/{user_id}/groups")
    assert shape(ours.json()) == shape(theirs["body"])
    assert [names(each) for each in ours.headers.get_list("link")] == [
        names(each) for each in theirs["headers"]["link"]
    ]
    group_id = ours.json()[0]["id"]
    theirs = next(each for each in exchanges if re.fullmatch(r".*/groups/00g\w+/users", each["url"]))
    ours = await okta.get(f"/api/v1/groups/{group_id}/users")
    assert [names(each) for each in ours.headers.get_list("link")] == [
        names(each) for each in theirs["headers"]["link"]
    ]


@pytest.mark.skipif(not RECORDED.exists(), reason="no recorded exchanges")
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "lifecycle/expire_password_with_temp_password", None),
        ("POST", "credentials/change_password", {"oldPassword": {"value": "a"}, "newPassword": {"value": "b"}}),
        ("POST", "credentials/change_recovery_question", {"recovery_question": {"question": "q", "answer": "a"}}),
        ("POST", "credentials/forgot_password?sendEmail=false", None),
        ("POST", "lifecycle/reset_password?sendEmail=false", None),
        ("GET", "blocks", None),
    ],
)
async def test_what_hangs_below_a_user_answers_as_recorded(okta, method, path, body):
    """Passwords, questions and a feature that is off have the status and the keys of a real org's answers."""
    pattern = re.compile(r"https://[^/]+//?api/v1/users/00u[^/]*/" + re.escape(path))
    theirs = next(each for each in lines(RECORDED) if each["method"] == method and pattern.fullmatch(each["url"]))
    person = {"firstName": "A", "lastName": "B", "login": "a@example.com", "email": "a@example.com"}
    credentials = {"password": {"value": "x"}, "recovery_question": {"question": "who?", "answer": "me"}}
    if path == "credentials/change_password":
        del credentials["recovery_question"]
    made = await okta.post("/api/v1/users", json={"profile": person, "credentials": credentials})
    url = f"/api/v1/users/{made.json()['id']}/{path}"
    ours: httpx2.Response = await okta.request(method, url, json=body)
    assert ours.status_code == theirs["status"]
    assert shape(ours.json()) == shape(theirs["body"])
