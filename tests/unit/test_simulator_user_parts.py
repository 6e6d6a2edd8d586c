"""What the simulated users API has beside the life cycle: credentials, groups at the start, projections, order."""

from __future__ import annotations

import httpx2
import pytest

from rosterhook.simulator import Settings, in_process

PERSON = {"firstName": "Zoë", "lastName": "O'Connor", "login": "Zoe@example.com", "email": "zoe@example.com"}
PASSWORD = {"password": {"value": "secret"}}


@pytest.fixture
async def okta():
    async with in_process(Settings(index_lag_seconds=0)) as (simulator, client):
        client.told = []
        simulator.org.on_event = lambda event: client.told.append(event["eventType"])
        yield client


async def created(okta: httpx2.AsyncClient, query: str = "", **body: object) -> dict:
    answer = await okta.post(f"/api/v1/users{query}", json={"profile": PERSON, "credentials": PASSWORD, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_user_may_begin_in_groups(okta):
    """groupIds makes the new user a member, with an event; an unknown group makes nobody."""
    group = (await okta.post("/api/v1/groups", json={"profile": {"name": "Sales"}})).json()
    refused = await okta.post("/api/v1/users", json={"profile": PERSON, "groupIds": ["00gNone"]})
    assert (refused.status_code, (await okta.get("/api/v1/users")).json()) == (404, [])
    user = await created(okta, groupIds=[group["id"]])
    members = (await okta.get(f"/api/v1/groups/{group['id']}/users")).json()
    assert [each["id"] for each in members] == [user["id"]]
    assert okta.told[-1] == "group.user_membership.add"


async def test_a_user_may_begin_with_a_password_to_change(okta):
    """nextLogin=changePassword activates into PASSWORD_EXPIRED."""
    assert (await created(okta, "?activate=true&nextLogin=changePassword"))["status"] == "PASSWORD_EXPIRED"


async def test_a_staged_user_has_no_stamp_of_an_activation(okta):
    """As recorded since 2025: who was never activated has a status since its creation, and may have a password."""
    user = await created(okta, "?activate=false")
    assert (user["status"], user["activated"]) == ("STAGED", None)
    assert user["statusChanged"] == user["passwordChanged"] == user["created"]


async def test_a_recovery_question_is_shown_without_its_answer(okta):
    """The question is in the credentials, and can be changed; the answer is nowhere."""
    secret = {"question": "who?", "answer": "me-or-nobody"}
    user = await created(okta, credentials={**PASSWORD, "recovery_question": secret})
    assert user["credentials"]["recovery_question"] == {"question": "who?"}
    body = {"password": {"value": "secret"}, "recovery_question": {"question": "where?", "answer": "here-or-there"}}
    path = f"/api/v1/users/{user['id']}/credentials/change_recovery_question"
    answer = await okta.post(path, json=body)
    assert answer.json() == {
        "password": {}, "recovery_question": {"question": "where?"}, "provider": {"type": "OKTA", "name": "OKTA"},
    }  # fmt: skip
    assert (await okta.post(path, json={})).status_code == 400


@pytest.mark.parametrize(
    ("before", "path", "status", "after", "event"),
    [
        ("", "credentials/change_password", 200, "ACTIVE", "user.account.update_password"),
        ("reset_password", "credentials/change_password", 200, "ACTIVE", "user.account.update_password"),
        ("suspend", "credentials/change_password", 403, "SUSPENDED", None),
        ("", "credentials/forgot_password?sendEmail=false", 200, "ACTIVE", None),
        ("suspend", "credentials/forgot_password", 403, "SUSPENDED", None),
        ("", "lifecycle/expire_password_with_temp_password", 200, "PASSWORD_EXPIRED", "user.account.expire_password"),
        ("", "lifecycle/reset_factors", 200, "ACTIVE", "user.mfa.factor.reset_all"),
    ],
)
async def test_credentials_lead_where_okta_says(okta, before, path, status, after, event):
    """Each call is allowed in Okta's statuses, leads to Okta's status, and is told if it changed anything."""
    user = await created(okta)
    if before:
        await okta.post(f"/api/v1/users/{user['id']}/lifecycle/{before}")
    okta.told.clear()
    answer = await okta.post(f"/api/v1/users/{user['id']}/{path}")
    assert answer.status_code == status, answer.text
    assert (await okta.get(f"/api/v1/users/{user['id']}")).json()["status"] == after
    assert okta.told == ([event] if event else [])


async def test_what_nobody_has_is_empty(okta):
    """Grants, links, factors, roles and sessions are asked for and absent; a user who is unknown is a 404."""
    user = await created(okta)
    for known, expected in ((user["id"], 200), ("00uNone", 404)):
        for name in ("grants", "appLinks", "factors", "roles"):
            answer = await okta.get(f"/api/v1/users/{known}/{name}")
            assert answer.status_code == expected
            assert expected == 404 or answer.json() == []
        sessions = await okta.delete(f"/api/v1/users/{known}/sessions")
        assert sessions.status_code == (204 if expected == 200 else 404)


async def test_fields_cut_users_down(okta):
    """`fields` leaves the id, the links and what was named, also below the profile."""
    user = await created(okta)
    url = "/api/v1/users?fields=status,profile:(login,%20firstName)"
    [cut] = (await okta.get(url)).json()
    assert cut == {
        "id": user["id"], "status": "ACTIVE", "profile": {"firstName": "Zoë", "login": PERSON["login"]},
        "_links": {"self": user["_links"]["self"]},
    }  # fmt: skip
    refused = await okta.get("/api/v1/users?fields=profile;x")
    assert refused.status_code == 400


async def test_a_search_can_be_sorted_and_paged(okta):
    """sortBy orders a search by one property and then by id, up or down, over all pages."""
    for number in (3, 1, 2):
        await created(okta, profile={**PERSON, "login": f"u{number}@example.com", "nickName": f"N{number}"})
    await created(okta, profile={**PERSON, "login": "nameless@example.com"})
    for order, expected in (("asc", [None, "N1", "N2", "N3"]), ("desc", ["N3", "N2", "N1", None])):
        params = {"search": "id pr", "sortBy": "profile.nickName", "sortOrder": order, "limit": "2"}
        page = await okta.get("/api/v1/users", params=params)
        seen = page.json()
        while "next" in page.links:
            page = await okta.get(page.links["next"]["url"])
            seen += page.json()
        assert [user["profile"].get("nickName") for user in seen] == expected
    wrong = await okta.get("/api/v1/users", params={"search": "id pr", "sortBy": "profile.x.y"})
    assert wrong.status_code == 400
