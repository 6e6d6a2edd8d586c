"""`status`, `users` and `events`: how things stand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Annotated, Any

import apsw
from cyclopts import Parameter, validators
from rich.table import Table
from rich.text import Text

from rosterhook.access import ROLE
from rosterhook.cli.common import AsJson, ConfigPath, load, out, plain, print_json, to_json
from rosterhook.cli.opened import with_stores
from rosterhook.cli.tables import add, table_of
from rosterhook.directory import shown
from rosterhook.model import ORG, iso, now_ms
from rosterhook.okta import events as okta_events
from rosterhook.status import Status, read_status
from rosterhook.store.database import Database
from rosterhook.store.queries import rows
from rosterhook.stores import Stores

PAGE = 500
NEWEST = 50
FOLLOW_SECONDS = 0.5

MOST = 2**63 - 1  # the largest number that SQLite takes

Limit = Annotated[
    int | None,
    Parameter(
        validator=validators.Number(gte=0, lte=MOST),
        help="At most so many. Default: 50 in a terminal, all of them with --json.",
    ),
]
#: The sequence number of an event, and the event as it is shown.
Numbered = tuple[int, dict[str, Any]]


def status(*, config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Show how things stand: what arrived, what waits, and how each target keeps up."""
    loaded = load(config)
    names = [target.name for target in loaded.targets]
    found = with_stores(loaded, lambda s: read_status(s.inbox.database, s.state, names, now_ms()))
    if as_json:
        print_json(found)
    else:
        _print_status(found)


def users(*, config: ConfigPath = None, as_json: AsJson = False, limit: Limit = None) -> None:
    """List the users as Okta has them; those who are gone keep a tombstone, with status DELETED."""

    async def work(stores: Stores) -> None:
        pages = _user_pages(stores.state, limit if limit is not None else (None if as_json else NEWEST))
        if as_json:
            print_json([row async for row in pages])
            return
        table = table_of("Id", "Status", "Login", "Version", "Changed")
        async for row in pages:
            kept = row["rosterhook"]
            login = (row.get("profile") or {}).get("login", "")
            add(table, row["id"], row.get("status", ""), login, kept["version"], kept["changed"])
        out.print(table)

    with_stores(load(config), work)


def events(
    *,
    config: ConfigPath = None,
    as_json: AsJson = False,
    follow: Annotated[bool, Parameter(negative="", help="Print further events as they arrive.")] = False,
    user: Annotated[str | None, Parameter(help="Only events that name the user with this Okta id.")] = None,
    limit: Limit = None,
) -> None:
    """List the events that Okta sent, the newest last. With --json --follow: one JSON object a line."""

    async def work(stores: Stores) -> None:
        count = limit if limit is not None else (None if as_json and not follow else NEWEST)
        newest, last = await stores.state.read(lambda db: _newest_events(db, user, count))
        if as_json and not follow:
            print_json([shown for _, shown in newest])
            return
        _print_events(newest, as_json)
        if follow:
            await _follow(stores.state, user, last, as_json)

    with_stores(load(config), work)


async def _user_pages(state: Database, limit: int | None) -> AsyncIterator[dict[str, Any]]:
    after, left = "", limit if limit is not None else float("inf")
    while left > 0:
        values = {"org": ORG, "after": after, "limit": int(min(PAGE, left))}
        page = await state.read(lambda db, values=values: rows(db, "list_users", values))  # type: ignore[misc]
        for row in page:
            after = row[0]
            yield shown(row)
        left = left - len(page) if page else 0


def _newest_events(db: apsw.Connection, user: str | None, limit: int | None) -> tuple[list[Numbered], int]:
    """The newest events, and after which number those begin that are newer than all there are now."""
    values = {"org": ORG, "user": user, "limit": -1 if limit is None else limit}
    last = rows(db, "newest_events", {"org": ORG, "user": None, "limit": 1})
    return [_shown(row) for row in reversed(rows(db, "newest_events", values))], last[0][0] if last else 0


async def _follow(state: Database, user: str | None, after: int, as_json: bool) -> None:
    while True:
        await asyncio.sleep(FOLLOW_SECONDS)
        more = await state.read(lambda db, after=after: _events_after(db, user, after))  # type: ignore[misc]
        _print_events(more, as_json)
        after = more[-1][0] if more else after


def _events_after(db: apsw.Connection, user: str | None, after: int) -> list[Numbered]:
    values = {"org": ORG, "user": user, "after": after, "limit": PAGE}
    return [_shown(row) for row in rows(db, "events_after", values)]


def _shown(row: tuple[Any, ...]) -> Numbered:
    seq, uuid, event_type, published_ms, outcome, source, hook_arrivals, log_arrivals, received_ms, problem, body = row
    return seq, {
        "uuid": uuid,
        "type": event_type,
        "published": iso(published_ms),
        "received": iso(received_ms),
        "outcome": outcome,
        "users": [user.id for user in okta_events.parse(body).users],
        "source": source,
        "arrivals": {"hook": hook_arrivals, "log": log_arrivals},
        "problem": problem,
    }


def _print_events(found: Iterable[Numbered], as_json: bool) -> None:
    for _, event in found:
        if as_json:
            out.out(to_json(event), highlight=False)
            continue
        when = (event["published"] or event["received"] or "")[:19].replace("T", " ")
        told = event["problem"] or ", ".join(event["users"])
        rest = f"  {event['type'] or '?':<40} {event['outcome']:<8} {told}"
        out.print(Text.assemble((when, "dim"), plain(rest)), soft_wrap=True)


def _print_status(found: Status) -> None:
    lag, okta, people = found["lag_seconds"], found["okta"], found["users"]
    facts = {
        "Worker": "running" if found["worker"]["running"] else plain("not running", "red"),
        "Okta": plain(okta["error"], "red") if okta["error"] else _mode(okta["mode"]),
        "Deliveries": "{received:,} received, {waiting:,} waiting, {quarantined:,} in quarantine".format(
            **found["deliveries"]
        ),
        **_refused(found["hook"]),
        "System Log": _log(found["log"]),
        "Events": "{stored:,} stored, {duplicates:,} came again".format(**found["events"]),
        "To read": "{due:,} due, {parked:,} parked".format(**found["subjects"]),
        **_warnings(found),
        "Users": "{active:,} active of {total:,}, {deleted:,} deleted".format(**people),
        "Lag": "nothing written yet" if lag["p50"] is None else f"{lag['p50']:.2f} s median, {lag['p99']:.2f} s p99",
    }
    grid = Table.grid(padding=(0, 2))
    for name, fact in facts.items():
        add(grid, plain(name, "bold"), fact)
    out.print(grid)
    table = table_of("Target", "In sync", "Pending", "Parked", "Held", "State")
    for target in found["targets"]:
        counts = (f"{target[key]:,}" for key in ("in_sync", "pending", "parked", "held"))
        add(table, target["name"], *counts, plain(target["error"], "red") if target["error"] else "accepts")
    out.print(table)


def _refused(hook: dict[str, Any]) -> dict[str, Text]:
    if not hook["refused"]:
        return {}
    told = f"{hook['refused']:,} calls of Okta had a wrong secret, the last {hook['refused_seconds_ago']:,.0f} s ago:"
    return {"Refused": plain(f"{told} `rosterhook hook status` tells more", "red")}


def _log(told: dict[str, Any]) -> object:
    if not told["followed"]:
        return "not followed"
    if told["error"]:
        return plain(told["error"], "red")
    age = told["polled_seconds_ago"]
    return "followed" if age is None else f"followed, read {age:,.0f} s ago"


def _warnings(found: Status) -> dict[str, object]:
    """What a person should look at; nothing when all is well."""
    told: dict[str, object] = {}
    if found["hook"]["warning"]:
        told["Hook"] = plain(found["hook"]["warning"], "red")
    if found["okta"]["access"]:
        told["Access"] = plain(f"{found['okta']['access']}: nobody is deleted. {ROLE}", "red")
    if held := sum(target["held"] for target in found["targets"]):
        told["Held"] = plain(f"{held:,} removals wait for you: `rosterhook holds`", "red")
    if sweep := found["sweeps"]["current"]:
        hindered = plain(f": {sweep['error']}", "red") if sweep["error"] else Text("")
        told["Full read"] = Text.assemble(f"{sweep['kind']}, {sweep['phase']}, {sweep['listed']:,} users", hindered)
    elif (sweep := found["sweeps"]["last"]) and sweep["error"]:
        told["Full read"] = plain(f"{sweep['kind']} failed: {sweep['error']}", "red")
    return told


def _mode(mode: str) -> str:
    modes = {
        "token": "read with an API token",
        "service_app": "read as a service app",
        "events": "not asked: users are built from events alone (no login to Okta)",
    }
    return modes.get(mode, "not known yet")
