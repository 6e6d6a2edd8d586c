"""Users as Okta's own SDK for Python makes, reads, changes and lists them in a simulated org.

Every answer passes `sdk.done`, which compares what the SDK understood with what was sent, field by field.
"""

from __future__ import annotations

from typing import Any

import pytest
from okta.api_response import OktaAPIResponse
from okta.client import Client
from okta.errors.okta_api_error import OktaAPIError
from okta.models import CreateUserRequest, PasswordCredential, UpdateUserRequest, UserCredentialsWritable, UserProfile
from okta.pagination import PaginationHelper, paginate_all, paginate_pages
from sdk import done, org, seen, wrong

PASSWORD = "Tr0ub4dor-and-3"
NAMES = {"firstName": "Ольга Ngọc", "lastName": 'Ł"O\'Brien" 山田', "city": "São Paulo, نور"}
CUSTOM = {"badge": 7.25, "remote": False, "skills": ["c++", "日本語"], "floor": 0}


def wanted(login: str = "ada@example.com", *, password: bool = True, **profile: Any) -> CreateUserRequest:
    """A new user's body; what the SDK has no name for becomes a custom attribute."""
    credentials = UserCredentialsWritable(password=PasswordCredential(value=PASSWORD)) if password else None
    whole = {"firstName": "Ada", "lastName": "Lovelace", "email": login, "login": login, **profile}
    return CreateUserRequest(profile=UserProfile.from_dict(whole), credentials=credentials)


def changes(**profile: Any) -> UpdateUserRequest:
    """A body with this profile."""
    return UpdateUserRequest(profile=UserProfile.from_dict(profile))


async def logins(okta: Client, **query: Any) -> list[str]:
    """Whom a list shows."""
    return [user.profile.login for user in await done(okta.list_users(**query))]


@pytest.mark.parametrize(
    ("activate", "password", "status"),
    [(True, True, "ACTIVE"), (True, False, "PROVISIONED"), (False, True, "STAGED"), (False, False, "STAGED")],
)
async def test_a_created_user_is_what_the_sdk_gets_back(activate, password, status):
    """The answer, a read by id and a read by login are the user as it is, with the status that Okta gives."""
    async with org() as (simulator, okta):
        made = await done(okta.create_user(wanted(password=password), activate=activate))
        by_id = await done(okta.get_user(made.id))
        by_login = await done(okta.get_user("ada@example.com"))
        mistakes = [wrong(simulator, "users", user) for user in (made, by_id, by_login)]
    assert made.status == status
    assert mistakes == [set(), set(), set()]


async def test_names_and_custom_attributes_survive():
    """Every script, quotes, numbers, a false, a zero and a list come back as they were sent."""
    async with org() as (simulator, okta):
        made = await done(okta.create_user(wanted(**NAMES, **CUSTOM)))
        found = await done(okta.get_user(made.id))
        mistakes = wrong(simulator, "users", found)
    assert (found.profile.first_name, found.profile.last_name, found.profile.city) == tuple(NAMES.values())
    assert found.profile.additional_properties == CUSTOM
    assert mistakes == set()


async def test_who_must_change_the_password_first_is_expired():
    """The SDK's next_login arrives."""
    async with org() as (_, okta):
        made = await done(okta.create_user(wanted(), next_login="changePassword"))
    assert made.status == "PASSWORD_EXPIRED"


async def test_a_partial_update_keeps_what_it_does_not_name():
    """update_user changes one attribute, custom ones too, and the answer is the whole user."""
    async with org() as (simulator, okta):
        made = await done(okta.create_user(wanted(title="Countess", badge=1)))
        changed = await done(okta.update_user(made.id, changes(nickName="Ada, the 1st", badge=2)))
        mistakes = wrong(simulator, "users", changed)
    assert (changed.profile.title, changed.profile.nick_name) == ("Countess", "Ada, the 1st")
    assert changed.profile.additional_properties == {"badge": 2}
    assert mistakes == set()


async def test_a_replace_drops_what_it_does_not_name():
    """replace_user leaves only what was sent."""
    async with org() as (simulator, okta):
        made = await done(okta.create_user(wanted(title="Countess", badge=1)))
        profile = {"firstName": "Augusta", "lastName": "King", "login": "king@example.com", "email": "king@example.com"}
        changed = await done(okta.replace_user(made.id, changes(**profile)))
        mistakes = wrong(simulator, "users", changed)
    assert seen(changed.profile) == profile
    assert mistakes == set()


async def test_a_new_login_is_found_at_once_and_the_old_one_no_more():
    """A read by login goes by what is so now."""
    async with org() as (_, okta):
        made = await done(okta.create_user(wanted()))
        await done(okta.update_user(made.id, changes(login="countess@example.com")))
        assert (await done(okta.get_user("countess@example.com"))).id == made.id
        with pytest.raises(OktaAPIError, match=r"Not found: .*ada@example\.com"):
            await done(okta.get_user("ada@example.com"))


async def test_the_sdk_goes_through_all_pages():
    """paginate_all follows the cursor of each Link header: everyone comes once, in the order of the whole list."""
    async with org(users=23) as (simulator, okta):
        whole = [user.id for user in await done(okta.list_users())]
        paged = [user.id async for user in paginate_all(okta.list_users, limit=5)]
        pages = [(len(users), number, more) async for users, number, more in paginate_pages(okta.list_users, limit=10)]
        real = {user["id"] for user in simulator.truth(simulator.url)["users"]}
    assert paged == whole
    assert set(whole) == real
    assert pages == [(10, 1, True), (10, 2, True), (3, 3, False)]


async def test_the_last_page_has_no_next():
    """A list that fits into its page, and the exact end of one, tell the SDK so."""
    async with org(users=4) as (_, okta):
        for limit, more in ((2, True), (4, False), (200, False)):
            _, answer, _ = await okta.list_users(limit=limit)
            assert PaginationHelper.has_next_page(answer.headers) is more


async def test_the_next_link_can_be_followed_as_it_is():
    """The SDK's older way: has_next and next() call the whole link, which keeps the search, its order and the limit."""
    async with org(users=9) as (_, okta):
        query = "search=profile.email+pr&sortBy=profile.email&sortOrder=desc&limit=4"
        executor = okta.get_request_executor()
        request, _ = await executor.create_request("GET", f"/api/v1/users?{query}")
        _, answer, body, _ = await executor.fire_request(request)
        page = OktaAPIResponse(executor, request, answer, body)
        found = page.get_body()
        while page.has_next():
            users, error = await page.next()
            assert error is None
            found = [*found, *users]
        sizes = len(page.get_body()), len(found)
    emails = [user["profile"]["email"] for user in found]
    assert sizes == (4, 9)
    assert emails == sorted(emails, key=str.casefold, reverse=True)


async def test_searches_and_filters_find_what_they_name():
    """search, filter and q, with quotes and other scripts in values, as the SDK encodes them."""
    async with org() as (_, okta):
        for login, more in {
            "ada@example.com": {"department": "R&D", "badge": 7},
            "olga+test@example.com": {"firstName": "Ольга", "department": 'Head of "People"'},
            "misaki@example.com": {"firstName": "美咲", "lastName": "O'Connor", "skills": ["c++", "日本語"]},
        }.items():
            made = await done(okta.create_user(wanted(login, **more)))
        assert await logins(okta, search='profile.department eq "R&D"') == ["ada@example.com"]
        assert await logins(okta, search='profile.department eq "Head of \\"People\\""') == ["olga+test@example.com"]
        assert await logins(okta, search='profile.skills eq "日本語"') == ["misaki@example.com"]
        assert await logins(okta, search="profile.badge gt 6") == ["ada@example.com"]
        assert await logins(okta, search='profile.firstName sw "Оль"') == ["olga+test@example.com"]
        assert await logins(okta, filter='profile.login eq "olga+test@example.com"') == ["olga+test@example.com"]
        assert await logins(okta, filter=f'id eq "{made.id}" or profile.lastName eq "nobody"') == ["misaki@example.com"]
        assert await logins(okta, filter='lastUpdated gt "2999-01-01T00:00:00.000Z"') == []
        assert await logins(okta, q="美") == ["misaki@example.com"]
        assert await logins(okta, q="o", limit=1) == ["olga+test@example.com"]


async def test_a_search_is_sorted_and_a_projection_has_only_what_was_asked_for():
    """sortBy, sortOrder and fields arrive."""
    async with org(users=8) as (_, okta):
        found = await done(
            okta.list_users(
                search="profile.login pr", sort_by="profile.login", sort_order="desc", fields="id,profile:(login)"
            )
        )
    names = [user.profile.login for user in found]
    assert names == sorted(names, key=str.casefold, reverse=True)
    assert all(set(seen(user)) - {"_links"} == {"id", "profile"} for user in found)
    assert all(list(seen(user.profile)) == ["login"] for user in found)


async def test_the_plain_list_leaves_out_the_deactivated():
    """A filter and a search by status find them."""
    async with org(users=2) as (_, okta):
        made = await done(okta.create_user(wanted()))
        await done(okta.deactivate_user(made.id))
        assert "ada@example.com" not in await logins(okta)
        assert await logins(okta, filter='status eq "DEPROVISIONED"') == ["ada@example.com"]
        assert await logins(okta, search='status eq "DEPROVISIONED"') == ["ada@example.com"]


async def test_a_mistake_comes_as_an_error_with_its_cause():
    """The SDK gets Okta's code, its summary and the cause: for a login that is taken, a bad filter, a blank name."""
    async with org() as (_, okta):
        await done(okta.create_user(wanted()))
        with pytest.raises(OktaAPIError) as taken:
            await done(okta.create_user(wanted()))
        with pytest.raises(OktaAPIError) as unreadable:
            await done(okta.list_users(filter="nothing at all"))
        with pytest.raises(OktaAPIError) as blank:
            await done(okta.create_user(CreateUserRequest(profile=UserProfile(login="new@example.com"))))
    assert (taken.value.status, taken.value.error_code) == (400, "E0000001")
    assert taken.value.error_summary == "Api validation failed: login"
    assert taken.value.error_causes == [
        {"errorSummary": "login: An object with this field already exists in the current organization"}
    ]
    assert (unreadable.value.status, unreadable.value.error_code) == (400, "E0000031")
    assert {cause["errorSummary"].partition(":")[0] for cause in blank.value.error_causes} == {
        "firstName", "lastName", "email",
    }  # fmt: skip
