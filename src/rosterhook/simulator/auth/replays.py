"""Remembers what may be used only once, such as the `jti` of an assertion or a proof."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


class Replays:
    """What was seen, until it could not be used any more anyhow."""

    #: So many are kept before the old ones are thrown away.
    MANY = 1000

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}
        self._most = self.MANY

    def first(self, key: str, until: float) -> bool:
        """Use it up; whether nobody had.

        Args:
            until: seconds since 1970 from which on it is refused for its age.
        """
        now = self._clock()
        if len(self._until) > self._most:
            self._until = {each: end for each, end in self._until.items() if end > now}
            self._most = max(self.MANY, 2 * len(self._until))
        if key in self._until:
            return False
        self._until[key] = until
        return True

    def dump(self) -> dict[str, Any]:
        """All of it, for a restart."""
        return dict(self._until)

    def load(self, held: Mapping[str, Any]) -> None:
        """What an earlier run had."""
        self._until = {str(key): float(until) for key, until in held.items()}
