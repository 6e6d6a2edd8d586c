"""Attribute values as a column can hold them: strict, so that nothing is cut or guessed."""

from __future__ import annotations

import json
import math
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from rosterhook.model import Attributes

Convert = Callable[[object], object]

#: Types of MySQL that are limited in bytes of UTF-8.
MYSQL_TEXT_BYTES: dict[type[sa.String], int] = {
    mysql.TINYTEXT: 2**8 - 1,
    mysql.TEXT: 2**16 - 1,
    sa.TEXT: 2**16 - 1,
    mysql.MEDIUMTEXT: 2**24 - 1,
}
_INTEGER = re.compile(r"-?\d{1,30}", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,300}(\.\d{1,300})?([eE][+-]?\d{1,3})?", re.ASCII)
_WORDS = {str: "text", bool: "true or false", int: "a number", float: "a number", dict: "an object", list: "a list"}


class Unfit(Exception):
    """A value that a column cannot hold. The message names kinds and lengths, never the value."""


class Unsupported(Exception):
    """A type of column that rosterhook cannot write."""


@dataclass(frozen=True, slots=True)
class Field:
    """One column and where its values come from.

    Attributes:
        path: attribute of the Okta user.
        read: the attribute's value of a user.
        type_name: the column's type as the database writes it, for messages.
        is_held: tells whether a value that was read is the one that was written, as far as the column can hold it.
    """

    column: str
    path: str
    read: Callable[[Attributes], object]
    type_name: str
    nullable: bool
    convert: Convert
    is_held: Callable[[object, object], bool]

    def value_of(self, user: Attributes) -> object:
        """The value to store; None is NULL.

        Raises:
            Unfit: the column cannot hold what the user has.
        """
        value = self.read(user)
        if value is None:
            if self.nullable:
                return None
            raise Unfit(f'column "{self.column}" is NOT NULL but the user has no {self.path}')
        try:
            return self.convert(value)
        except Unfit as why:
            raise Unfit(f'column "{self.column}" ({self.type_name}) cannot hold {self.path}: {why}') from None


def converter(kind: TypeEngine[object], dialect: Dialect) -> Convert:
    """The way from a JSON value to a column of this type; the value is never None.

    Raises:
        Unsupported: the type is none that rosterhook can write.
    """
    for known, make in _MAKERS:
        if isinstance(kind, known):
            return make(kind, dialect.name)
    if dialect.name == "sqlite" and isinstance(kind, sa.types.NullType):
        return _to_text(None, None, nul=True)
    raise Unsupported


def _is(value: object) -> Unfit:
    return Unfit(f"it is {_WORDS.get(type(value), type(value).__name__)}")


def _json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False)
    except ValueError:
        raise Unfit("it is not a number of JSON") from None


def _checked(text: str, *, nul: bool) -> str:
    try:
        if not text.isascii():
            text.encode()
    except UnicodeEncodeError:
        raise Unfit("it has half of a surrogate pair, which is no character") from None
    if not nul and "\0" in text:
        raise Unfit("it has a NUL character, which the database refuses")
    return text


def _to_text(length: int | None, size: int | None, *, nul: bool) -> Convert:
    def convert(value: object) -> str:
        text = _checked(value if isinstance(value, str) else _json(value), nul=nul)
        if length is not None and len(text) > length:
            raise Unfit(f"it has {len(text)} characters, the column holds {length}")
        if size is not None and (used := len(text.encode())) > size:
            raise Unfit(f"it has {used} bytes, the column holds {size}")
        return text

    return convert


def _string(kind: sa.String, dialect: str) -> Convert:
    size = MYSQL_TEXT_BYTES.get(type(kind)) if dialect == "mysql" else None
    length = None if isinstance(kind, sa.Text) and dialect == "mysql" else kind.length
    return _to_text(length, size, nul=dialect != "postgresql")


def _enum(kind: sa.Enum, _dialect: str) -> Convert:
    def convert(value: object) -> str:
        if not isinstance(value, str):
            raise _is(value)
        if value not in kind.enums:
            raise Unfit("it is none of the column's values")
        return value

    return convert


def _json_column(kind: sa.JSON, dialect: str) -> Convert:
    def convert(value: object) -> object:
        text = _checked(_json(value), nul=True)
        if dialect == "postgresql" and "\\u0000" in text:
            raise Unfit("it has a NUL character, which the database refuses")
        return text if dialect == "sqlite" else value

    return convert


def _uuid(_kind: object, _dialect: str) -> Convert:
    def convert(value: object) -> uuid.UUID:
        if not isinstance(value, str):
            raise _is(value)
        try:
            return uuid.UUID(value)
        except ValueError:
            raise Unfit("it is text that is no UUID") from None

    return convert


def _boolean(_kind: object, _dialect: str) -> Convert:
    def convert(value: object) -> bool:
        if isinstance(value, bool):
            return value
        if value in ("true", "false"):
            return value == "true"
        raise _is(value)

    return convert


def _bits(kind: TypeEngine[object], dialect: str) -> int:
    if isinstance(kind, mysql.TINYINT):
        return 8
    if isinstance(kind, mysql.MEDIUMINT):
        return 24
    if dialect == "sqlite" or isinstance(kind, sa.BigInteger):
        return 64
    return 16 if isinstance(kind, sa.SmallInteger) else 32


def _integer(kind: TypeEngine[object], dialect: str) -> Convert:
    bits = _bits(kind, dialect)
    unsigned = bool(getattr(kind, "unsigned", False))
    low, high = (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    # SQLite and MySQL have no type of their own for true and false.
    bools = dialect != "postgresql"

    def convert(value: object) -> int:
        number = _whole(value, bools=bools)
        if not low <= number <= high:
            raise Unfit("it is a number beyond the column's range")
        return number

    return convert


def _whole(value: object, *, bools: bool) -> int:
    if isinstance(value, bool):
        if bools:
            return int(value)
        raise _is(value)
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    if isinstance(value, float):
        raise Unfit("it is a number with a fraction")
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    raise _is(value)


def _number(value: object) -> int | float | str:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _is(value)
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise _is(value)
    return value


def _float(_kind: object, _dialect: str) -> Convert:
    def convert(value: object) -> float:
        try:
            number = float(_number(value))
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise Unfit("it is a number beyond the column's range")
        return number

    return convert


def _numeric(_kind: object, dialect: str) -> Convert:
    if dialect == "sqlite":
        return _float(_kind, dialect)

    def convert(value: object) -> Decimal:
        return Decimal(str(_number(value)))

    return convert


def _moment(value: object) -> datetime:
    """The UTC time of an ISO stamp; one without an offset is taken as UTC, as Okta writes its own."""
    if not isinstance(value, str):
        raise _is(value)
    try:
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise Unfit("it is text that is no ISO 8601 time") from None


def _datetime(kind: sa.DateTime, dialect: str) -> Convert:
    def convert(value: object) -> object:
        moment = _moment(value)
        if dialect == "postgresql" and kind.timezone:
            return moment
        naive = moment.replace(tzinfo=None)
        return naive.isoformat(sep=" ", timespec="microseconds") if dialect == "sqlite" else naive

    return convert


def _date(_kind: object, dialect: str) -> Convert:
    def convert(value: object) -> date | str:
        day = _moment(value).date()
        return day.isoformat() if dialect == "sqlite" else day

    return convert


# An Enum is a String too, so the narrower ones come first.
_MAKERS: tuple[tuple[type, Callable[..., Convert]], ...] = (
    (sa.Enum, _enum),
    (sa.JSON, _json_column),
    (sa.Uuid, _uuid),
    (sa.Boolean, _boolean),
    (sa.Integer, _integer),
    (sa.Float, _float),
    (sa.Numeric, _numeric),
    (sa.DateTime, _datetime),
    (sa.Date, _date),
    (sa.String, _string),
)


_OF_JSON = (str, bool, int, float, list, dict)


def readable(value: object) -> object:
    """A value read from a table, as JSON can hold it."""
    if value is None or isinstance(value, _OF_JSON):
        return value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return str(value)
