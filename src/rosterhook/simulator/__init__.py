"""A simulated Okta org: users, their life cycle, searches, rate limits and event hooks, with faults on request.

It shares no code with the product that it judges: an oracle with the same parser would have the same mistakes. In a
test::

    async with running(Settings(users=100)) as simulator:
        ...  # simulator.url, simulator.org

As a process: ``python -m rosterhook.simulator --port 8080``.
"""

from __future__ import annotations

from rosterhook.simulator.app import create_app, in_process, running, serve
from rosterhook.simulator.settings import Settings
from rosterhook.simulator.world import Simulator

__all__ = ["Settings", "Simulator", "create_app", "in_process", "running", "serve"]
