"""`parked`: what needs a person, with its reason, since when, and the next step."""

from __future__ import annotations

import json
from typing import Annotated, Any

import apsw
from cyclopts import Parameter

from rosterhook.cli.common import AsJson, ConfigPath, load, out, print_json
from rosterhook.cli.opened import with_stores
from rosterhook.cli.tables import add, print_under, table_of
from rosterhook.errors import RosterhookError
from rosterhook.holds import REJECTED
from rosterhook.model import ORG, iso
from rosterhook.store.queries import rows

Found = dict[str, list[dict[str, Any]]]


def parked(
    *,
    config: ConfigPath = None,
    as_json: AsJson = False,
    delivery: Annotated[
        int | None, Parameter(help="Print the body of the quarantined delivery with this number.")
    ] = None,
) -> None:
    """List what could not be understood, read or written, each with its reason and the next step."""
    found = with_stores(load(config), lambda s: s.state.read(read_parked))
    if delivery is not None:
        out.out(_body_of(found, delivery), highlight=False)
    elif as_json:
        print_json(found)
    else:
        _print(found)


def read_parked(db: apsw.Connection) -> Found:
    """Quarantined deliveries, users who cannot be read, and users whom a target refuses."""
    everything = {"org": ORG, "limit": -1}
    return {
        "deliveries": [_delivery(*row) for row in rows(db, "list_quarantine", {**everything, "after": 0})],
        "reads": [_read(*row) for row in rows(db, "list_parked_subjects", everything)],
        "writes": [_write(*row) for row in rows(db, "list_parked_links", everything)],
    }


def _delivery(number: int, seq: int, received_ms: int, reason: str, headers: str, body: bytes) -> dict[str, Any]:
    return {
        "id": number,
        "delivery_seq": seq,
        "received": iso(received_ms),
        "reason": reason,
        "headers": json.loads(headers),
        "body": body.decode("utf-8", "replace"),
        "next": f"rosterhook parked --delivery {number}, then rosterhook replay --quarantined",
    }


def _read(
    user: str, attempts: int, reason: str, failed_ms: int | None, tried_ms: int | None, hidden: int
) -> dict[str, Any]:
    told = {"user": user, "attempts": attempts, "reason": reason, "first": iso(failed_ms), "last": iso(tried_ms)}
    again = f"rosterhook replay {user}"
    return {**told, "next": f"{again}, or {again} --gone once you have looked" if hidden else again}


def _write(
    target: str, user: str, attempts: int, reason: str, failed_ms: int | None, tried_ms: int | None
) -> dict[str, Any]:
    told = {"target": target, "user": user, "attempts": attempts, "reason": reason}
    again = f"rosterhook replay {user} --target {target}"
    step = f"nothing; to remove the user after all: {again}" if reason == REJECTED else f"mend it, then {again}"
    return {**told, "first": iso(failed_ms), "last": iso(tried_ms), "next": step}


def _body_of(found: Found, number: int) -> str:
    for one in found["deliveries"]:
        if one["id"] == number:
            return str(one["body"])
    raise RosterhookError(
        f"There is no delivery {number} in quarantine.", hint="`rosterhook parked` lists their numbers."
    )


def _print(found: Found) -> None:
    if not any(found.values()):
        out.print("Nothing is parked.")
        return
    if found["deliveries"]:
        table = table_of("No.", "Received", "Reason")
        for one in found["deliveries"]:
            add(table, one["id"], one["received"], one["reason"])
        print_under("In quarantine: deliveries that were not understood", table)
    if found["reads"]:
        table = table_of("User", "Tries", "Since", "Last try", "Reason")
        for one in found["reads"]:
            add(table, one["user"], one["attempts"], _short(one["first"]), _short(one["last"]), one["reason"])
        print_under("Parked: cannot be read from Okta", table)
    if found["writes"]:
        table = table_of("Target", "User", "Since", "Last try", "Reason")
        for one in found["writes"]:
            add(table, one["target"], one["user"], _short(one["first"]), _short(one["last"]), one["reason"])
        print_under("Parked: cannot be written", table)
    out.print(
        "Mend the cause, then: [bold]rosterhook replay --parked[/] or [bold]--quarantined[/]. Steps for each: --json."
    )


def _short(stamp: str | None) -> str:
    return (stamp or "")[:16].replace("T", " ")
