"""The first page: is everything in step, and if not, what to do."""

from __future__ import annotations

from functools import cache
from html import escape
from importlib import resources
from string import Template

from rosterhook.status import Status


def home(status: Status) -> str:
    """The page as HTML."""
    tone, headline = _headline(status)
    return Template(asset("home.html")).substitute(
        tone=tone, headline=escape(headline), cards=_cards(status), targets=_targets(status)
    )


@cache
def asset(name: str) -> str:
    """A file of this package as text."""
    return (resources.files("rosterhook.console") / name).read_text(encoding="utf-8")


def _headline(status: Status) -> tuple[str, str]:
    waiting = status["deliveries"]["waiting"] + status["subjects"]["due"]
    pending = sum(target["pending"] for target in status["targets"])
    parked = status["subjects"]["parked"] + sum(target["parked"] for target in status["targets"])
    if not status["worker"]["running"]:
        return "bad", "The worker is not running: deliveries are stored, but nobody is read or written."
    if status["okta"]["error"]:
        return "bad", status["okta"]["error"]
    if parked:
        return "bad", f"{parked} parked: `rosterhook parked` tells why."
    if waiting or pending:
        return "good", f"Working: {waiting} to read, {pending} to write."
    return "good", "Everything is in step."


def _cards(status: Status) -> str:
    lag = status["lag_seconds"]["p50"]
    cards = (
        (f"{status['users']['active']:,}", f"active of {status['users']['total']:,} users"),
        (f"{status['deliveries']['received']:,}", "deliveries received"),
        (f"{status['events']['stored']:,}", f"events, {status['events']['duplicates']:,} came again"),
        (f"{status['deliveries']['quarantined']:,}", "deliveries in quarantine"),
        ("-" if lag is None else f"{lag:.2f} s", "from event to row, median"),
    )
    return "".join(f"<article><b>{escape(number)}</b><span>{escape(what)}</span></article>" for number, what in cards)


def _targets(status: Status) -> str:
    return "".join(
        f"<tr><td>{escape(target['name'])}</td><td>{target['in_sync']:,}</td><td>{target['pending']:,}</td>"
        f"<td>{target['parked']:,}</td><td>{escape(target['error'] or 'accepts')}</td></tr>"
        for target in status["targets"]
    )
