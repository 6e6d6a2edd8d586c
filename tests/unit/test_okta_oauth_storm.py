"""The login as a service app when there is no token to be had, or none that the API takes: no storm of requests."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from okta_app import ORG, USER, App, Refused
from okta_org import EPOCH, limited

from rosterhook.errors import OktaError, OktaRateLimited, OktaUnauthorized, OktaUnavailable
from rosterhook.okta.oauth import PAUSE
from rosterhook.okta.token_endpoint import AccessToken
from rosterhook.okta.window import LONGEST_WAIT

RESET = 30
DOWN = httpx2.Response(503)
WRONG_KEY = httpx2.Response(401, json={"error": "invalid_client"}, headers={"x-okta-request-id": "req-3"})


@pytest.fixture
async def app() -> AsyncIterator[App]:
    app = App()
    yield app
    await app.aclose()


async def crowd(app: App, calls: int) -> list[object]:
    """What becomes of so many calls at once."""
    return await asyncio.gather(*(app.client.user("00u1") for _ in range(calls)), return_exceptions=True)


def refuse_every_token(app: App) -> None:
    """The token endpoint gives tokens, and the API takes none of them."""

    def refuse(_request: httpx2.Request) -> None:
        raise Refused(401, "invalid_token", "The access token is invalid.")

    app._admit = refuse  # type: ignore[method-assign]


async def test_a_failure_is_that_of_all_until_the_pause_is_over(app: App) -> None:
    """Two hundred calls, a few at a time, with a key that Okta refuses: one request for a token in each pause."""
    app.outage = WRONG_KEY
    for pause in range(3):
        app.now = pause * PAUSE
        for moment in (0.0, PAUSE - 0.1):
            app.now = pause * PAUSE + moment
            assert {type(result) for result in await crowd(app, 100)} == {OktaUnauthorized}
        assert len(app.asked) == pause + 1
    app.outage, app.now = None, 3 * PAUSE
    assert await crowd(app, 100) == [USER] * 100
    assert len(app.asked) == 4


async def test_each_call_gets_an_error_of_its_own_that_says_the_same(app: App) -> None:
    """One error raised in many tasks would mix up their tracebacks: each has another, all with the same words."""
    app.outage = WRONG_KEY
    errors = [*await crowd(app, 3), *await crowd(app, 2)]
    assert len({id(error) for error in errors}) == 5
    told = {
        (str(error), error.status, error.code, error.request_id) for error in errors if isinstance(error, OktaError)
    }
    [(words, *codes)] = told
    assert "okta.client_id" in words
    assert codes == [401, "invalid_client", "req-3"]
    assert all(isinstance(error, OktaUnauthorized) and error.__context__ is None for error in errors)


@pytest.mark.parametrize(
    ("refusal", "pause"),
    [
        (limited(left=RESET), RESET + 1),
        (limited(left=1), PAUSE),
        (limited(left=-100), PAUSE),
        (limited(left=9_999_999), LONGEST_WAIT),
        (limited(limit=0, left=RESET), PAUSE),
        (httpx2.Response(429, headers={"x-rate-limit-reset": str(EPOCH)}), PAUSE),
        (httpx2.Response(503, headers=limited(left=RESET).headers), PAUSE),
    ],
    ids=["reset", "soon", "past", "never", "parallel", "no date", "down"],
)
async def test_a_429_pauses_until_its_reset(app: App, refusal: httpx2.Response, pause: float) -> None:
    """No token is asked for before Okta's window ends, by Okta's clock, and never for less than PAUSE."""
    app.outage = refusal
    await crowd(app, 3)
    app.outage = None
    app.now = pause - 0.1
    results = await crowd(app, 3)
    assert all(isinstance(result, OktaRateLimited | OktaUnavailable) for result in results)
    assert len(app.asked) == 1
    app.now = pause
    assert await crowd(app, 3) == [USER] * 3


async def test_a_429_is_forgotten_by_the_next_failure(app: App) -> None:
    """How long to wait is what the last answer says, not one before; no answer at all says nothing."""
    app.outage = limited(left=RESET)
    await crowd(app, 1)
    app.now, app.outage = 100.0, httpx2.ConnectError("refused")
    await crowd(app, 1)
    app.now, app.outage = 100.0 + PAUSE, None
    assert await crowd(app, 1) == [USER]


async def test_a_new_token_that_is_refused_is_not_renewed(app: App) -> None:
    """If Okta's API takes none of the tokens, each pause costs one more, and the callers are told what to check."""
    refuse_every_token(app)
    for pause in range(3):
        app.now = pause * PAUSE
        for result in await crowd(app, 100):
            assert isinstance(result, OktaUnauthorized)
            assert (result.status, result.code) == (401, "invalid_token")
            assert result.hint
        await crowd(app, 100)
        assert len(app.asked) == pause + 1


async def test_a_token_that_was_refused_while_it_was_renewed_is_used_no_more(app: App) -> None:
    """A renewal that fails leaves the old token at work, but not one that Okta has refused meanwhile."""
    old = await app.auth.headers("GET", ORG)
    app.now, app.gate, app.outage = 3400.0, asyncio.Event(), DOWN
    app.was_asked.clear()
    renewing = asyncio.create_task(app.auth.headers("GET", ORG))
    await app.was_asked.wait()
    assert app.auth.learn(old, 401, httpx2.Headers(), b"")
    app.gate.set()
    with pytest.raises(OktaUnavailable):
        await renewing


ROUNDS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.1, PAUSE - 0.1, PAUSE, RESET, 60.0, 3300.0, 3600.0]),
        st.integers(1, 15),
        st.sampled_from(["good", "down", "limited", "refused"]),
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(rounds=ROUNDS)
async def test_no_crowd_and_no_order_of_faults_makes_a_storm(rounds: list[tuple[float, int, str]]) -> None:
    """Whatever fails, in whatever order: tokens are asked for at least a pause apart, and a good org heals it all."""
    app = App()
    asked: list[tuple[float, str]] = []
    ask, admit = app.endpoint.ask, app._admit

    async def watched(scopes: Sequence[str]) -> AccessToken:
        asked.append((app.now, state))
        return await ask(scopes)

    app.endpoint.ask = watched  # type: ignore[method-assign]
    for wait, calls, state in [*rounds, (LONGEST_WAIT, 15, "good")]:
        app.now += wait
        app.outage = {"down": DOWN, "limited": limited(left=RESET)}.get(state)
        app._admit = admit  # type: ignore[method-assign]
        if state == "refused":
            refuse_every_token(app)
        results = await crowd(app, calls)
        assert all(result == USER or isinstance(result, OktaError) for result in results)
    assert results == [USER] * 15
    for (before, state), (after, _) in itertools.pairwise(asked):
        assert after - before >= (RESET + 1 if state == "limited" else PAUSE) - 0.001
    await app.aclose()
