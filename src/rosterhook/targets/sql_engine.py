"""The way to a database: its address, its connections, its transactions."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import asyncpg  # type: ignore[import-untyped]  # ships no types
import sqlalchemy as sa
from sqlalchemy.engine import URL, CursorResult, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from rosterhook.errors import ConfigError
from rosterhook.targets.sql_errors import RowFault, TryAgain, explain, unexpected

T = TypeVar("T")

CONNECT_SECONDS = 10
STATEMENT_SECONDS = 30
SQLITE_BUSY_SECONDS = 5

DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "mysql": "mysql+aiomysql",
    "mariadb": "mariadb+aiomysql",
}
PRODUCTS = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mysql": "MySQL", "mariadb": "MariaDB"}

# Strict, so that a value is refused instead of cut; UTC, so that a TIMESTAMP is what it was; and a mode of
# our own, because the driver's quoting is wrong under NO_BACKSLASH_ESCAPES.
MYSQL_SESSION = (
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',"
    f" time_zone = '+00:00', innodb_lock_wait_timeout = {STATEMENT_SECONDS - 10}"
)

#: Execution option of a connection that only reads: SQLite then takes no write lock.
_READS = "rosterhook_reads"


class Database:
    """One database, whose errors are rosterhook's own.

    Args:
        url: its address, as an administrator writes it.
        name: the target's name, for messages.

    Raises:
        ConfigError: the address cannot be used. The message holds no part of it.
    """

    def __init__(self, url: str, name: str) -> None:
        parsed = _parse(url, name)
        self.label = _label(parsed, name)
        self.file = _sqlite_file(parsed)
        self._engine = _engine(parsed)
        self.dialect = self._engine.dialect
        # SQLite has one writer, and in memory even one connection: waiting here costs less than its lock.
        self._turn: AbstractAsyncContextManager[Any] = (
            asyncio.Lock() if self.dialect.name == "sqlite" else nullcontext()
        )

    def exists(self) -> bool:
        """Tell whether there is anything to read; only a file of SQLite can be absent."""
        return self.file is None or self.file.exists()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection to read with.

        Raises:
            TargetError: the database cannot be reached or read.
        """
        with self._only_target_errors():
            async with self._turn, self._connected(reads=True) as connection:
                yield connection

    @asynccontextmanager
    async def altering(self) -> AsyncIterator[AsyncConnection]:
        """A transaction for anything but users' rows; it is undone when anything is raised in it.

        Raises:
            TargetError: the database cannot be reached, or refuses the change.
        """
        with self._only_target_errors():
            async with self.writing() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction; it is undone when anything is raised in it.

        Raises:
            TargetError: the database cannot be reached or written.
            RowFault: it refuses a row.
            TryAgain: it undid the transaction for another one's sake.
        """
        async with self._turn, self._connected(reads=False) as connection, connection.begin():
            yield connection

    @asynccontextmanager
    async def _connected(self, *, reads: bool) -> AsyncIterator[AsyncConnection]:
        try:
            if self.file is not None and not reads:
                self.file.parent.mkdir(parents=True, exist_ok=True)
            async with self._engine.connect() as connection:
                await connection.execution_options(**{_READS: reads})
                yield connection
        except (
            SQLAlchemyError,
            asyncpg.PostgresError,
            asyncpg.InterfaceError,
            OSError,
            OverflowError,
            UnicodeError,
        ) as error:
            # Not chained: the driver's text can hold the values of a user.
            raise explain(error, self.label) from None

    @contextmanager
    def _only_target_errors(self) -> Iterator[None]:
        try:
            yield
        except (RowFault, TryAgain) as error:
            raise unexpected(error, self.label) from None

    async def aclose(self) -> None:
        """Close every connection. Safe to repeat."""
        await self._engine.dispose()


async def execute(
    connection: AsyncConnection,
    statement: sa.Executable,
    parameters: Sequence[dict[str, object]] | dict[str, object] | None = None,
) -> CursorResult[*tuple[Any, ...]]:
    """Run one statement, for STATEMENT_SECONDS at most; a sequence of parameters runs it for each."""
    async with asyncio.timeout(STATEMENT_SECONDS):
        return await connection.execute(statement, parameters)


async def in_sync(connection: AsyncConnection, work: Callable[[sa.Connection], T]) -> T:
    """Run what SQLAlchemy has only in synchronous form, for STATEMENT_SECONDS at most."""
    async with asyncio.timeout(STATEMENT_SECONDS):
        return await connection.run_sync(work)


def _parse(url: str, name: str) -> URL:
    bad = f'url of target "{name}"'
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigError(
            f"The {bad} is no address of a database.",
            hint="Write it as sqlite:///file, postgresql://user:password@host/database or mysql://...;"
            " special characters in a password are percent-encoded.",
        ) from None
    kind = parsed.drivername.partition("+")[0]
    if kind not in DRIVERS:
        raise ConfigError(
            f'The {bad} starts with "{kind}://", which is not supported.',
            hint=f"Use one of {', '.join(f'{known}://' for known in DRIVERS)}.",
        )
    if kind in ("mysql", "mariadb") and not parsed.database:
        raise ConfigError(f"The {bad} names no database.", hint="Add it: mysql://user:password@host/database.")
    return parsed.set(drivername=DRIVERS[kind])


def _label(url: URL, name: str) -> str:
    product = PRODUCTS[url.get_backend_name()]
    if url.get_backend_name() == "sqlite":
        place = url.database or "in memory"
    else:
        host = url.host or "localhost"
        place = f"{host}:{url.port}/{url.database}" if url.port else f"{host}/{url.database}"
    return f'Target "{name}" ({product} {place})'


def _sqlite_file(url: URL) -> Path | None:
    path = url.database
    if url.get_backend_name() != "sqlite" or not path or path.startswith((":memory:", "file:")):
        return None
    return Path(path)


def _engine(url: URL) -> AsyncEngine:
    make = {"sqlite": _sqlite_engine, "postgresql": _postgresql_engine}.get(url.get_backend_name(), _mysql_engine)
    return make(url)


def _sqlite_engine(url: URL) -> AsyncEngine:
    engine = create_async_engine(url, hide_parameters=True, connect_args={"timeout": SQLITE_BUSY_SECONDS})
    # Python's own handling begins late and deferred: a read that turns into a write then fails at once
    # with "database is locked", without waiting.
    sa.event.listen(engine.sync_engine, "connect", _leave_transactions_to_us)
    sa.event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _leave_transactions_to_us(connection: Any, _record: object) -> None:
    connection.isolation_level = None


def _begin_sqlite(connection: sa.Connection) -> None:
    reads = connection.get_execution_options().get(_READS)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _postgresql_engine(url: URL) -> AsyncEngine:
    # asyncpg reads the address itself, as libpq does: sslmode, sockets and application_name work.
    dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)

    async def connect(*_args: object, **_options: object) -> Any:
        return await asyncpg.connect(dsn, timeout=CONNECT_SECONDS)

    return create_async_engine(
        url,
        async_creator=connect,
        hide_parameters=True,
        pool_pre_ping=True,
        pool_timeout=CONNECT_SECONDS,
    )


def _mysql_engine(url: URL) -> AsyncEngine:
    connect_args: dict[str, Any] = {
        "charset": "utf8mb4",
        "connect_timeout": CONNECT_SECONDS,
        "init_command": MYSQL_SESSION,
    }
    if "ssl" in url.query or "ssl_ca" in url.query:
        connect_args["ssl"] = _tls(url.query.get("ssl_ca"))
        url = url.difference_update_query(["ssl", "ssl_ca"])
    return create_async_engine(
        url,
        connect_args=connect_args,
        hide_parameters=True,
        pool_pre_ping=True,
        pool_recycle=1800,
        pool_timeout=CONNECT_SECONDS,
    )


def _tls(authority: object) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(authority) if authority else None)
    except OSError as error:
        raise ConfigError(f"Cannot read ssl_ca={authority}: {error.strerror or 'no certificates'}.") from None
