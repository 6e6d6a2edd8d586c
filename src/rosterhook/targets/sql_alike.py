"""Whether a column holds a value: as far as its type can hold it at all.

A database rounds, pads and cuts what it is given. A comparison that does not know that finds the same drift again every
night, and repairs it in vain.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from rosterhook.targets.sql_values import readable

#: Tells whether what was read, as a snapshot shows it, is what was written.
Alike = Callable[[object, object], bool]

#: Fractions of a second are kept, rounded or cut, by the column's type. Okta's own stamps of users have whole seconds.
SECOND = 1.0
#: How exactly a number comes back: eight bytes keep fifteen digits, four bytes keep seven, and MySQL shows six of them.
DOUBLE, SINGLE, MYSQL_SINGLE = 1e-14, 1e-6, 1e-5
#: Bits of a float that has four bytes, at most.
SINGLE_BITS = 24


def alike_for(kind: TypeEngine[Any], dialect: Dialect) -> Alike:
    """How to compare values of a column of this type: what is held, as a snapshot shows it, and what was wanted."""
    if isinstance(kind, sa.DateTime):
        return _same_moment
    if isinstance(kind, sa.Numeric | sa.Float):
        return _numbers(kind, dialect.name)
    if isinstance(kind, sa.JSON) and dialect.name == "sqlite":
        return _same_json
    if isinstance(kind, sa.CHAR | sa.NCHAR):
        return _same_padded
    return _same


def _same(held: object, wanted: object) -> bool:
    return held == wanted or held == readable(wanted)


def _same_padded(held: object, wanted: object) -> bool:
    if isinstance(held, str) and isinstance(wanted, str):
        return held.rstrip(" ") == wanted.rstrip(" ")
    return _same(held, wanted)


def _same_json(held: object, wanted: object) -> bool:
    """SQLite keeps a number that is written as text into a column called JSON as a number."""
    return _parsed(held) == _parsed(wanted)


def _parsed(value: object) -> object:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


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


def _numbers(kind: sa.Numeric[Any] | sa.Float[Any], dialect: str) -> Alike:
    scale = getattr(kind, "scale", None) if dialect != "sqlite" else None
    exactness = _exactness(kind, dialect)
    # Databases round ties up, down or to even: half a unit of the last place is the same number. The driver gives ten
    # places of a float of MySQL's.
    places = scale if scale is not None else (10 if dialect == "mysql" else None)
    unit = Decimal(0) if places is None else Decimal(1).scaleb(-places) / 2

    def alike(held: object, wanted: object) -> bool:
        try:
            first, second = Decimal(str(held)), Decimal(str(wanted))
        except InvalidOperation:
            return _same(held, wanted)
        return abs(first - second) <= unit or math.isclose(first, second, rel_tol=exactness)

    return alike


def _exactness(kind: object, dialect: str) -> float:
    """A float without a precision is MySQL's of four bytes, and PostgreSQL's of eight, whose REAL has a name."""
    if dialect == "sqlite" or not isinstance(kind, sa.Float) or isinstance(kind, sa.Double):
        return DOUBLE
    if dialect == "mysql":
        return MYSQL_SINGLE
    return SINGLE if isinstance(kind, sa.REAL) or (kind.precision or 53) <= SINGLE_BITS else DOUBLE
