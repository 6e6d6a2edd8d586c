"""The System Log as Okta's own SDK for Python reads it from a simulated org: windows, polling, filters, pages.

Every answer passes `sdk.done`, which compares what the SDK understood of each event with what was sent.
"""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from okta.api_response import OktaAPIResponse
from okta.client import Client
from okta.errors.okta_api_error import OktaAPIError
from okta.models import LogEvent
from okta.pagination import PaginationHelper, paginate_all, paginate_pages
from sdk import done, org

from rosterhook.simulator import Simulator
from rosterhook.simulator.events import KINDS
from rosterhook.simulator.org import user_target
from rosterhook.simulator.traffic import MIX, Changer

HOUR = 3600


def at(simulator: Simulator, hours: float) -> None:
    """Put the org's clock ahead by so many hours from now."""
    simulator.faults.merge({"clock_skew_seconds": hours * HOUR})


def who(events: list[LogEvent]) -> list[str]:
    """Whom the events are about, by login."""
    return [target.alternate_id for event in events for target in event.target if target.type == "User"]


def change(simulator: Simulator, times: int) -> None:
    """So many random changes."""
    changer = Changer(simulator.org, Random(3), MIX, simulator.numbers)
    for _ in range(times):
        changer.change()


async def created(okta: Client, **query: Any) -> list[str]:
    """Whose creation the log tells of."""
    return who(await done(okta.list_log_events(filter='eventType eq "user.lifecycle.create"', **query)))


def create(simulator: Simulator, login: str) -> str:
    """A user by that login, whom the log tells of; the id."""
    names = {"firstName": "Zoë", "lastName": "O'Connor"}
    return str(simulator.org.create({**names, "login": login, "email": login}, activate=False)["id"])


async def test_every_event_is_understood():
    """Of all that can happen to users, groups, hooks and limits each event reaches the SDK whole."""
    async with org(users=30) as (simulator, okta):
        change(simulator, 300)
        somebody = user_target(next(iter(simulator.org)))
        for kind in KINDS:
            simulator.org.tell_of(kind, [somebody], "/api/v1/any", outcome={"result": "FAILURE", "reason": "none"})
        events = await done(okta.list_log_events(limit=1000))
        real = {event["uuid"] for event in simulator.log.dump()["events"]}
    assert {event.uuid for event in events} == real
    assert {event.event_type for event in events} == set(KINDS)
    assert {event.outcome.result for event in events} >= {"SUCCESS", "FAILURE"}


async def test_a_window_has_what_was_published_in_it():
    """since belongs to the window, until does not; times may be written with Z or an offset."""
    async with org() as (simulator, okta):
        for hours, login in ((0, "early@example.com"), (1, "middle@example.com"), (2, "late@example.com")):
            at(simulator, hours)
            create(simulator, login)
        [early, middle, late] = [event["published"] for event in simulator.log.dump()["events"]]
        assert await created(okta, since=early, until=late) == ["early@example.com", "middle@example.com"]
        assert await created(okta, since=middle, until=late) == ["middle@example.com"]
        assert await created(okta, since=middle.replace("Z", "+00:00"), until=late) == ["middle@example.com"]
        assert await created(okta, since=middle) == ["middle@example.com", "late@example.com"]
        assert await created(okta, since=early, until=early) == []


async def test_the_newest_come_first_when_asked_for():
    """sortOrder and limit arrive."""
    async with org() as (simulator, okta):
        for hours in range(4):
            at(simulator, hours)
            create(simulator, f"user{hours}@example.com")
        ascending = await created(okta, limit=2)
        descending = await created(okta, limit=2, sort_order="DESCENDING")
    assert ascending == ["user0@example.com", "user1@example.com"]
    assert descending == ["user3@example.com", "user2@example.com"]


async def test_filters_and_keywords_find_what_they_name():
    """By type, its beginning, the target, the outcome, both of them, and by a word."""
    async with org() as (simulator, okta):
        first, second = create(simulator, "first@example.com"), create(simulator, "second@example.com")
        simulator.org.step(first, "activate")
        simulator.org.update(second, {"title": "Countess"})

        async def types(**query: Any) -> list[str]:
            return [event.event_type for event in await done(okta.list_log_events(**query))]

        assert await types(filter='eventType sw "user.lifecycle"') == [
            "user.lifecycle.create", "user.lifecycle.create", "user.lifecycle.activate",
        ]  # fmt: skip
        assert await types(filter=f'target.id eq "{second}"') == [
            "user.lifecycle.create",
            "user.account.update_profile",
        ]
        both = f'target.id eq "{first}" and (eventType eq "user.lifecycle.activate" or outcome.result eq "FAILURE")'
        assert await types(filter=both) == ["user.lifecycle.activate"]
        assert await types(q="second@example.com") == ["user.lifecycle.create", "user.account.update_profile"]
        assert await types(q="nobody") == []


async def test_a_window_comes_to_an_end_page_by_page():
    """paginate_all gets each event of a window once and in order; the last page has no next."""
    async with org(users=20) as (simulator, okta):
        change(simulator, 200)
        at(simulator, 1)
        window = {"since": simulator.log.dump()["events"][0]["published"], "until": "2999-01-01T00:00:00Z"}
        paged = [event async for event in paginate_all(okta.list_log_events, limit=17, **window)]
        pages = [more async for _, _, more in paginate_pages(okta.list_log_events, limit=100, **window)]
        real = {event["uuid"] for event in simulator.log.dump()["events"]}
    assert len(paged) == len(real)
    assert {event.uuid for event in paged} == real
    assert [event.published for event in paged] == sorted(event.published for event in paged)
    assert pages[-1] is False
    assert all(pages[:-1])


async def test_a_poller_that_follows_next_gets_what_comes_later():
    """Without `until` there is a next behind the newest event and behind an empty page, and it has what came since."""
    async with org() as (simulator, okta):
        create(simulator, "first@example.com")
        executor = okta.get_request_executor()
        request, _ = await executor.create_request("GET", "/api/v1/logs?limit=10")
        _, answer, body, _ = await executor.fire_request(request)
        page, seen_logins = OktaAPIResponse(executor, request, answer, body), []
        for login in ("", "second@example.com", "", "third@example.com"):
            if login:
                create(simulator, login)
            assert page.has_next()
            events, error = await page.next()
            assert error is None
            seen_logins.append([target["alternateId"] for event in events for target in event["target"]])
    assert [event["target"][0]["alternateId"] for event in page.get_body()] == ["first@example.com"]
    assert seen_logins == [[], ["second@example.com"], [], ["third@example.com"]]


async def test_a_poller_gets_the_rows_that_come_late():
    """A row that reaches the log behind a newer one is in the next page, and each row comes once."""
    async with org(late_rows=1.0, late_seconds=HOUR) as (simulator, okta):
        for number in range(10):
            create(simulator, f"user{number}@example.com")
        simulator.faults.merge({"late_rows": 0.0})
        create(simulator, "prompt@example.com")
        found, cursor = [], None
        for hours in (0, 0.25, 0.5, 0.75, 1):
            at(simulator, hours)
            events, answer, error = await okta.list_log_events(after=cursor)
            assert error is None
            found += who(events)
            cursor = PaginationHelper.extract_next_cursor(answer.headers)
    assert found[0] == "prompt@example.com"
    assert len(found) == 11
    assert set(found[1:]) == {f"user{number}@example.com" for number in range(10)}


async def test_a_mistake_comes_as_an_error():
    """400 with Okta's code and a summary."""
    mistakes: list[tuple[str, dict[str, Any]]] = [
        ("E0000001", {"since": "yesterday"}),
        ("E0000001", {"limit": 1001}),
        ("E0000001", {"after": "no cursor"}),
        ("E0000053", {"since": "2019-01-01T00:00:00Z"}),
        ("E0000053", {"filter": "nothing at all"}),
        ("E0000031", {"filter": 'debugContext.debugData.url co "x"'}),
    ]
    async with org() as (_, okta):
        for code, query in mistakes:
            with pytest.raises(OktaAPIError) as mistake:
                await done(okta.list_log_events(**query))
            assert (mistake.value.status, mistake.value.error_code) == (400, code)
            assert mistake.value.error_summary
