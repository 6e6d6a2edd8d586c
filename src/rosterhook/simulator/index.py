"""The index that `search` answers from: it follows the org a little late."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

User = dict[str, Any]


class SearchIndex:
    """Users as `search` sees them.

    Okta calls the source of `search` eventually consistent (okta-facts 5.5): a change shows after a while, and who was
    deleted is still found for as long.
    """

    def __init__(self, lag_seconds: float, clock: Callable[[], float]) -> None:
        self._lag = lag_seconds
        self._clock = clock
        self._visible: dict[str, User] = {}
        self._coming: deque[tuple[float, str, User | None]] = deque()

    def put(self, user_id: str, user: User | None, *, at_once: bool = False) -> None:
        """Take a change in; None says that the user is gone."""
        self._catch_up()
        if at_once or self._lag <= 0:
            self._apply(user_id, user)
        else:
            self._coming.append((self._clock() + self._lag, user_id, user))

    def get(self, user_id: str) -> User | None:
        """The user as indexed so far."""
        self._catch_up()
        return self._visible.get(user_id)

    def _catch_up(self) -> None:
        now = self._clock()
        while self._coming and self._coming[0][0] <= now:
            _, user_id, user = self._coming.popleft()
            self._apply(user_id, user)

    def _apply(self, user_id: str, user: User | None) -> None:
        if user is None:
            self._visible.pop(user_id, None)
        else:
            self._visible[user_id] = user
