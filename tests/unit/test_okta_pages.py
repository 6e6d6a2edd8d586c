"""Many users at once: what a search asks, and how the way from page to page is found."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from okta_org import ORG, USER, Org, ok, pages, search_of

from rosterhook.errors import OktaError


async def test_users_are_asked_in_one_short_search() -> None:
    """200 ids are one call, with "+" for blanks, and an address well below 8 kB."""
    org = Org(ok([]))
    ids = [f"00u{number:017d}" for number in range(200)]
    assert await org.client.users(ids) == {}
    [request] = org.requests
    assert len(str(request.url)) < 7500
    assert b"%20" not in request.url.raw_path
    assert search_of(request) == " or ".join(f'id eq "{user_id}"' for user_id in ids)


async def test_more_than_200_ids_are_several_calls() -> None:
    """No search asks for more ids than a page can hold."""
    org = Org(ok([]))
    await org.client.users([f"00u{number}" for number in range(401)])
    assert [search_of(request).count(" eq ") for request in org.requests] == [200, 200, 1]


async def test_what_is_no_id_never_reaches_a_search() -> None:
    """A quote in an id cannot change the search; such an id is missing in the answer."""
    org = Org(ok([USER]))
    found = await org.client.users(["00u1", '00u2" or id pr or id eq "', "", "x" * 65, "00u1\n"])
    assert found == {"00u1": USER}
    assert search_of(org.requests[0]) == 'id eq "00u1"'


async def test_without_a_single_id_okta_is_not_asked() -> None:
    """An empty list of ids costs no call; an empty search would be everybody."""
    org = Org(ok([USER]))
    assert await org.client.users([]) == {}
    assert await org.client.users(["no id"]) == {}
    assert org.requests == []


async def test_rows_that_were_not_asked_for_are_ignored() -> None:
    """A search compares without case: the neighbour whose id differs by case alone is not taken for the user."""
    found = await Org(ok([{"id": "00U1"}, {"id": "00u9"}, {"no": "id"}, USER])).client.users(["00u1", "00u2"])
    assert found == {"00u1": USER}


async def test_a_search_is_read_to_its_last_page() -> None:
    """Users on a second page are found as well."""
    org = Org(ok([USER], f'<{ORG}/api/v1/users?after=x>; rel="next"'), ok([{"id": "00u2"}]))
    assert set(await org.client.users(["00u1", "00u2"])) == {"00u1", "00u2"}


NEXT = f"{ORG}/api/v1/users?after=200unw&limit=1"


@pytest.mark.parametrize(
    "links",
    [
        [f'<{ORG}/x>; rel="self", <{NEXT}>; rel="next"'],
        [f'<{ORG}/x>; rel="self"', f'<{NEXT}>; rel="next"'],
        [f'<{NEXT}>; rel="next"'],
        [f"<{NEXT}>;rel=next"],
        [f'<{NEXT}>; title="a, b"; REL="prev NEXT", <{ORG}/x>; rel="self"'],
        ["</api/v1/users?after=200unw&limit=1>; rel='next'"],
    ],
)
async def test_every_form_of_the_link_header_is_followed(links: list[str]) -> None:
    """The next page is found in one header or several, with "self" or without."""
    org = Org(ok([USER], *links), ok([]))
    assert await pages(org) == [[USER], []]
    assert str(org.requests[1].url) == NEXT


@pytest.mark.parametrize("link", [f'<{ORG}/x>; rel="self"', "", "nonsense", f'<{NEXT}>; rel="nextish"', f"<{NEXT}>"])
async def test_without_a_next_link_the_list_ends(link: str) -> None:
    """Only a link that says "next" is a next page."""
    assert await pages(Org(ok([USER], link))) == [[USER]]


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example.com/api/v1/users",
        "http://example.okta.com/api/v1/users",
        "https://example.okta.com:8443/api/v1/users",
        "https://example.okta.com@evil.example.com/",
        "https://someone@example.okta.com/api/v1/users",
        "//evil.example.com/api/v1/users",
        "https://example.okta.com:port/",
    ],
)
async def test_the_token_never_goes_to_another_origin(target: str) -> None:
    """A next page at any other scheme, host or port is refused, and never called."""
    org = Org(ok([USER], f'<{target}>; rel="next"'))
    with pytest.raises(OktaError, match="next"):
        await pages(org)
    assert len(org.requests) == 1


async def test_the_same_origin_in_another_spelling_is_followed() -> None:
    """Upper case and the default port do not make a stranger."""
    org = Org(ok([USER], '<HTTPS://EXAMPLE.okta.com:443/api/v1/users?after=a>; rel="next"'), ok([]))
    assert len(await pages(org)) == 2


@pytest.mark.parametrize("circle", [1, 2, 3])
async def test_a_list_that_goes_in_a_circle_ends_with_an_error(circle: int) -> None:
    """A next page that was read before is an error, not an endless loop."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        assert len(org.requests) < 10
        page = int(dict(request.url.params).get("after", 0))
        return ok([USER], f'<{ORG}/api/v1/users?after={page % circle + 1}>; rel="next"')

    org = Org(answer)
    with pytest.raises(OktaError, match="never end"):
        await pages(org)
    assert len(org.requests) == circle + 1


async def test_filter_search_and_limit_are_sent_as_given() -> None:
    """The expressions reach Okta whole."""
    org = Org(ok([]))
    await pages(org, filter='status eq "ACTIVE"', limit=7)
    assert dict(org.requests[0].url.params) == {"filter": 'status eq "ACTIVE"', "limit": "7"}


@pytest.mark.parametrize("body", [{}, None, [USER, None], {"users": []}])
async def test_a_page_that_is_no_list_of_objects_is_an_error(body: Any) -> None:
    """A page of another shape is never taken for an empty page."""
    with pytest.raises(OktaError, match="no list of users"):
        await pages(Org(ok(body)))
