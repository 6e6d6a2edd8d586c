"""`status`, `users`, `events` and `parked`: how things stand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from typing import Annotated, Any

import apsw
from cyclopts import Parameter, validators
from rich.table import Table
from rich.text import Text

from rosterhook.cli.common import AsJson, ConfigPath, load, out, plain, print_json, to_json, with_stores
from rosterhook.directory import shown
from rosterhook.errors import RosterhookError
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
        table = _table("Id", "Status", "Login", "Version", "Changed")
        async for row in pages:
            kept = row["rosterhook"]
            login = (row.get("profile") or {}).get("login", "")
            _add(table, row["id"], row.get("status", ""), login, kept["version"], kept["changed"])
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


def parked(
    *,
    config: ConfigPath = None,
    as_json: AsJson = False,
    delivery: Annotated[
        int | None, Parameter(help="Print the body of the quarantined delivery with this number.")
    ] = None,
) -> None:
    """List what could not be understood, read or written, each with its reason. `replay` tries it again."""
    found = with_stores(load(config), lambda s: s.state.read(_parked))
    if delivery is not None:
        out.out(_body_of(found, delivery), highlight=False)
    elif as_json:
        print_json(found)
    else:
        _print_parked(found)


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


def _parked(db: apsw.Connection) -> dict[str, list[dict[str, Any]]]:
    everything = {"org": ORG, "limit": -1}
    return {
        "deliveries": [
            {
                "id": number,
                "delivery_seq": seq,
                "received": iso(received_ms),
                "reason": reason,
                "headers": json.loads(headers),
                "body": body.decode("utf-8", "replace"),
            }
            for number, seq, received_ms, reason, headers, body in rows(
                db, "list_quarantine", {**everything, "after": 0}
            )
        ],
        "reads": [
            {"user": user, "attempts": attempts, "reason": reason}
            for user, attempts, reason in rows(db, "list_parked_subjects", everything)
        ],
        "writes": [
            {"target": target, "user": user, "attempts": attempts, "reason": reason}
            for target, user, attempts, reason in rows(db, "list_parked_links", everything)
        ],
    }


def _body_of(found: dict[str, list[dict[str, Any]]], number: int) -> str:
    for one in found["deliveries"]:
        if one["id"] == number:
            return str(one["body"])
    raise RosterhookError(
        f"There is no delivery {number} in quarantine.", hint="`rosterhook parked` lists their numbers."
    )


def _print_parked(found: dict[str, list[dict[str, Any]]]) -> None:
    if not any(found.values()):
        out.print("Nothing is parked.")
        return
    if found["deliveries"]:
        table = _table("No.", "Received", "Reason", title="In quarantine: deliveries that were not understood")
        for one in found["deliveries"]:
            _add(table, one["id"], one["received"], one["reason"])
        out.print(table)
    if found["reads"]:
        table = _table("User", "Tries", "Reason", title="Parked: cannot be read from Okta")
        for one in found["reads"]:
            _add(table, one["user"], one["attempts"], one["reason"])
        out.print(table)
    if found["writes"]:
        table = _table("Target", "User", "Reason", title="Parked: cannot be written")
        for one in found["writes"]:
            _add(table, one["target"], one["user"], one["reason"])
        out.print(table)
    out.print("Mend the cause, then: [bold]rosterhook replay --parked[/] or [bold]--quarantined[/]")


def _print_status(found: Status) -> None:
    lag, okta, people = found["lag_seconds"], found["okta"], found["users"]
    facts = {
        "Worker": "running" if found["worker"]["running"] else plain("not running", "red"),
        "Okta": plain(okta["error"], "red") if okta["error"] else _mode(okta["mode"]),
        "Deliveries": "{received:,} received, {waiting:,} waiting, {quarantined:,} in quarantine".format(
            **found["deliveries"]
        ),
        **_refused(found["hook"]),
        "Events": "{stored:,} stored, {duplicates:,} came again".format(**found["events"]),
        "To read": "{due:,} due, {parked:,} parked".format(**found["subjects"]),
        "Users": "{active:,} active of {total:,}, {deleted:,} deleted".format(**people),
        "Lag": "nothing written yet" if lag["p50"] is None else f"{lag['p50']:.2f} s median, {lag['p99']:.2f} s p99",
    }
    grid = Table.grid(padding=(0, 2))
    for name, fact in facts.items():
        _add(grid, plain(name, "bold"), fact)
    out.print(grid)
    table = _table("Target", "In sync", "Pending", "Parked", "State")
    for target in found["targets"]:
        counts = (f"{target[key]:,}" for key in ("in_sync", "pending", "parked"))
        _add(table, target["name"], *counts, plain(target["error"], "red") if target["error"] else "accepts")
    out.print(table)


def _refused(hook: dict[str, Any]) -> dict[str, Text]:
    if not hook["refused"]:
        return {}
    told = f"{hook['refused']:,} calls of Okta had a wrong secret, the last {hook['refused_seconds_ago']:,.0f} s ago:"
    return {"Refused": plain(f"{told} `rosterhook hook status` tells more", "red")}


def _mode(mode: str) -> str:
    modes = {
        "token": "read with an API token",
        "service_app": "read as a service app",
        "events": "not asked: users are built from events alone (no login to Okta)",
    }
    return modes.get(mode, "not known yet")


def _table(*columns: str, title: str | None = None) -> Table:
    table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _add(table: Table, *values: object) -> None:
    table.add_row(*(value if isinstance(value, Text) else plain(value) for value in values))
