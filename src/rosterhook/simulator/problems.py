"""What keeps the simulator from starting, or from ending in order."""

from __future__ import annotations


class SimulatorError(Exception):
    """One sentence for the person who started it: what is wrong with which file or address, and what to do."""
