"""`audit`: what became of every event that Okta was to send."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from rosterhook.audit import STATES, read_audit
from rosterhook.cli.common import AsJson, ConfigPath, hanging, load, out, plain, print_json
from rosterhook.cli.moments import moment_ms
from rosterhook.cli.opened import with_stores
from rosterhook.cli.tables import add, table_of
from rosterhook.model import now_ms


def audit(
    *,
    since: Annotated[str, Parameter(help="From then on: 90m, 24h (the default), 7d, or a stamp.")] = "24h",
    as_json: AsJson = False,
    config: ConfigPath = None,
) -> int:
    """Tell what became of each event: received by the hook, repaired by the log, or still open. Exit code 1: open."""
    loaded = load(config)
    since_ms = moment_ms(since, now_ms())
    found = with_stores(loaded, lambda s: s.state.read(lambda db: read_audit(db, since_ms, now_ms())))
    if as_json:
        print_json(found)
    else:
        _print(found)
    return 1 if found["open"] else 0


def _print(found: dict[str, Any]) -> None:
    out.print(
        f"Since {found['since']}: {found['sent']:,} events for the hook; {found['received']:,} arrived,"
        f" {found['repaired']:,} were repaired by the log, {found['open']:,} are open."
    )
    if found["types"]:
        table = table_of("Event type", *(state.capitalize() for state in STATES))
        for event_type, told in found["types"].items():
            add(table, event_type, *(f"{told[state]:,}" if told[state] else plain("-", "dim") for state in STATES))
        out.print(table)
    if found["first"] is not None and found["first"] > found["since"]:
        out.print(f"Events are kept since {found['first']}.")
    if found["hook"]["warning"]:
        out.print(hanging(plain(f"! {found['hook']['warning']}", "red")))
