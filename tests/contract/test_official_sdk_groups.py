"""Groups and who is in them, as Okta's own SDK for Python makes, lists, fills and deletes them in a simulated org."""

from __future__ import annotations

from typing import Any

import pytest
from okta.client import Client
from okta.errors.okta_api_error import OktaAPIError
from okta.models import AddGroupRequest, OktaUserGroupProfile
from okta.pagination import paginate_all
from sdk import done, org, wrong

from rosterhook.simulator import Simulator


def named(name: str, description: str | None = None) -> AddGroupRequest:
    """A body with this profile."""
    return AddGroupRequest(profile=OktaUserGroupProfile(name=name, description=description))


async def group(okta: Client, name: str, *members: str) -> str:
    """A new group's id."""
    group_id = str((await done(okta.add_group(named(name)))).id)
    for user_id in members:
        await done(okta.assign_user_to_group(group_id, user_id))
    return group_id


async def names(okta: Client, **query: Any) -> list[str]:
    """What a list of groups shows, without Everyone, which every org has."""
    found = [each.profile.actual_instance.name for each in await done(okta.list_groups(**query))]
    return [name for name in found if name != "Everyone"]


def user_ids(simulator: Simulator) -> list[str]:
    return [user["id"] for user in simulator.truth("")["users"]]


async def test_a_group_is_what_the_sdk_gets_back():
    """The answer and a read are the group as it is, with a name in any script."""
    async with org() as (simulator, okta):
        made = await done(okta.add_group(named("Ingénierie & 人事", 'R&D, "Süd"')))
        found = await done(okta.get_group(made.id))
        mistakes = [wrong(simulator, "groups", each) for each in (made, found)]
    assert mistakes == [set(), set()]
    assert (found.type, found.object_class) == ("OKTA_GROUP", ["okta:user_group"])
    assert found.profile.actual_instance.name == "Ingénierie & 人事"
    assert found.profile.actual_instance.description == 'R&D, "Süd"'


async def test_a_group_is_renamed_as_a_whole():
    """replace_group drops the description that it doesn't name."""
    async with org() as (simulator, okta):
        made = await done(okta.add_group(named("Sales", "of everything")))
        changed = await done(okta.replace_group(made.id, named("Vertrieb")))
        assert wrong(simulator, "groups", changed) == set()
        assert await names(okta) == ["Vertrieb"]
    assert changed.profile.actual_instance.description is None


async def test_groups_are_found_by_what_they_are():
    """search, filter and q, with quotes and other scripts, by name, type, id and the time of the last change."""
    async with org() as (_, okta):
        for name in ("R&D", 'Head of "People"', "人事", "Sales"):
            group_id = await group(okta, name)
        assert await names(okta) == ["R&D", 'Head of "People"', "人事", "Sales"]
        assert await names(okta, search='profile.name eq "Head of \\"People\\""') == ['Head of "People"']
        assert await names(okta, search='profile.name sw "人"') == ["人事"]
        assert await names(okta, search='profile.name eq "R&D" or type eq "BUILT_IN"') == ["R&D"]
        assert await names(okta, filter=f'id eq "{group_id}"') == ["Sales"]
        assert await names(okta, filter='type eq "OKTA_GROUP"') == ["R&D", 'Head of "People"', "人事", "Sales"]
        assert await names(okta, filter='lastMembershipUpdated gt "2999-01-01T00:00:00.000Z"') == []
        assert await names(okta, q="sal") == ["Sales"]
        everyone = await done(okta.list_groups(filter='type eq "BUILT_IN"'))
    assert [each.profile.actual_instance.name for each in everyone] == ["Everyone"]


async def test_groups_are_paged_and_counted():
    """paginate_all gets each group once; expand=stats tells how many are in it, and the SDK reads it."""
    async with org(users=3) as (simulator, okta):
        for number in range(7):
            group_id = await group(okta, f"Group {number}")
        await done(okta.assign_user_to_group(group_id, user_ids(simulator)[0]))
        paged = [each.id async for each in paginate_all(okta.list_groups, limit=3)]
        [found] = await done(okta.list_groups(filter=f'id eq "{group_id}"', expand="stats"))
        real = [each["id"] for each in simulator.truth("")["groups"]]
    assert paged == real
    assert len(paged) == 8
    assert found.embedded.stats.users_count == 1


async def test_members_come_and_go():
    """Assigning and unassigning, also twice; the members and a user's groups are what they really are."""
    async with org(users=3) as (simulator, okta):
        first, second, _ = user_ids(simulator)
        group_id = await group(okta, "Sales", first, second, first)
        members = await done(okta.list_group_users(group_id))
        assert [each.id for each in members] == [first, second]
        assert [wrong(simulator, "users", each) for each in members] == [set(), set()]
        for _ in range(2):
            await done(okta.unassign_user_from_group(group_id, first))
        assert [each.id for each in await done(okta.list_group_users(group_id))] == [second]
        assert [each.id for each in await done(okta.list_user_groups(second))][1:] == [group_id]
        [real] = [each for each in simulator.truth("")["groups"] if each["id"] == group_id]
    assert real["members"] == [second]


async def test_members_are_paged():
    """A group of 25 comes in pages of 10, and each member once."""
    async with org(users=25) as (simulator, okta):
        group_id = await group(okta, "All of them", *user_ids(simulator))
        paged = [user.id async for user in paginate_all(okta.list_group_users, limit=10, group_id=group_id)]
        assert paged == user_ids(simulator)


async def test_everyone_has_all_and_takes_nobody():
    """The built-in group lists every user, and assigning to it is 501 E0000060."""
    async with org(users=2) as (simulator, okta):
        [everyone] = await done(okta.list_groups(filter='type eq "BUILT_IN"'))
        members = [user.id for user in await done(okta.list_group_users(everyone.id))]
        assert members == user_ids(simulator)
        with pytest.raises(OktaAPIError) as refused:
            await done(okta.assign_user_to_group(everyone.id, members[0]))
    assert (refused.value.status, refused.value.error_code) == (501, "E0000060")


async def test_a_deleted_group_is_gone():
    """204, then 404 E0000007 for the group, its members and another delete."""
    async with org(users=1) as (simulator, okta):
        [user_id] = user_ids(simulator)
        group_id = await group(okta, "Sales", user_id)
        await done(okta.delete_group(group_id))
        assert [each.id for each in await done(okta.list_user_groups(user_id))] != []
        assert await names(okta) == []
        for call in (okta.get_group, okta.list_group_users, okta.delete_group):
            with pytest.raises(OktaAPIError) as gone:
                await done(call(group_id))
            assert (gone.value.status, gone.value.error_code) == (404, "E0000007")
            assert gone.value.error_summary == f"Not found: Resource not found: {group_id} (UserGroup)"


async def test_a_name_is_taken_only_once():
    """400 E0000001 with the cause."""
    async with org() as (_, okta):
        await group(okta, "Sales")
        with pytest.raises(OktaAPIError) as taken:
            await done(okta.add_group(named("Sales")))
    assert (taken.value.status, taken.value.error_code) == (400, "E0000001")
    assert "An object with this field already exists" in taken.value.error_causes[0]["errorSummary"]


async def test_no_group_has_applications():
    """What a group links to as its apps is there, and empty."""
    async with org() as (_, okta):
        group_id = await group(okta, "Sales")
        assert await done(okta.list_assigned_applications_for_group(group_id)) == []
        with pytest.raises(OktaAPIError, match="E0000007"):
            await done(okta.list_assigned_applications_for_group("00gNobody"))
