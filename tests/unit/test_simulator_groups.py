"""The simulated org's groups and memberships, as Okta's groups API shows them."""

from __future__ import annotations

import contextlib
import json

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rosterhook.simulator import Settings, in_process
from rosterhook.simulator.errors import OktaError
from rosterhook.simulator.events import target
from rosterhook.simulator.groups import Groups
from rosterhook.simulator.org import Org

START = 1_700_000_000.0
PERSON = {"firstName": "Zoë", "lastName": "O'Connor", "login": "Zoe@example.com", "email": "zoe@example.com"}


class World:
    """An org on a clock that stands still, its groups over HTTP, and what was told."""

    def __init__(self, simulator, okta: httpx2.AsyncClient, now: list[float]) -> None:
        self.simulator = simulator
        self.okta = okta
        self.now = now
        self.told: list[dict] = []
        simulator.org.on_event = self.told.append

    async def group(self, name: str = "Sales", **profile: object) -> dict:
        answer = await self.okta.post("/api/v1/groups", json={"profile": {"name": name, **profile}})
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def put(self, group: dict, user_id: str) -> int:
        return (await self.okta.put(f"/api/v1/groups/{group['id']}/users/{user_id}")).status_code

    async def members(self, group: dict, **params: object) -> list[str]:
        answer = await self.okta.get(f"/api/v1/groups/{group['id']}/users", params=params)
        return [user["id"] for user in answer.json()]

    async def names(self, **params: object) -> list[str]:
        answer = await self.okta.get("/api/v1/groups", params=params)
        assert answer.status_code == 200, answer.text
        return [group["profile"]["name"] for group in answer.json()]

    def types(self) -> list[str]:
        return [event["eventType"] for event in self.told]


@pytest.fixture
async def world():
    now = [START]
    async with in_process(Settings(users=3, index_lag_seconds=0), clock=lambda: now[0]) as (simulator, okta):
        yield World(simulator, okta, now)


@pytest.fixture
def user_id(world):
    return next(iter(world.simulator.org))["id"]


async def everyone(world: World) -> dict:
    return (await world.okta.get("/api/v1/groups", params={"filter": 'type eq "BUILT_IN"'})).json()[0]


async def test_a_group_looks_like_a_recorded_one(world):
    """A new group has Okta's keys, a description even when there is none, and no link to itself."""
    group = await world.group("R&D, Süd")
    assert list(group) == [
        "id", "created", "lastUpdated", "lastMembershipUpdated", "objectClass", "type", "profile", "_links",
    ]  # fmt: skip
    assert group["id"].startswith("00g")
    assert (group["type"], group["objectClass"]) == ("OKTA_GROUP", ["okta:user_group"])
    assert group["profile"] == {"name": "R&D, Süd", "description": None}
    assert list(group["_links"]) == ["logo", "users", "apps"]
    assert (await world.okta.get(f"/api/v1/groups/{group['id']}")).json() == group


async def test_a_groups_life_is_told(world, user_id):
    """Create, rename, join, leave and delete each make their event, with the user and the group as targets."""
    group = await world.group()
    path = f"/api/v1/groups/{group['id']}"
    await world.okta.put(path, json={"profile": {"name": "Verkauf", "description": "d"}})
    await world.put(group, user_id)
    await world.okta.delete(f"{path}/users/{user_id}")
    assert (await world.okta.delete(path)).status_code == 204
    assert (await world.okta.get(path)).status_code == 404
    assert world.types() == [
        "group.lifecycle.create", "group.profile.update", "group.user_membership.add", "group.user_membership.remove",
        "group.lifecycle.delete",
    ]  # fmt: skip
    kinds = [sorted(each["type"] for each in event["target"]) for event in world.told]
    assert kinds == [["UserGroup"], ["UserGroup"], ["User", "UserGroup"], ["User", "UserGroup"], ["UserGroup"]]
    assert {each["id"] for event in world.told for each in event["target"]} == {group["id"], user_id}


async def test_stamps_tell_what_changed(world, user_id):
    """A membership moves lastMembershipUpdated alone, a new profile lastUpdated alone."""
    group = await world.group()
    path = f"/api/v1/groups/{group['id']}"
    world.now[0] += 5
    await world.put(group, user_id)
    joined = (await world.okta.get(path)).json()
    assert joined["lastUpdated"] == group["lastUpdated"] < joined["lastMembershipUpdated"]
    world.now[0] += 5
    renamed = (await world.okta.put(path, json={"profile": {"name": "Verkauf"}})).json()
    assert renamed["lastMembershipUpdated"] == joined["lastMembershipUpdated"] < renamed["lastUpdated"]


async def test_joining_twice_is_nothing_new(world, user_id):
    """To add a member, to remove a stranger and to write the same profile is fine, and tells nothing."""
    group = await world.group()
    path = f"/api/v1/groups/{group['id']}"
    assert [await world.put(group, user_id) for _ in range(2)] == [204, 204]
    assert [(await world.okta.delete(f"{path}/users/{user_id}")).status_code for _ in range(2)] == [204, 204]
    await world.okta.put(path, json={"profile": group["profile"]})
    assert world.types() == [
        "group.lifecycle.create", "group.user_membership.add", "group.user_membership.remove"
    ]  # fmt: skip


async def test_everybody_is_in_everyone(world, user_id):
    """The built-in group has all users, is among each user's groups, and cannot be changed."""
    group = await everyone(world)
    assert group["profile"]["name"] == "Everyone"
    assert await world.members(group) == [user["id"] for user in world.simulator.org]
    mine = (await world.okta.get(f"/api/v1/users/{user_id}/groups")).json()
    assert mine == [group]
    path = f"/api/v1/groups/{group['id']}"
    answers = [
        await world.okta.put(f"{path}/users/{user_id}"),
        await world.okta.delete(f"{path}/users/{user_id}"),
        await world.okta.put(path, json={"profile": {"name": "Nobody"}}),
        await world.okta.delete(path),
    ]
    assert {(answer.status_code, answer.json()["errorCode"]) for answer in answers} == {(501, "E0000060")}


async def test_who_comes_and_goes_changes_everyone(world, user_id):
    """A new user and one who is gone for good move the built-in group's lastMembershipUpdated."""
    stamps = [(await everyone(world))["lastMembershipUpdated"]]
    for act in (world.simulator.create_users, lambda _: [world.simulator.org.delete(user_id) for _ in range(2)]):
        world.now[0] += 5
        act(1)
        stamps.append((await everyone(world))["lastMembershipUpdated"])
    assert stamps == sorted(set(stamps))


async def test_the_deactivated_stay_members_and_the_deleted_do_not(world, user_id):
    """Deactivating keeps memberships, as Okta's support says; deleting for good ends them without an event."""
    group = await world.group()
    await world.put(group, user_id)
    world.simulator.org.delete(user_id)
    assert await world.members(group) == [user_id]
    world.simulator.org.delete(user_id)
    assert await world.members(group) == []
    assert "group.user_membership.remove" not in world.types()
    assert (await world.okta.get(f"/api/v1/users/{user_id}/groups")).status_code == 404


async def test_a_deleted_group_is_nobodys(world, user_id):
    """A group that is gone is no longer among its members' groups, and its name is free."""
    group = await world.group()
    await world.put(group, user_id)
    await world.okta.delete(f"/api/v1/groups/{group['id']}")
    mine = (await world.okta.get(f"/api/v1/users/{user_id}/groups")).json()
    assert [each["type"] for each in mine] == ["BUILT_IN"]
    assert (await world.group())["id"] != group["id"]


async def test_members_come_in_pages_of_whole_users(world):
    """The list of members has users as the users API shows them, and links as recorded: 1000 unless asked for less."""
    group = await world.group()
    users = world.simulator.create_users(5)
    for user_id in users:
        await world.put(group, user_id)
    url = f"/api/v1/groups/{group['id']}/users"
    whole = await world.okta.get(url)
    assert whole.headers["link"] == f'<http://simulated.okta.example{url}?limit=1000>; rel="self"'
    listed = await world.okta.get("/api/v1/users", params={"filter": f'id eq "{users[0]}"'})
    assert whole.json()[:1] == listed.json()
    page = await world.okta.get(url, params={"limit": 2})
    seen = [user["id"] for user in page.json()]
    while "next" in page.links:
        page = await world.okta.get(page.links["next"]["url"])
        seen += [user["id"] for user in page.json()]
    assert seen == users


async def test_a_users_groups_have_the_recorded_link(world, user_id):
    """A user's groups come with a limit of 200 in the link to themselves."""
    answer = await world.okta.get(f"/api/v1/users/{user_id}/groups")
    url = f"http://simulated.okta.example/api/v1/users/{user_id}/groups?limit=200"
    assert answer.headers["link"] == f'<{url}>; rel="self"'


async def test_lists_of_groups_can_be_asked_for(world, user_id):
    """filter by id, type and stamps; search by any attribute in any case; q by the beginning of the name."""
    sales, ops = await world.group("Sales", description="Süd"), await world.group("Ops / Night", floor=4)
    world.now[0] += 5
    await world.put(ops, user_id)
    stamp = sales["lastMembershipUpdated"]
    assert await world.names() == ["Everyone", "Sales", "Ops / Night"]
    assert await world.names(filter=f'id eq "{sales["id"]}" or id eq "{ops["id"]}"') == ["Sales", "Ops / Night"]
    assert await world.names(filter=f'type eq "OKTA_GROUP" and lastMembershipUpdated gt "{stamp}"') == ["Ops / Night"]
    assert await world.names(search='profile.name sw "sal" or profile.floor eq 4') == ["Sales", "Ops / Night"]
    assert await world.names(search='profile.description co "süd"') == ["Sales"]
    assert await world.names(search="id pr", sortBy="profile.name", sortOrder="desc") == [
        "Sales", "Ops / Night", "Everyone"
    ]  # fmt: skip
    assert await world.names(q="OP") == ["Ops / Night"]
    for bad in ({"filter": 'profile.name eq "Sales"'}, {"search": 'objectClass eq "x"'}, {"filter": "type sw"}):
        answer = await world.okta.get("/api/v1/groups", params=bad)
        assert (answer.status_code, answer.json()["errorCode"]) == (400, "E0000031")


async def test_groups_come_in_pages(world):
    """Next links lead through all groups, also when they are sorted."""
    for number in range(5):
        await world.group(f"group {9 - number}")
    for params in ({"limit": 2}, {"limit": 2, "search": "id pr", "sortBy": "profile.name"}):
        page = await world.okta.get("/api/v1/groups", params=params)
        seen = [group["profile"]["name"] for group in page.json()]
        while "next" in page.links:
            page = await world.okta.get(page.links["next"]["url"])
            seen += [group["profile"]["name"] for group in page.json()]
        names = ["Everyone", *(f"group {9 - number}" for number in range(5))]
        assert seen == (sorted(names, key=str.casefold) if "sortBy" in params else names)


async def test_search_follows_late():
    """A new group is found by id at once, and by search after the index's lag."""
    now = [START]
    async with in_process(Settings(index_lag_seconds=2), clock=lambda: now[0]) as (simulator, okta):
        world = World(simulator, okta, now)
        group = await world.group()
        assert (await world.names(filter=f'id eq "{group["id"]}"'), await world.names(search="id pr")) == (
            ["Sales"],
            ["Everyone"],
        )
        now[0] += 3
        assert await world.names(search="id pr") == ["Everyone", "Sales"]


async def test_stats_count_the_members(world, user_id):
    """expand=stats says how many users a group has."""
    await world.put(await world.group(), user_id)
    listed = (await world.okta.get("/api/v1/groups", params={"expand": "stats"})).json()
    assert [group["_embedded"]["stats"]["usersCount"] for group in listed] == [3, 1]


@pytest.mark.parametrize(
    ("profile", "field"),
    [
        (None, "profile"),
        ({}, "name"),
        ({"name": " "}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"name": "Sales"}, "name"),
        ({"name": "y", "description": 5}, "description"),
    ],
)
async def test_a_bad_group_is_refused(world, profile, field):
    """A group without a name of its own is a 400 that names the field."""
    await world.group()
    answer = await world.okta.post("/api/v1/groups", json={"profile": profile})
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "E0000001")
    assert answer.json()["errorSummary"] == f"Api validation failed: {field}"


async def test_unknown_groups_and_users_are_told_apart(world, user_id):
    """Whoever is missing is named with its kind in the 404."""
    group = await world.group()
    answers = [
        await world.okta.get("/api/v1/groups/00gNone"),
        await world.okta.put(f"/api/v1/groups/00gNone/users/{user_id}"),
        await world.okta.put(f"/api/v1/groups/{group['id']}/users/00uNone"),
        await world.okta.get("/api/v1/groups/00gNone/users"),
        await world.okta.get("/api/v1/users/00uNone/groups"),
    ]
    assert {answer.status_code for answer in answers} == {404}
    kinds = [answer.json()["errorSummary"].rpartition(" ")[2] for answer in answers]
    assert kinds == ["(UserGroup)", "(UserGroup)", "(User)", "(UserGroup)", "(User)"]


async def test_traffic_changes_real_memberships(world):
    """What traffic adds and removes is in the lists and in the truth, and each event was a change."""
    world.simulator.create_users(20)
    await world.okta.post("/_sim/traffic", json={"changes": 300, "mix": {"group_add": 3, "group_remove": 1}})
    while (await world.okta.get("/_sim/traffic")).json()["running"]:
        pass
    expected: dict[str, set[str]] = {}
    for event in world.told:
        ids = {each["type"]: each["id"] for each in event["target"]}
        if event["eventType"] == "group.user_membership.add":
            assert ids["User"] not in expected.setdefault(ids["UserGroup"], set())
            expected[ids["UserGroup"]].add(ids["User"])
        if event["eventType"] == "group.user_membership.remove":
            expected[ids["UserGroup"]].remove(ids["User"])
    truth = (await world.okta.get("/_sim/truth")).json()["groups"]
    held = {group["id"]: set(group["members"]) for group in truth if group["type"] == "OKTA_GROUP"}
    assert held == expected
    assert sum(map(len, held.values())) > 10
    for group in truth:
        assert sorted(await world.members(group)) == sorted(group["members"])


@settings(max_examples=40, deadline=None)
@given(
    acts=st.lists(
        st.tuples(st.sampled_from(["add", "remove", "delete", "leave"]), st.integers(0, 3), st.integers(0, 3)),
        max_size=40,
    )
)
def test_memberships_agree_from_both_sides(acts):
    """Whatever happens in whatever order, a user is in a group exactly if the group is among the user's groups."""
    groups = Groups(Settings(), lambda: 0.0, lambda: "now", lambda *_args, **_more: None)
    group_ids = [groups.create({"name": str(number)})["id"] for number in range(4)]
    for act, group, user in acts:
        # Only a group that was deleted before can be refused.
        with contextlib.suppress(OktaError):
            if act == "delete":
                groups.delete(group_ids[group])
            elif act == "leave":
                groups.user_left(f"00u{user}")
            else:
                getattr(groups, act)(group_ids[group], target("User", f"00u{user}", None, None))
    alive = {group["id"] for group in groups} - {groups.everyone}
    for group_id in alive:
        assert groups.members(group_id) == {f"00u{n}" for n in range(4) if group_id in groups.of(f"00u{n}")}
    assert all(groups.of(f"00u{n}") - {groups.everyone} <= alive for n in range(4))


async def test_an_org_survives_as_plain_data(world, user_id):
    """What was dumped as JSON and loaded elsewhere has the same users, groups and memberships, and makes new ids."""
    await world.put(await world.group(), user_id)
    world.simulator.org.delete(world.simulator.create_users(1)[0])
    org = world.simulator.org
    copy = Org(Settings(seed=99), lambda: START)
    copy.load(json.loads(json.dumps(org.dump())))
    assert list(copy) == list(org)
    assert list(copy.groups) == list(org.groups)
    assert [copy.groups.members(group["id"]) for group in copy.groups] == [
        org.groups.members(group["id"]) for group in org.groups
    ]
    assert copy.find(next(iter(org))["profile"]["login"].upper()) == next(iter(org))
    assert copy.create(PERSON)["id"] not in {user["id"] for user in org}
