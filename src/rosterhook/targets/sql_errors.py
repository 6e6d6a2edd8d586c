"""What a database's error means: a row that it refuses, a moment to wait, or a whole target that is down.

No text made here holds a value of a user: of the drivers' own messages only names are taken, of tables, columns
and constraints.
"""

from __future__ import annotations

import os
import re
import sqlite3
from enum import Enum

import asyncpg  # type: ignore[import-untyped]  # ships no types
from sqlalchemy.exc import StatementError

from rosterhook.errors import TargetError


class Kind(Enum):
    """The kinds of database errors; the value says what failed."""

    UNIQUE = "a unique value is taken by another row"
    VALUE = "the database refuses the row"
    AGAIN = "the database undid the transaction in favour of another one"
    DOWN = "the database cannot be reached"
    ABSENT = "there is no such database"
    LOGIN = "the database refuses the login"
    READ_ONLY = "the database is read-only"
    FULL = "the disk of the database is full"
    LOCKED = "the database is locked by somebody else"
    FORBIDDEN = "the database user may not write the table"
    TABLE = "the table is not what it was"
    DAMAGED = "the file is no database, or it is damaged"
    SLOW = "the database did not answer in time"
    OTHER = "the database failed"


HINTS = {
    Kind.AGAIN: "It heals by itself; if it goes on, look for another program that locks many rows.",
    Kind.DOWN: "Check that it runs, and that host, port and database in url are right.",
    Kind.ABSENT: "Create it, or mend its name in url.",
    Kind.LOGIN: "Check user and password in url.",
    Kind.READ_ONLY: "Make it writable: check owner and mode of the file and its folder,"
    " or that url names the primary and not a replica.",
    Kind.FULL: "Make room.",
    Kind.LOCKED: "End the program that holds a long write transaction.",
    Kind.FORBIDDEN: "Grant SELECT, INSERT, UPDATE and DELETE on the table to the user in url;"
    " where the table is absent, the right to create it.",
    Kind.TABLE: 'Run "rosterhook check": it tells what is missing.',
    Kind.DAMAGED: "Check url; or stop, keep a copy of the file, and restore a backup.",
    Kind.SLOW: "Look for a long transaction or an overloaded server.",
    Kind.OTHER: "Look into the database's own log.",
}

# By SQLSTATE; the longest prefix wins.
POSTGRESQL = {
    "08": Kind.DOWN,
    "21": Kind.VALUE,
    "22": Kind.VALUE,
    "23": Kind.VALUE,
    "23505": Kind.UNIQUE,
    "23P01": Kind.UNIQUE,
    "25006": Kind.READ_ONLY,
    "28": Kind.LOGIN,
    "3D": Kind.ABSENT,
    "3F": Kind.TABLE,
    "38": Kind.VALUE,
    "39": Kind.VALUE,
    "40": Kind.AGAIN,
    "42": Kind.TABLE,
    "42501": Kind.FORBIDDEN,
    "44": Kind.VALUE,
    "53": Kind.DOWN,
    "53100": Kind.FULL,
    "54": Kind.VALUE,
    "55P03": Kind.LOCKED,
    "57": Kind.DOWN,
    "57014": Kind.SLOW,
    "P0": Kind.VALUE,
}
MYSQL = {
    **dict.fromkeys((1062, 1586), Kind.UNIQUE),
    **dict.fromkeys((1048, 1136, 1153, 1264, 1265, 1292, 1364, 1366, 1367, 1406, 1411, 1441), Kind.VALUE),
    **dict.fromkeys((1216, 1217, 1451, 1452, 1644, 1690, 3140, 3819, 3903, 3988, 4025), Kind.VALUE),
    **dict.fromkeys((1020, 1213), Kind.AGAIN),
    **dict.fromkeys((1040, 1053, 1203, 1226, 2002, 2003, 2005, 2006, 2013, 2055), Kind.DOWN),
    **dict.fromkeys((1044, 1045, 1698), Kind.LOGIN),
    **dict.fromkeys((1036, 1290, 1792, 1836), Kind.READ_ONLY),
    **dict.fromkeys((1021, 1114), Kind.FULL),
    1049: Kind.ABSENT,
    1205: Kind.LOCKED,
    **dict.fromkeys((1142, 1143, 1227, 1370), Kind.FORBIDDEN),
    **dict.fromkeys((1050, 1054, 1060, 1091, 1146), Kind.TABLE),
    **dict.fromkeys((1317, 1969, 3024), Kind.SLOW),
}
# By primary result code.
SQLITE = {
    1: Kind.TABLE,
    3: Kind.FORBIDDEN,
    5: Kind.LOCKED,
    6: Kind.LOCKED,
    8: Kind.READ_ONLY,
    11: Kind.DAMAGED,
    13: Kind.FULL,
    14: Kind.DOWN,
    18: Kind.VALUE,
    19: Kind.VALUE,
    20: Kind.VALUE,
    23: Kind.FORBIDDEN,
    26: Kind.DAMAGED,
}
SQLITE_UNIQUE = (1555, 2067, 2579)

# Anchored, because a value of a user may stand before the name and look like one.
_MYSQL_NAMES = (
    re.compile(r"for key '([^']*)'$"),
    re.compile(r"for column \S*?([^`'.]+)[`'] at row \d+$"),
    re.compile(r"^Column '([^']*)' cannot be null$"),
    re.compile(r"^CONSTRAINT `([^`]*)` failed"),
    re.compile(r"^Check constraint '([^']*)' is violated"),
    re.compile(r"^Cannot .* a foreign key constraint fails .*CONSTRAINT `([^`]*)` FOREIGN KEY"),
)
#: The database that is absent, and the command or statement that makes it.
_ABSENT = (
    (re.compile(r'^database "([^"]+)" does not exist$'), "createdb {}"),
    (re.compile(r"^Unknown database '([^']+)'$"), "CREATE DATABASE {};"),
)
_SQLITE_TABLE = re.compile(r"^no such|has no column|already|syntax error")
_SQLITE_NAME = re.compile(r"^[A-Z ]+ constraint failed: ([\w., ]+)$")


class RowFault(Exception):
    """The database refuses a row.

    Args:
        subject: the column or constraint that the database named, or "".
        unique: another row has a value that may be there only once.
    """

    def __init__(self, subject: str, *, unique: bool = False) -> None:
        super().__init__(subject)
        self.subject = subject
        self.unique = unique


class TryAgain(Exception):
    """The database undid the transaction because of a deadlock or a conflict: the same again may succeed."""


def explain(error: Exception, label: str) -> RowFault | TryAgain | TargetError:
    """The error to raise instead of a driver's.

    Args:
        error: what SQLAlchemy or the driver raised.
        label: names the target and its database.
    """
    cause = _cause(error)
    kind = _kind(cause)
    if kind in (Kind.UNIQUE, Kind.VALUE):
        return RowFault(_subject(cause), unique=kind is Kind.UNIQUE)
    if kind is Kind.AGAIN:
        return TryAgain()
    return TargetError(f"{label}: {kind.value}{_detail(cause, kind)}.", hint=_hint(cause, kind))


def is_forbidden(error: TargetError) -> bool:
    """Tell whether the database's user lacks a right."""
    return error.hint == HINTS[Kind.FORBIDDEN]


def _cause(error: BaseException) -> BaseException:
    if isinstance(error, StatementError) and error.orig is not None:
        error = error.orig
    # SQLAlchemy puts a class of its own around asyncpg's errors.
    inner = error.__cause__
    return inner if isinstance(inner, asyncpg.PostgresError | asyncpg.InterfaceError) else error


def _kind(cause: BaseException) -> Kind:
    if isinstance(cause, asyncpg.PostgresError):
        return _postgresql_kind(getattr(cause, "sqlstate", None) or "")
    if isinstance(cause, sqlite3.Error):
        return _sqlite_kind(cause)
    if isinstance(cause, TimeoutError):
        return Kind.SLOW
    if isinstance(cause, OSError | asyncpg.InterfaceError):
        return Kind.DOWN
    if isinstance(cause, OverflowError | ValueError | TypeError):
        return Kind.VALUE
    number = cause.args[0] if cause.args else None
    return MYSQL.get(number, Kind.OTHER) if isinstance(number, int) else Kind.OTHER


def _postgresql_kind(state: str) -> Kind:
    for length in range(5, 1, -1):
        if state[:length] in POSTGRESQL:
            return POSTGRESQL[state[:length]]
    # Beyond the classes of PostgreSQL itself, a state is what somebody's trigger raised over a row.
    own = state[:1] <= "5" or state[:2] in ("F0", "HV", "XX")
    return Kind.OTHER if own else Kind.VALUE


def _sqlite_kind(cause: sqlite3.Error) -> Kind:
    code = getattr(cause, "sqlite_errorcode", None)
    if code is None:
        return Kind.VALUE if isinstance(cause, sqlite3.InterfaceError) else Kind.OTHER
    if code == sqlite3.SQLITE_ERROR and not _SQLITE_TABLE.search(str(cause)):
        # Such as "malformed JSON", from an app's trigger or index over one row.
        return Kind.VALUE
    return Kind.UNIQUE if code in SQLITE_UNIQUE else SQLITE.get(code & 0xFF, Kind.OTHER)


def _subject(cause: BaseException) -> str:
    if isinstance(cause, asyncpg.PostgresError):
        return getattr(cause, "constraint_name", None) or getattr(cause, "column_name", None) or ""
    if isinstance(cause, sqlite3.Error):
        match = _SQLITE_NAME.match(str(cause))
        return match[1] if match else ""
    text = str(cause.args[-1]) if cause.args else ""
    return next((match[1] for pattern in _MYSQL_NAMES if (match := pattern.search(text))), "")


def _hint(cause: BaseException, kind: Kind) -> str:
    text = str(cause.args[-1]) if cause.args else ""
    makes = [command.format(found[1]) for pattern, command in _ABSENT if (found := pattern.search(text))]
    return f"Create it: {makes[0]}" if kind is Kind.ABSENT and makes else HINTS[kind]


def _detail(cause: BaseException, kind: Kind) -> str:
    """Of the driver's message, what cannot hold a value of a user."""
    if isinstance(cause, asyncpg.PostgresError):
        told = kind in (Kind.DOWN, Kind.ABSENT, Kind.LOGIN, Kind.FORBIDDEN, Kind.TABLE)
        return f" ({cause.args[0]})" if told and cause.args else f" (SQLSTATE {getattr(cause, 'sqlstate', '?')})"
    if isinstance(cause, sqlite3.Error):
        return f" ({cause})"
    if isinstance(cause, OSError):
        # By number: asyncio puts words of its own into `strerror`.
        words = os.strerror(cause.errno) if cause.errno and cause.errno > 0 else cause.strerror
        return f" ({words})" if words else ""
    if not cause.args or not isinstance(cause.args[0], int):
        return f" ({type(cause).__name__})"
    told = kind in (Kind.DOWN, Kind.ABSENT, Kind.LOGIN, Kind.FORBIDDEN, Kind.TABLE, Kind.READ_ONLY)
    return f" ({cause.args[0]}: {cause.args[-1]})" if told else f" (error {cause.args[0]})"


def unexpected(fault: RowFault | TryAgain, label: str) -> TargetError:
    """The error for a fault of rows where no user's row was written."""
    if isinstance(fault, TryAgain):
        return TargetError(f"{label}: {Kind.AGAIN.value}.", hint=HINTS[Kind.AGAIN])
    what = Kind.UNIQUE if fault.unique else Kind.VALUE
    return TargetError(
        f"{label}: {what.value}{f' ({fault.subject})' if fault.subject else ''}.", hint=HINTS[Kind.OTHER]
    )
