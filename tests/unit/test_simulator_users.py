"""The simulated org's users: their life cycle, as Okta's users API shows it."""

from __future__ import annotations

import httpx2
import pytest

from rosterhook.simulator import Settings, in_process

PERSON = {"firstName": "Zoë", "lastName": "O'Connor", "login": "Zoe@example.com", "email": "zoe@example.com"}
WITH_PASSWORD = {"profile": PERSON, "credentials": {"password": {"value": "secret"}}}


@pytest.fixture
async def okta():
    async with in_process(Settings(index_lag_seconds=0)) as (_, client):
        yield client


async def created(okta: httpx2.AsyncClient, activate: str = "true", **body: object) -> dict:
    answer = await okta.post("/api/v1/users", params={"activate": activate}, json=body or WITH_PASSWORD)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def step(okta: httpx2.AsyncClient, user_id: str, name: str) -> httpx2.Response:
    return await okta.post(f"/api/v1/users/{user_id}/lifecycle/{name}")


async def status(okta: httpx2.AsyncClient, user_id: str) -> str:
    return (await okta.get(f"/api/v1/users/{user_id}")).json()["status"]


async def test_a_created_user_starts_where_okta_starts_it(okta):
    """A new user is ACTIVE with a password, PROVISIONED without one, STAGED when not activated."""
    assert (await created(okta))["status"] == "ACTIVE"
    others = [{**PERSON, "login": f"{n}@example.com"} for n in "ab"]
    assert (await created(okta, profile=others[0]))["status"] == "PROVISIONED"
    assert (await created(okta, "false", profile=others[1]))["status"] == "STAGED"


async def test_a_user_looks_like_a_recorded_one(okta):
    """A user has Okta's id, whole-second stamps, the two attributes that are always shown, and its address twice."""
    user = await created(okta)
    assert user["id"].startswith("00u")
    assert len(user["id"]) == 20
    assert user["lastUpdated"].endswith(".000Z")
    assert user["profile"] == {**PERSON, "mobilePhone": None, "secondEmail": None}
    assert user["credentials"] == {
        "password": {},
        "emails": [{"value": PERSON["email"], "status": "VERIFIED", "type": "PRIMARY"}],
        "provider": {"type": "OKTA", "name": "OKTA"},
    }


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], "suspend resetPassword forgotPassword expirePassword changeRecoveryQuestion changePassword deactivate"),
        (["suspend"], "unsuspend deactivate"),
        (["deactivate"], "activate"),
        (["deactivate", "activate"], "reactivate deactivate"),
    ],
)
async def test_one_user_has_a_link_for_each_next_step(okta, steps, expected):
    """Alone a user links to its type, its schema and what may be done with it in its status; in a list to itself."""
    user = await created(okta)
    for name in steps:
        await step(okta, user["id"], name)
    links = (await okta.get(f"/api/v1/users/{user['id']}")).json()["_links"]
    assert set(links) - {"resetFactors"} == {"self", "schema", "type", *expected.split()}
    assert links["deactivate" if "deactivate" in links else "activate"]["href"].startswith(links["self"]["href"])
    assert links["schema"]["href"].rpartition("osc")[2] == links["type"]["href"].rpartition("oty")[2]
    [listed] = (await okta.get("/api/v1/users", params={"search": "id pr"})).json()
    assert listed["_links"] == {"self": links["self"]}


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (["suspend"], "SUSPENDED"),
        (["suspend", "unsuspend"], "ACTIVE"),
        (["expire_password"], "PASSWORD_EXPIRED"),
        (["reset_password"], "RECOVERY"),
        (["reset_password", "reactivate"], "PROVISIONED"),
        (["deactivate"], "DEPROVISIONED"),
        (["deactivate", "activate"], "PROVISIONED"),
    ],
)
async def test_life_cycle_steps_lead_to_oktas_statuses(okta, steps, expected):
    """Each allowed step answers 200 and leads to the status that Okta's description names."""
    user = await created(okta)
    answers = [await step(okta, user["id"], name) for name in steps]
    assert [answer.status_code for answer in answers] == [200] * len(steps)
    assert await status(okta, user["id"]) == expected


@pytest.mark.parametrize(
    ("name", "http_status", "code"),
    [
        ("activate", 403, "E0000016"),
        ("reactivate", 403, "E0000038"),
        ("unsuspend", 400, "E0000001"),
        ("unlock", 403, "E0000032"),
        ("lock", 404, "E0000008"),
    ],
)
async def test_a_step_that_is_not_allowed_changes_nothing(okta, name, http_status, code):
    """A step from the wrong status is refused with Okta's code, and the user stays as it was."""
    user = await created(okta)
    answer = await step(okta, user["id"], name)
    assert (answer.status_code, answer.json()["errorCode"]) == (http_status, code)
    assert (await okta.get(f"/api/v1/users/{user['id']}")).json() == user


async def test_suspending_the_suspended_is_refused(okta):
    """Suspend is for ACTIVE users alone: the second time is a 400."""
    user = await created(okta)
    await step(okta, user["id"], "suspend")
    answer = await step(okta, user["id"], "suspend")
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "E0000001")


async def test_deleting_takes_two_steps(okta):
    """The first DELETE deactivates, the second makes the user unknown."""
    user = await created(okta)
    path = f"/api/v1/users/{user['id']}"
    assert (await okta.delete(path)).status_code == 204
    assert await status(okta, user["id"]) == "DEPROVISIONED"
    assert (await okta.delete(path)).status_code == 204
    gone = await okta.get(path)
    assert (gone.status_code, gone.json()["errorCode"]) == (404, "E0000007")
    assert gone.json()["errorSummary"] == f"Not found: Resource not found: {user['id']} (User)"
    assert (await okta.delete(path)).status_code == 404


async def test_a_deleted_users_login_is_free_again(okta):
    """Somebody new may take the login of who was deleted for good."""
    user = await created(okta)
    for _ in range(2):
        await okta.delete(f"/api/v1/users/{user['id']}")
    assert (await created(okta))["id"] != user["id"]


async def test_a_user_is_found_by_login_whatever_its_case(okta):
    """GET takes a login instead of the id, in any case of letters."""
    user = await created(okta)
    assert (await okta.get("/api/v1/users/ZOE@EXAMPLE.COM")).json() == user


async def test_a_partial_update_keeps_what_it_does_not_name(okta):
    """POST changes the named attributes, null takes one away, custom ones of any type are kept."""
    user = await created(okta, profile={**PERSON, "title": "Lead", "skills": ["c++"], "badge": 12.5, "remote": False})
    changes = {"firstName": "Zoé", "title": None}
    answer = await okta.post(f"/api/v1/users/{user['id']}", json={"profile": changes})
    profile = answer.json()["profile"]
    assert profile["firstName"] == "Zoé"
    assert "title" not in profile
    assert (profile["lastName"], profile["skills"], profile["badge"], profile["remote"]) == (
        "O'Connor",
        ["c++"],
        12.5,
        False,
    )


async def test_a_replacement_forgets_what_it_does_not_name(okta):
    """PUT replaces the whole profile."""
    user = await created(okta, profile={**PERSON, "title": "Lead"})
    answer = await okta.put(f"/api/v1/users/{user['id']}", json={"profile": PERSON})
    assert answer.json()["profile"] == {**PERSON, "mobilePhone": None, "secondEmail": None}


async def test_a_password_ends_an_activation(okta):
    """Who was PROVISIONED becomes ACTIVE with a password."""
    user = await created(okta, profile=PERSON)
    answer = await okta.post(f"/api/v1/users/{user['id']}", json={"credentials": {"password": {"value": "x"}}})
    assert answer.json()["status"] == "ACTIVE"


async def test_every_broken_rule_is_a_cause(okta):
    """A profile without its four required attributes is refused with one cause for each."""
    answer = await okta.post("/api/v1/users", json={"profile": {"firstName": "A"}})
    assert answer.status_code == 400
    body = answer.json()
    assert set(body) == {"errorCode", "errorSummary", "errorLink", "errorId", "errorCauses"}
    assert body["errorCode"] == body["errorLink"] == "E0000001"
    assert [cause["errorSummary"].split(":")[0] for cause in body["errorCauses"]] == ["lastName", "login", "email"]


async def test_a_login_belongs_to_one_user(okta):
    """A login that is taken is refused, on create and on update, whatever its case."""
    await created(okta)
    other = await created(okta, profile={**PERSON, "login": "other@example.com"})
    again = await okta.post("/api/v1/users", json={"profile": {**PERSON, "login": "ZOE@example.com"}})
    renamed = await okta.post(f"/api/v1/users/{other['id']}", json={"profile": {"login": "zoe@example.com"}})
    for answer in (again, renamed):
        assert (answer.status_code, answer.json()["errorCode"]) == (400, "E0000001")


@pytest.mark.parametrize(
    ("method", "path", "body", "http_status", "code"),
    [
        ("POST", "/api/v1/users", b"{", 400, "E0000003"),
        ("POST", "/api/v1/users", b"[]", 400, "E0000003"),
        ("PATCH", "/api/v1/users", b"", 405, "E0000022"),
        ("GET", "/api/v1/nothing", b"", 404, "E0000008"),
        ("GET", "/api/v1/users?limit=none", b"", 400, "E0000001"),
        ("GET", "/api/v1/users?after=!", b"", 400, "E0000001"),
    ],
)
async def test_a_wrong_call_gets_oktas_error(okta, method, path, body, http_status, code):
    """What cannot be understood is answered in Okta's error shape, not in the server's."""
    answer = await okta.request(method, path, content=body)
    assert (answer.status_code, answer.json()["errorCode"]) == (http_status, code)


@pytest.mark.parametrize("sent", ["sim-token", "SSWS wrong", "ssws sim-token", "SSWS"])
async def test_only_the_token_opens_the_api(okta, sent):
    """Without the right token every call is 401 E0000011."""
    answer = await okta.get("/api/v1/users", headers={"Authorization": sent})
    assert (answer.status_code, answer.json()["errorCode"]) == (401, "E0000011")
    assert answer.json()["errorSummary"] == "Invalid token provided"


async def test_the_tutorials_user_is_there_first():
    """With test_user the org begins with the tutorial's user under the id that the tutorial uses."""
    async with in_process(Settings(test_user=True, users=2)) as (_, okta):
        users = (await okta.get("/api/v1/users")).json()
    assert [len(users), users[0]["id"], users[0]["status"]] == [3, "1234", "ACTIVE"]
    assert users[0]["profile"]["login"] == users[0]["profile"]["email"] == "testuser@doesnotexit.com"
    assert users[0]["profile"]["mobilePhone"] == "111-222-3333"


async def test_the_same_seed_makes_the_same_org():
    """Two orgs with one seed are equal, and differ from one with another seed."""
    people = []
    for seed in (7, 7, 8):
        async with in_process(Settings(seed=seed, users=20), clock=lambda: 1_700_000_000.0) as (_, okta):
            people.append((await okta.get("/_sim/truth")).json())
    assert people[0] == people[1] != people[2]
