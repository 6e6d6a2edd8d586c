"""The org's event hooks: what one may be, which of them gets which event, and how it is delivered.

The way of an event: `registry` (whose is it) > `filter` > `daily` (is there room) > `sender` (a queue for each hook) >
`courier` (the request). `model` and `rules` say what a hook is, `shortcut` makes one in one step, `preview` delivers
one event by hand.
"""

from __future__ import annotations

from rosterhook.simulator.hooks.registry import MOST_HOOKS, Hooks

__all__ = ["MOST_HOOKS", "Hooks"]
