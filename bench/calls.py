"""How many calls to Okta events cost, counted by the simulated org, with Okta's own rate limits in force."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx2

from bench.bodies import PATH, SECRET, event, hook_body
from bench.figures import Aim, Figure
from bench.processes import BenchError, part, process
from bench.progress import tell
from bench.scale import Scale
from bench.service import configure_by_events, is_drained, left, seconds_to_rows

#: Ten thousand in a minute.
EVENTS_A_SECOND = 170
EVENTS = {"full": 10_000, "short": 3_000, "gate": 1_000}
#: What the simulated org gathers for a delivery, too: a tenth of a second.
EVENTS_A_DELIVERY = 17
HOT_USERS = 100
LATENCY_MS = 50
#: What takes longer is computed from how far it is by then.
LIMIT_SECONDS = 180.0
POLL_SECONDS = 0.1
#: A receiver that reads the user of each event, as tutorials show it.
OTHERS = 1000.0
TRAFFIC = "/_sim/traffic"

#: Makes events, and returns when all of them are delivered; how many there were.
#: It is given a client of the org, and the address of the hook.
Generate = Callable[[httpx2.Client, str], int]


@dataclass(frozen=True, slots=True)
class Spent:
    """What events cost.

    Attributes:
        reads: calls that read users, by id or by search.
        by_bucket: all calls, those for the System Log too.
        seconds: from the first event until every user was in the target.
        is_computed: it was not waited for to the end.
    """

    events: int
    reads: float
    by_bucket: dict[str, int]
    seconds: float
    is_computed: bool


def measure(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Many users once each, then a few users again and again."""
    count, rounds = EVENTS[scale.name], scale.rounds if scale.is_full else 1
    imported: list[Spent] = []
    changed: list[Spent] = []
    for number in range(rounds):
        tell(f"calls: round {number + 1} of {rounds}")
        imported.append(_spent(folder / f"import{number}", count, partial(_import, count=count)))
        changed.append(_spent(folder / f"hot{number}", HOT_USERS, partial(_change, changes=count)))
    # Of ten thousand: the fewer there are, the more are still read while calls are plenty.
    aims = (Aim("<=", 10.0), Aim("<=", 60.0)) if scale.is_full else (None, None)
    yield from _figures("import", f"{count:,} imported users, an event each", imported, aims[0])
    yield from _figures("hot", f"{count:,} changes of {HOT_USERS} users", changed, aims[1])


def _figures(what: str, title: str, runs: Sequence[Spent], aim: Aim | None) -> Iterator[Figure]:
    for_thousand = [spent.reads / spent.events * 1000 for spent in runs]
    last = runs[-1]
    calls = ", ".join(f"{name} {count:,}" for name, count in sorted(last.by_bucket.items()))
    about = f"the last of {last.events:,} events, calls by rate limit: {calls}; others make {OTHERS:,.0f}, one an event"
    yield Figure(f"calls/{what}/per-1000", f"calls for 1,000 events, {title}", "", for_thousand, aim, about)
    fewer = [OTHERS / each for each in for_thousand]
    yield Figure(f"calls/{what}/ratio", f"fewer calls than one an event, {title}", "x", fewer)
    about = "computed: it was not waited for to the end" if any(spent.is_computed for spent in runs) else ""
    seconds = [spent.seconds for spent in runs]
    yield Figure(f"calls/{what}/converge", f"first event to last row, {title}", "s", seconds, about=about)


def _spent(folder: Path, users: int, generate: Generate) -> Spent:
    """Run an org that has so many users, and a service that has read none of them."""
    command = ["rosterhook.simulator", "--users", str(users), "--latency-ms", str(LATENCY_MS), "--principal-share", "1"]
    with process(command, folder, r"listening on (\S+)") as org:
        config, data = configure_by_events(folder, org.url), folder / "data"
        with (
            part("web", config) as web,
            part("worker", config),
            httpx2.Client(base_url=org.url, trust_env=False, timeout=30) as http,
        ):
            started = time.monotonic()
            events = generate(http, web.url + PATH)
            is_done = is_drained(data, LIMIT_SECONDS - (time.monotonic() - started))
            waiting = 0 if is_done else left(data)
            by_bucket: dict[str, int] = http.get("/_sim/calls").json()["by_bucket"]
            if waiting >= users:
                raise BenchError(f"nobody was read within {LIMIT_SECONDS:.0f} s")
            part_of_all = users / (users - waiting)
            reads = by_bucket.get("user", 0) + by_bucket.get("users", 0)
            return Spent(events, reads * part_of_all, by_bucket, seconds_to_rows(data) * part_of_all, not is_done)


def _import(http: httpx2.Client, hook: str, *, count: int) -> int:
    """Tell of each user once. A directory's import has made them, so the org itself has told nothing."""
    users = http.get("/_sim/truth").json()["users"]
    tell(f"calls: {count:,} users imported")
    started = time.monotonic()
    for first in range(0, count, EVENTS_A_DELIVERY):
        time.sleep(max(0.0, started + first / EVENTS_A_SECOND - time.monotonic()))
        body = _delivery(first, users[first : first + EVENTS_A_DELIVERY])
        http.post(hook, content=body, headers={"Authorization": SECRET}).raise_for_status()
    return count


def _delivery(first: int, users: Sequence[dict[str, Any]]) -> bytes:
    """An event for each user, of the moment at which the user was made."""
    stamps = [(number, user["id"], user["lastUpdated"]) for number, user in enumerate(users, first)]
    envelope = json.loads(hook_body(*stamps[0]))
    envelope["data"]["events"] = [event(*each) | {"eventType": "user.lifecycle.create"} for each in stamps]
    return json.dumps(envelope).encode()


def _change(http: httpx2.Client, hook: str, *, changes: int) -> int:
    """Have the org change its users at random, and tell of it."""
    tell(f"calls: {changes:,} changes of {HOT_USERS} users")
    http.post("/_sim/hook", json={"url": hook, "secret": SECRET}).raise_for_status()
    job = {"changes": changes, "per_second": EVENTS_A_SECOND, "mix": {"update": 1}}
    http.post(TRAFFIC, json=job).raise_for_status()
    for _ in range(int(LIMIT_SECONDS / POLL_SECONDS)):
        found = http.get(TRAFFIC).json()
        if not found["running"] and not found["deliveries"]["pending"]:
            return int(found["events"])
        time.sleep(POLL_SECONDS)
    raise BenchError("the org's traffic does not end")
