"""The simulated org's lists: pages, filter, search and its late index."""

from __future__ import annotations

import itertools

import httpx2
import pytest

from rosterhook.simulator import Settings, in_process
from rosterhook.simulator.errors import OktaError
from rosterhook.simulator.query import parse_filter, parse_search

NOW = 1_700_000_000.0


class Clock:
    """A time that only the test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def world(clock):
    async with in_process(Settings(users=25, rate_multiplier=100), clock=clock) as (simulator, client):
        yield simulator, client


async def ids(okta: httpx2.AsyncClient, **params: str) -> list[str]:
    answer = await okta.get("/api/v1/users", params=params)
    assert answer.status_code == 200, answer.text
    return [user["id"] for user in answer.json()]


async def all_pages(okta: httpx2.AsyncClient, url: str) -> list[list[str]]:
    pages, next_url = [], url
    while next_url:
        answer = await okta.get(next_url)
        pages.append([user["id"] for user in answer.json()])
        next_url = answer.links.get("next", {}).get("url")
    return pages


async def test_pages_together_are_everybody_once(world):
    """Following `next` shows each user once, in full pages, and ends."""
    simulator, okta = world
    pages = await all_pages(okta, "/api/v1/users?limit=10&filter=" + 'lastUpdated gt "2000-01-01T00:00:00.000Z"')
    assert [len(page) for page in pages] == [10, 10, 5]
    assert sorted(itertools.chain(*pages)) == sorted(user["id"] for user in simulator.org)


async def test_links_are_header_values_of_their_own(world):
    """`self` and `next` come as two Link headers, and the cursor is no user's id."""
    simulator, okta = world
    links = (await okta.get("/api/v1/users?limit=1")).headers.get_list("link")
    assert [link.rpartition("rel=")[2] for link in links] == ['"self"', '"next"']
    assert not any(user["id"] in links[1] for user in simulator.org)


async def test_a_page_never_has_more_than_200(world):
    """A larger limit than 200 is 200, which is also what no limit means."""
    simulator, okta = world
    simulator.create_users(250, announce=False)
    assert len(await ids(okta, limit="1000", search="id pr")) == 200
    assert len(await ids(okta, search="id pr")) == 200


async def test_a_user_deleted_between_pages_hides_nobody_else(world):
    """Deleting who was already listed moves no other user out of the next page."""
    simulator, okta = world
    first = await okta.get("/api/v1/users?limit=10")
    for _ in range(2):
        await okta.delete(f"/api/v1/users/{first.json()[0]['id']}")
    rest = list(itertools.chain(*await all_pages(okta, first.links["next"]["url"])))
    living = [user["id"] for user in simulator.org if user["status"] != "DEPROVISIONED"]
    assert sorted([user["id"] for user in first.json()[1:]] + rest) == sorted(living)


async def test_only_the_plain_list_omits_the_deactivated(world, clock):
    """Who is DEPROVISIONED is left out of the plain list and of q, but not of filter and search."""
    simulator, okta = world
    user = next(iter(simulator.org))
    await okta.delete(f"/api/v1/users/{user['id']}")
    clock.now += 1
    assert user["id"] not in await ids(okta)
    assert user["id"] not in await ids(okta, q=user["profile"]["email"])
    assert await ids(okta, filter='status eq "DEPROVISIONED"') == [user["id"]]
    assert await ids(okta, search='status eq "deprovisioned"') == [user["id"]]


async def test_q_finds_by_the_beginning_of_a_name(world):
    """q is a prefix of first name, last name or email, shows ten at most and has no next page."""
    simulator, okta = world
    for number in range(12):
        profile = {"firstName": "Xaver", "lastName": "L", "login": f"x{number}@example.com", "email": "y@example.com"}
        simulator.org.create(profile)
    answer = await okta.get("/api/v1/users", params={"q": "xav"})
    assert len(answer.json()) == 10
    assert "next" not in answer.links


async def test_200_ids_are_found_in_one_search(world):
    """Two hundred ids joined by `or` find exactly these users, the unknown among them left out."""
    simulator, okta = world
    simulator.create_users(400, announce=False)
    wanted = [user["id"] for user in simulator.org][100:299]
    text = " or ".join(f'id eq "{user_id}"' for user_id in [*wanted, "00uNobody"])
    assert await ids(okta, search=text) == wanted
    assert await ids(okta, filter=text) == wanted


async def test_search_is_late_and_a_read_by_id_is_not(world, clock):
    """A change shows by id at once, in filter at once, in search only after the lag."""
    simulator, okta = world
    user = next(user for user in simulator.org if user["status"] == "ACTIVE")
    await okta.post(f"/api/v1/users/{user['id']}", json={"profile": {"city": "Nowhere"}})
    named = f'id eq "{user["id"]}"'
    search = {"search": named}
    clock.now += 0.29
    assert (await okta.get("/api/v1/users", params={"filter": named})).json()[0]["profile"]["city"] == "Nowhere"
    assert (await okta.get("/api/v1/users", params=search)).json()[0]["profile"].get("city") != "Nowhere"
    clock.now += 0.02
    assert (await okta.get("/api/v1/users", params=search)).json()[0]["profile"]["city"] == "Nowhere"


async def test_the_deleted_linger_in_search(world, clock):
    """Who was deleted for good is still found by search until the lag is over."""
    simulator, okta = world
    user_id = next(iter(simulator.org))["id"]
    for _ in range(2):
        await okta.delete(f"/api/v1/users/{user_id}")
    search = f'id eq "{user_id}"'
    assert await ids(okta, search=search) == [user_id]
    assert await ids(okta, filter=search) == []
    clock.now += 0.31
    assert await ids(okta, search=search) == []


USER = {
    "id": "00uAbc",
    "status": "ACTIVE",
    "lastUpdated": "2024-01-01T00:00:00.000Z",
    "type": {"id": "oty1"},
    "profile": {
        "login": "Ann@x.com",
        "firstName": "Ann",
        "skills": ["SQL", "c++"],
        "badge": 7,
        "remote": True,
        "x": None,
    },
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('profile.login eq "ann@X.COM"', True),
        ('profile.firstName sw "an"', True),
        ('profile.firstName co "N"', True),
        ('profile.skills eq "sql"', True),
        ("profile.badge eq 7", True),
        ("profile.badge gt 6", True),
        ('profile.badge eq "7"', False),
        ("profile.badge eq true", False),
        ("profile.remote eq true", True),
        ("profile.remote eq 1", False),
        ("profile.badge pr", True),
        ("profile.x pr", False),
        ('lastUpdated ge "2024-01-01T00:00:00.000Z"', True),
        ('lastUpdated lt "2024-01-01T00:00:00.000Z"', False),
        ('type.id eq "oty1"', True),
        ('id eq "00uabc"', False),
        ('status eq "STAGED" or status eq "ACTIVE" and profile.badge lt 3', False),
        ('(status eq "STAGED" or status eq "ACTIVE") AND profile.badge lt 30', True),
        ('status eq "ACTIVE" OR profile.badge lt 3 and profile.badge gt 9', True),
        ('profile.firstName eq "a \\"quoted\\" name"', False),
    ],
)
def test_search_reads_the_grammar(text, expected):
    """search compares without case, any attribute of any type; `and` binds closer than `or`."""
    assert parse_search(text).matches(USER) is expected


@pytest.mark.parametrize(
    "text",
    [
        "", "id", "id eq", "id eq 00u", 'id ne "a"', 'not (id eq "a")', '(id eq "a"', 'id eq "a")', 'id eq "a" or',
        'id eq "a" id eq "b"', 'password eq "a"', 'id eq "a', "id eq null", 'profile.city co "a"', "(" * 4000,
    ],
)  # fmt: skip
@pytest.mark.parametrize("parse", [parse_filter, parse_search])
def test_what_the_grammar_lacks_is_refused(parse, text):
    """A query that Okta cannot read is E0000031, however it is broken."""
    with pytest.raises(OktaError) as caught:
        parse(text)
    assert (caught.value.status, caught.value.code) == (400, "E0000031")


@pytest.mark.parametrize("text", ['profile.city eq "a"', 'profile.login sw "a"', "profile.login pr", 'id gt "a"'])
def test_filter_knows_less_than_search(text):
    """filter has seven attributes, and compares for equality but for lastUpdated."""
    with pytest.raises(OktaError):
        parse_filter(text)


def test_filter_compares_exactly():
    """filter tells upper from lower case."""
    assert parse_filter('profile.login eq "Ann@x.com"').matches(USER)
    assert not parse_filter('profile.login eq "ann@x.com"').matches(USER)


def test_ten_thousand_clauses_are_read():
    """The length of a query is no problem: only parentheses nest."""
    text = " or ".join(f'profile.firstName eq "n{number}"' for number in range(10_000))
    assert not parse_search(text).matches(USER)
