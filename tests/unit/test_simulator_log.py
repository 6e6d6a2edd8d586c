"""The simulated System Log: polling loses nothing however late rows arrive; a bounded window may."""

from __future__ import annotations

import json
from random import Random

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rosterhook.simulator import Settings, in_process
from rosterhook.simulator.events import EventFactory, instant, target
from rosterhook.simulator.faults import Faults
from rosterhook.simulator.log import EventLog
from rosterhook.simulator.log_query import everything
from rosterhook.simulator.traffic import MIX, ON_REQUEST

START = 1_700_000_000.0
DAY = 86_400
PERSON = {"firstName": "Zoë", "lastName": "O'Connor", "login": "Zoe@example.com", "email": "zoe@example.com"}


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class World:
    """An org on a clock of its own, and its log over HTTP."""

    def __init__(self, clock: Clock, simulator, okta: httpx2.AsyncClient) -> None:
        self.clock = clock
        self.simulator = simulator
        self.okta = okta

    def happen(self, count: int, *, every: float = 1.0) -> list[str]:
        """That many events, so far apart; their uuids in order of time."""
        told = self.listen()
        for _ in range(count):
            self.clock.now += every
            self.simulator.org.tell_of("user.lifecycle.suspend", [target("User", "00u1", "a", "A")], "/api/v1/x")
        return [event["uuid"] for event in told]

    def listen(self) -> list[dict]:
        """What happens from now on, in the form that hooks get."""
        told: list[dict] = []
        hear = self.simulator._on_event
        self.simulator.org.on_event = lambda event: (told.append(event), hear(event))
        return told

    async def get(self, **params: object) -> httpx2.Response:
        answer = await self.okta.get("/api/v1/logs", params={name: str(value) for name, value in params.items()})
        assert answer.status_code == 200, answer.text
        return answer

    async def follow(self, answer: httpx2.Response) -> httpx2.Response:
        return await self.okta.get(answer.links["next"]["url"])


@pytest.fixture
async def world():
    clock = Clock()
    async with in_process(Settings(rate_multiplier=1000), clock=clock) as (simulator, okta):
        yield World(clock, simulator, okta)


def uuids(answer: httpx2.Response) -> list[str]:
    return [event["uuid"] for event in answer.json()]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 999),
    lateness=st.tuples(st.floats(0.1, 1.0), st.floats(0.001, 30)),
    steps=st.lists(st.tuples(st.floats(-3, 5), st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=40),
)
def test_a_poller_that_follows_next_sees_every_event_once(seed, lateness, steps):
    """Whatever is late, and even when the clock steps back, each event comes behind the cursor exactly once."""
    clock = Clock()
    late_rows, late_seconds = lateness
    log = EventLog(Settings(seed=seed, late_rows=late_rows, late_seconds=late_seconds), Faults(Random(seed)), clock)
    factory = EventFactory(Random(seed), clock)
    happened, seen, cursor = [], [], None
    for wait, events, polls in [*steps, (late_seconds + 999, 0, 99)]:
        clock.now += wait
        for _ in range(events):
            event = factory.make("user.lifecycle.create", [target("User", "00u1", "a", "A")], uri="/")
            happened.append(event["uuid"])
            log.append(event)
        for _ in range(polls):
            page = log.poll(0, cursor, 3, everything)
            seen += [event["uuid"] for event in page.events]
            cursor = page.last or cursor
    assert len(seen) == len(set(seen))
    assert set(seen) == set(happened)


async def test_late_rows_come_behind_later_events(world):
    """A late row is persisted behind what happened after it; polling shows it there, a window in its right place."""
    await world.okta.post("/_sim/faults", json={"late_rows": 1, "late_seconds": 60})
    [late] = world.happen(1)
    await world.okta.post("/_sim/faults", json={"late_rows": 0})
    later = world.happen(2, every=0.001)
    since, until = instant(START), instant(START + 100)
    window = await world.get(since=since, until=until)
    assert uuids(window) == later
    world.clock.now += 61
    assert uuids(await world.get(since=since)) == [*later, late]
    assert uuids(await world.get(since=since, until=until)) == [late, *later]


async def test_polling_always_has_a_next_page(world):
    """A polling page names the next one even when it is empty, and then it is the page itself, as recorded."""
    empty = await world.get(since=instant(START), filter='eventType sw "user."')
    assert empty.json() == []
    assert empty.links["next"]["url"] == empty.links["self"]["url"]
    first = world.happen(3)
    page = await world.follow(empty)
    assert uuids(page) == first
    behind = await world.follow(page)
    assert behind.json() == []
    assert behind.links["next"]["url"] == behind.links["self"]["url"] == page.links["next"]["url"]
    then = world.happen(1)
    assert uuids(await world.follow(behind)) == then


async def test_links_are_headers_of_their_own_as_recorded(world):
    """Each Link is a header; the cursor is milliseconds and a number, and stands last."""
    world.happen(2)
    page = await world.get(since="2023-11-14T00:00:00.000Z", filter='eventType eq "user.lifecycle.suspend"', limit=1)
    links = page.headers.get_list("link")
    common = "since=2023-11-14T00%3A00%3A00.000Z&filter=eventType+eq+%22user.lifecycle.suspend%22&limit=1"
    base = "http://simulated.okta.example/api/v1/logs"
    assert links == [
        f'<{base}?{common}>; rel="self"',
        f'<{base}?{common}&after={int(START + 1) * 1000}_1>; rel="next"',
    ]


@pytest.mark.parametrize("order", ["ASCENDING", "DESCENDING"])
async def test_a_bounded_request_comes_to_an_end(world, order):
    """A window by `published` has pages in either order, and the last of them no next link."""
    happened = world.happen(7, every=0.0005)
    page = await world.get(since=instant(START - 1), until=instant(START + 9), limit=3, sortOrder=order)
    pages = [page]
    while "next" in pages[-1].links:
        pages.append(await world.follow(pages[-1]))
    seen = [uuid for each in pages for uuid in uuids(each)]
    assert len(pages) == 3
    assert seen == (happened if order == "ASCENDING" else happened[::-1])


async def test_descending_without_until_is_no_polling(world):
    """The newest first, and an end: only ascending requests without `until` go on for ever."""
    happened = world.happen(2)
    world.clock.now += 1
    page = await world.get(sortOrder="DESCENDING")
    assert uuids(page) == happened[::-1]
    assert "next" not in page.links


async def test_since_is_persistence_in_a_poll_and_publication_in_a_window(world):
    """What happened before `since` but was persisted after it belongs to a poll, not to a window."""
    await world.okta.post("/_sim/faults", json={"late_rows": 1, "late_seconds": 10})
    [late] = world.happen(1)
    since = instant(world.clock.now + 0.001)
    world.clock.now += 20
    assert uuids(await world.get(since=since)) == [late]
    assert uuids(await world.get(since=since, until=instant(world.clock.now))) == []


async def test_default_since_and_retention(world):
    """Without since a week is meant; what is older than 90 days is silently absent; 180 days are too much."""
    old = world.happen(1)
    world.clock.now += 8 * DAY
    new = world.happen(1)
    assert uuids(await world.get()) == new
    assert uuids(await world.get(since=instant(START))) == old + new
    world.clock.now += 83 * DAY
    assert uuids(await world.get(since=instant(START))) == new
    world.clock.now += 90 * DAY
    answer = await world.okta.get("/api/v1/logs", params={"since": instant(START)})
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "E0000053")


async def test_a_cursor_outlives_the_default_since(world):
    """A poller that pauses for longer than a week goes on where it was."""
    world.happen(1)
    page = await world.get()
    missed = world.happen(2)
    world.clock.now += 30 * DAY
    assert uuids(await world.follow(page)) == missed


async def test_limits(world):
    """100 events unless asked for 0 to 1000."""
    world.happen(101, every=0.01)
    assert [len((await world.get(**ask)).json()) for ask in ({}, {"limit": 0}, {"limit": 1000})] == [100, 0, 101]


@pytest.mark.parametrize(
    ("params", "code", "text"),
    [
        ({"limit": "1001"}, "E0000001", "limit"),
        ({"limit": "-1"}, "E0000001", "limit"),
        ({"since": "yesterday"}, "E0000001", "since"),
        ({"until": "2023-13-01T00:00:00Z"}, "E0000001", "until"),
        ({"sortOrder": "UP"}, "E0000001", "sortOrder"),
        ({"after": "5f4dcc3b-5aa7-65d6-1d83-27deb882cf99"}, "E0000001", "must be a valid value"),
        ({"q": "x" * 41}, "E0000001", "40 characters"),
        ({"q": "a b c d e f g h i j k"}, "E0000001", "10"),
        ({"filter": 'published gt "2023-01-01T00:00:00Z"'}, "E0000053", "field is not valid: published"),
        ({"filter": 'some_invalid_field eq "x"'}, "E0000053", "field is not valid: some_invalid_field"),
        ({"filter": 'displayMessage eqq "x"'}, "E0000053", "Unrecognized attribute operator 'eqq' at position 15"),
        ({"filter": 'target[type eq "User"]'}, "E0000053", "field is not valid: target[type"),
        ({"filter": 'debugContext.debugData.url co "api"'}, "E0000031", "Operator: co, Field: debugContext"),
        ({"filter": "eventType eq"}, "E0000053", "Invalid filter"),
        ({"filter": "eventType sw 5"}, "E0000053", "Invalid filter"),
    ],
)
async def test_what_cannot_be_read_is_refused_in_oktas_words(world, params, code, text):
    """Each mistake is a 400 with the code, and where Okta's guide has one the text, of Okta."""
    answer = await world.okta.get("/api/v1/logs", params=params)
    assert (answer.status_code, answer.json()["errorCode"]) == (400, code)
    assert text in answer.json()["errorSummary"]


async def test_cursors_can_grow_too_old(world):
    """With the fault refuse_cursors every cursor is a 400, and a request without one works."""
    world.happen(1)
    page = await world.get()
    await world.okta.post("/_sim/faults", json={"refuse_cursors": True})
    assert (await world.follow(page)).status_code == 400
    assert len((await world.get()).json()) == 1


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ('target.id eq "{id}"', {"create", "activate", "suspend", "lock"}),
        ('target.id eq "{id}" and eventType ew "suspend"', {"suspend"}),
        ('eventType sw "user.life" and not (eventType co "active" or eventType co "activate")', {"create", "suspend"}),
        ('outcome.result ne "SUCCESS"', {"lock"}),
        ('actor.id eq "{id}" and actor.type eq "User"', {"lock"}),
        ('debugContext.debugData.requestUri ew "/lifecycle/suspend"', {"suspend"}),
        ("debugContext.debugData.changedAttributes pr", set()),
        ('transaction.type eq "WEB" and securityContext.isProxy eq false and target.type eq "User"', None),
        ('request.ipChain.ip sw "203.0.113." and eventType gt "user.lifecycle"', {"create", "activate", "suspend"}),
    ],
)
async def test_filters_ask_for_attributes_of_events(world, expression, found):
    """All operators of SCIM work on the attributes of an event, also on those of any of its targets."""
    user_id = world.simulator.org.create(PERSON, password=True)["id"]
    world.simulator.org.step(user_id, "suspend")
    world.simulator.org.step(user_id, "unsuspend")
    world.simulator.org.step(user_id, "lock")
    world.simulator.org.create({**PERSON, "login": "other@example.com"}, activate=False)
    events = (await world.get(filter=expression.replace("{id}", user_id))).json()
    mine = {e["eventType"].rpartition(".")[2] for e in events if e["target"][0]["id"] == user_id} - {"unsuspend"}
    assert mine == ({"create", "activate", "suspend", "lock"} if found is None else found)


async def test_keywords_are_words_in_any_case(world):
    """Every keyword of `q` has to be a word of some value; part of a word is not enough."""
    world.simulator.org.create(PERSON)
    assert [len((await world.get(q=words)).json()) for words in ("ZOË o'connor", "zoe@example.com", "zo")] == [2, 2, 0]


async def test_the_log_has_its_own_form_of_an_event(world):
    """The chain of addresses is in `request`, nothing says insertionTimestamp, and the keys are the recorded ones."""
    told = world.listen()
    world.simulator.org.create(PERSON, activate=False)
    [event] = (await world.get()).json()
    assert list(event) == [
        "actor", "client", "device", "authenticationContext", "displayMessage", "eventType", "outcome", "published",
        "securityContext", "severity", "debugContext", "legacyEventType", "transaction", "uuid", "version", "request",
        "target",
    ]  # fmt: skip
    assert "ipChain" not in event["client"]
    assert event["request"]["ipChain"][0]["ip"] == event["client"]["ipAddress"]
    # The hook's form is untouched.
    assert "insertionTimestamp" in told[0]
    assert told[0]["client"]["ipChain"] == event["request"]["ipChain"]


async def test_the_log_knows_what_no_hook_is_told(world, monkeypatch):
    """An expired password, a completed delete and an import are logged; no hook gets them."""
    offered: list[str] = []
    monkeypatch.setattr(world.simulator.hooks, "take", lambda event: offered.append(event["eventType"]))
    user_id = world.simulator.org.create(PERSON, password=True)["id"]
    world.simulator.org.step(user_id, "expire_password")
    world.simulator.org.update(user_id, {"title": "Lead"}, imported=True)
    for _ in range(2):
        world.simulator.org.delete(user_id)
    lifecycle = ("create", "activate", "deactivate", "delete.initiated")
    assert offered == [f"user.lifecycle.{name}" for name in lifecycle]
    logged = {event["eventType"] for event in (await world.get()).json()}
    assert logged - set(offered) == {
        "user.account.expire_password", "system.import.user.update", "user.lifecycle.delete.completed",
    }  # fmt: skip


async def test_an_import_happens_only_when_asked_for():
    """Traffic imports nobody unless its mix says so; then users change and hooks hear nothing."""
    assert not ON_REQUEST & set(MIX)
    async with in_process(Settings(users=20)) as (simulator, okta):
        before = (await okta.get("/_sim/truth")).json()["users"]
        await okta.post("/_sim/traffic", json={"changes": 30, "mix": {"import": 1}})
        while (await okta.get("/_sim/traffic")).json()["running"]:
            pass
        assert simulator.org.events == 0
        assert (await okta.get("/_sim/truth")).json()["users"] != before
        logged = (await okta.get("/api/v1/logs")).json()
    assert {event["eventType"] for event in logged} == {"system.import.user.update"}
    assert {event["transaction"]["type"] for event in logged} == {"JOB"}


async def test_a_log_survives_as_plain_data(world):
    """What was dumped and loaded answers alike: rows, order, cursors, and the rows still to come."""
    happened = world.happen(3, every=0.0004)
    page = await world.get(limit=2)
    await world.okta.post("/_sim/faults", json={"late_rows": 1, "late_seconds": 5})
    late = world.happen(1)
    dumped = json.loads(json.dumps(world.simulator.log.dump()))
    world.simulator.log = EventLog(Settings(), Faults(Random(0)), world.clock)
    world.simulator.log.load(dumped)
    rest = await world.follow(page)
    assert uuids(page) + uuids(rest) == happened
    world.clock.now += 10
    assert uuids(await world.follow(rest)) == late
