"""The simulated org against real ones: every recorded request is sent to it, and its answers are those recorded."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest
from comparing import differences
from openapi import SHARED
from recordings import Exchange, conversations
from replaying import staged

log = logging.getLogger(__name__)
PAGE = Path(__file__).parents[2] / "docs" / "simulator.md"
#: What rosterhook calls, or an admin beside it: users and their life, memberships, event hooks, the log, tokens.
CALLED = re.compile(
    r"/+api/v1/(users(/\{id\}(/(lifecycle|credentials)/\w+|/groups)?)?|groups(/\{id\}(/users(/\{id\})?)?)?|logs"
    r"|eventHooks(/\{id\}(/lifecycle/\w+)?)?)|/oauth2/v1/token"
)

pytestmark = pytest.mark.skipif(not (SHARED / "users").exists(), reason=f"no recorded exchanges in {SHARED}")


class Difference(NamedTuple):
    """Something that is not as recorded.

    Attributes:
        why: as the page about the simulator has it, word by word.
        lines: patterns for whole lines like "2020 GET /api/v1/users/{id} body.statusChanged: <seconds> for null".
    """

    why: str
    lines: tuple[str, ...]


DIFFERENCES = {
    "Applications": Difference(
        "not simulated: no user's record depends on them", (r".* /api/v1/apps/.* not simulated",)
    ),
    "Schemas and types of users": Difference(
        "not simulated: a profile may have any attribute of any type", (r".* /api/v1/meta/.* not simulated",)
    ),
    "Group rules": Difference(
        "not simulated: what counts is the membership, which a call can make",
        (r".* /api/v1/groups/rules\S* not simulated",),
    ),
    "Factors": Difference(
        "not simulated, and every list of them is empty: nobody signs in",
        (r".* /api/v1/users/\{id\}/factors\S* not simulated", r".* /api/v1/users/\{id\}/factors body: 0 rows for 1"),
    ),
    "Admin roles of users": Difference(
        "not simulated, and every list of them is empty: roles belong to API tokens and apps here",
        (r".* /api/v1/users/\{id\}/roles\S* not simulated", r".* /api/v1/users/\{id\}/roles body: 0 rows for 1"),
    ),
    "Subscriptions to Okta's mails": Difference(
        "not simulated: no mail is sent", (r".* /api/v1/users/\{id\}/subscriptions/.* not simulated",)
    ),
    "Signing in": Difference(
        "`lastLogin` stays null: nobody signs in", (r".* body\[\]\.lastLogin: null for <seconds>",)
    ),
    "The first admin": Difference(
        "`activated` is null for whoever Okta made together with the org; here everybody was created by a call",
        (r".* body\[\]\.activated: <seconds> for null",),
    ),
    "Order of lists": Difference(
        "by creation; recorded ones were by id, and since 2025 by status first. Okta promises none",
        (r".* body: another order",),
    ),
    "Orgs with realms": Difference(
        "no `realmId`; and `credentials.emails` is there, as in most recorded orgs but not in these",
        (r".* body\.realmId: absent", r".* body(\[\])?\.credentials\.emails: only here"),
    ),
    "Logos of groups": Difference(
        "their addresses lead to this org, not to a server of Okta's", (r".* body(\[\])?\._links\.logo\[\]\.href: .*",)
    ),
    "Keys of `debugData`": Difference(
        "Okta's differ from event to event and are no contract, says its description",
        (r".*\.debugData\.dtHash: absent", r".*\.debugData\.threatSuspected: only here"),
    ),
    "Headers for browsers": Difference(
        "`Set-Cookie`, `Content-Security-Policy` and the like are absent: no client of the API reads them",
        (r".* headers for browsers: absent",),
    ),
    "Answers of 2020": Difference(
        "Okta has changed them since, and this org answers as the newest recorded one: no `charset`, an `ETag` for a"
        " user, a link `self` on every page, `statusChanged` and more `_links` from the start, hooks with `description`"
        " and `filter`, another activation address, never 204 for a deactivation",
        (
            r"2020 .* header content-type: application/json for application/json;charset=UTF-8",
            r"2020 GET /api/v1/users/\{id\} header etag: only here",
            r"2020 GET /api/v1/users header link self: .* for none",
            r"2020 .* body(\[\])?\.statusChanged: <seconds> for null",
            r"2020 .* body\._links\.(forgotPassword|resetFactors): only here",
            r"2020 .* /api/v1/eventHooks.* body(\[\])?\.(description|events\.filter): only here",
            r"2020 .* body\.activationUrl: /tokens/<token>/verify for /welcome/<token>",
            r"2020 .*/lifecycle/deactivate status: 200 for 204",
        ),
    ),
    "Recordings that are none": Difference(
        "one file has ids that somebody made up, and one answer comes from no org's API",
        (
            r"2026 .*/users/00uFAKE\S* status: 404 for 200",
            r"2026 .* body\[\]\.type\.id: <oty> for otyFAKE\w+",
            r"2025 POST /api/v1/users status: 200 for 404",
        ),
    ),
}


class Result(NamedTuple):
    """One recorded exchange and how it is different here, in lines as `Difference` describes them."""

    exchange: Exchange
    lines: list[str]


@pytest.fixture(scope="module")
def results() -> list[Result]:
    """Every recorded exchange, replayed."""

    async def replay() -> list[Result]:
        found = []
        for conversation in conversations().values():
            async with staged(conversation) as stage:
                for exchange in conversation:
                    told = f"{time.gmtime(exchange.at).tm_year} {exchange.method} {exchange.template}"
                    answer = await stage.send(exchange)
                    lines = [f"{told} {line}" for line in differences(stage, exchange, answer)]
                    found.append(Result(exchange, lines))
        return found

    return asyncio.run(replay())


def _names(line: str) -> list[str]:
    """The differences that a line is one of."""
    return [name for name, each in DIFFERENCES.items() if any(re.fullmatch(one, line) for one in each.lines)]


def test_every_answer_is_as_recorded(results: list[Result]) -> None:
    """Status, headers, keys, types, forms and texts of every answer are the recorded ones, but for DIFFERENCES."""
    unexplained = [f"{each.exchange.source}: {line}" for each in results for line in each.lines if not _names(line)]
    assert unexplained == []


def test_no_difference_is_stale(results: list[Result]) -> None:
    """Each pattern of DIFFERENCES is still needed, and no line has two reasons."""
    lines = {line for each in results for line in each.lines}
    patterns = [pattern for each in DIFFERENCES.values() for pattern in each.lines]
    assert [pattern for pattern in patterns if not any(re.fullmatch(pattern, line) for line in lines)] == []
    assert [line for line in lines if len(_names(line)) > 1] == []


def test_every_difference_is_documented() -> None:
    """The page about the simulator has a row for each, with its reason, and no other."""
    table = PAGE.read_text("utf-8").split("### Against recorded exchanges")[1].split("\n#")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][2:]
    assert rows == [f"| {name} | {each.why} |" for name, each in DIFFERENCES.items()]


def test_all_that_is_called_here_is_simulated(results: list[Result]) -> None:
    """Hundreds of exchanges are replayed, and whatever rosterhook itself may call is answered."""
    names = [{name for line in each.lines for name in _names(line)} for each in results]
    alike = sum(each <= {"Headers for browsers"} for each in names)
    by_name = Counter(name for each in names for name in each)
    log.info("%d recorded exchanges; %d alike; differences by exchange: %s", len(results), alike, dict(by_name))
    called = [each for each in results if CALLED.fullmatch(each.exchange.template)]
    assert (len(results), len(called)) >= (280, 190)
    assert [each.exchange.source for each in called if any("not simulated" in line for line in each.lines)] == []


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("created", 17, "body.created: int for <seconds>"),
        ("status", "GONE", "body.status: GONE for STAGED"),
        ("lastLogin", "2020-08-27T18:15:57.123Z", "body.lastLogin: <milliseconds> for null"),
        ("profile", None, "body.profile: null for dict"),
        ("new", 1, "body.new: only here"),
    ],
)
async def test_the_comparison_can_complain(name: str, value: object, line: str) -> None:
    """A key, a type, a form or a text that is another is told, so that silence means something."""
    [conversation] = [each for each in conversations().values() if "test_group_users" in each[0].source]
    async with staged(conversation) as stage:
        answer = await stage.send(conversation[0])
        twisted = httpx2.Response(200, headers=answer.headers, json={**answer.json(), name: value})
        before = differences(stage, conversation[0], answer)
        after = differences(stage, conversation[0], twisted)
        assert set(after) - set(before) >= {line}, after
        assert differences(stage, conversation[0], httpx2.Response(400, json={})) == ["status: 400 for 200"]
