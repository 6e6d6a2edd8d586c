"""How people name a moment: "90m", "24h" or "7d" ago, or a stamp such as 2026-01-31T08:00:00Z."""

from __future__ import annotations

import re
from datetime import date

from rosterhook.errors import RosterhookError
from rosterhook.okta.events import parse_stamp

_AGO = re.compile(r"(\d{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def moment_ms(text: str, now: int) -> int:
    """The moment in milliseconds since 1970.

    >>> moment_ms("2h", 10_000_000), moment_ms("1970-01-02", 0)
    (2800000, 86400000)

    Raises:
        RosterhookError: it is none.
    """
    if found := _AGO.fullmatch(text.strip()):
        return max(0, now - int(found[1]) * _SECONDS[found[2]] * 1000)
    try:
        stamp = parse_stamp(f"{date.fromisoformat(text.strip())}T00:00:00Z")
    except ValueError:
        stamp = parse_stamp(text)
    if stamp is None:
        raise RosterhookError(
            f"{text!r} is no moment.", hint="Give how long ago (90m, 24h, 7d), or a stamp such as 2026-01-31T08:00:00Z."
        )
    return stamp
