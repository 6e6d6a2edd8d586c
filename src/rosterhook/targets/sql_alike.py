"""Whether a column holds a value: as far as its type can hold it at all.

A database rounds, pads and cuts what it is given. A comparison that does not know that finds the same drift again every
night, and repairs it in vain.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from rosterhook.targets.sql_values import readable

#: Tells whether what was read, as a snapshot shows it, is what was written.
Alike = Callable[[object, object], bool]

#: Fractions of a second are kept, rounded or cut, by the column's type. Okta's own stamps of users have whole seconds.
SECOND = 1.0


def alike_for(kind: TypeEngine[object]) -> Alike:
    """How to compare values of a column of this type: what is held, as a snapshot shows it, and what was wanted."""
    if isinstance(kind, sa.DateTime):
        return _same_moment
    if isinstance(kind, sa.Float):
        return _same_float
    if isinstance(kind, sa.Numeric):
        return _same_number
    if isinstance(kind, sa.CHAR | sa.NCHAR):
        return _same_padded
    return _same


def _same(held: object, wanted: object) -> bool:
    return held == readable(wanted)


def _same_padded(held: object, wanted: object) -> bool:
    if isinstance(held, str) and isinstance(wanted, str):
        return held.rstrip(" ") == wanted.rstrip(" ")
    return _same(held, wanted)


def _same_moment(held: object, wanted: object) -> bool:
    first, second = _moment(held), _moment(readable(wanted))
    if first is None or second is None:
        return _same(held, wanted)
    return abs((first - second).total_seconds()) < SECOND


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _same_float(held: object, wanted: object) -> bool:
    try:
        # A column of four bytes keeps seven digits.
        return math.isclose(float(str(held)), float(str(wanted)), rel_tol=1e-6)
    except ValueError:
        return _same(held, wanted)


def _same_number(held: object, wanted: object) -> bool:
    try:
        first = Decimal(str(held))
        return first == Decimal(str(wanted)).quantize(first)
    except InvalidOperation:
        return _same(held, wanted)
