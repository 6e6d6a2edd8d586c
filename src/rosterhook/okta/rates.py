"""What one answer says about Okta's rate limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime


@dataclass(frozen=True, slots=True)
class Rates:
    """The headers `X-Rate-Limit-Limit`, `-Remaining`, `-Reset` and `Date`; None where missing or unreadable.

    Attributes:
        limit: calls in one window for this token or app; 0 when too many calls ran at a time.
        remaining: calls left in the window, for all who share the limit.
        reset: when the window ends, in seconds since 1970 by Okta's clock.
        date: when the answer was made, by the same clock.
    """

    limit: int | None = None
    remaining: int | None = None
    reset: int | None = None
    date: int | None = None

    @property
    def seconds_left(self) -> int | None:
        """Seconds until the window ends. The local clock has no say in it: it may be minutes off."""
        return None if self.reset is None or self.date is None else self.reset - self.date

    def opens_after(self, reset: int) -> bool:
        """Tell whether this is surely a later window than the one that ends at `reset`.

        A greater `Reset` alone does not prove it: some gateways let it slide within one window.
        """
        later = self.reset is not None and self.reset > reset
        return later and (self.date is None or self.date >= reset - 1)


def read_rates(headers: Mapping[str, str]) -> Rates:
    """Read the headers of one answer; names in any case where the mapping allows it, else in lower case."""
    return Rates(
        limit=_number(headers.get("x-rate-limit-limit")),
        remaining=_number(headers.get("x-rate-limit-remaining")),
        reset=_number(headers.get("x-rate-limit-reset")),
        date=_seconds(headers.get("date")),
    )


def _number(text: str | None) -> int | None:
    first = (text or "").split(",")[0].strip()
    return int(first) if first.isascii() and first.isdigit() and len(first) <= 12 else None


def _seconds(text: str | None) -> int | None:
    try:
        return int(parsedate_to_datetime(text or "").timestamp())
    except (ValueError, OverflowError):
        return None
