"""Users who change again and again: they are left alone for a while between two reads, when calls become scarce."""

from __future__ import annotations

#: Seconds after the first read; twice as many after each that follows soon.
FIRST, LONGEST = 5.0, 30.0
#: So many are remembered, those who were read last.
REMEMBERED = 10_000


class Rests:
    """When each user was read last. It is lost with the process, which costs a call a user."""

    def __init__(self) -> None:
        self._reads: dict[str, tuple[float, float]] = {}

    def note(self, user_id: str, now: float) -> None:
        """Remember that Okta has answered for a user."""
        last, rest = self._reads.pop(user_id, (0.0, 0.0))
        again = rest > 0 and now - last < 2 * rest
        self._reads[user_id] = (now, min(2 * rest, LONGEST) if again else FIRST)
        if len(self._reads) > REMEMBERED:
            del self._reads[next(iter(self._reads))]

    def left(self, user_id: str, now: float) -> float:
        """How many seconds until a user should be read again; 0 for at once."""
        last, rest = self._reads.get(user_id, (now, 0.0))
        return max(0.0, last + rest - now)
