"""A table in SQLite, PostgreSQL, MySQL or MariaDB as a target."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal

import sqlalchemy as sa

from rosterhook.config import SqlTarget
from rosterhook.errors import TargetError
from rosterhook.model import DELETED, DEPROVISIONED, SUSPENDED, Change, Delivered, Drift, Outcome, Park, Report
from rosterhook.targets import Row
from rosterhook.targets.sql_alike import Alike
from rosterhook.targets.sql_check import problems_of
from rosterhook.targets.sql_engine import Database, execute, in_sync
from rosterhook.targets.sql_errors import RowFault, TryAgain, is_forbidden
from rosterhook.targets.sql_rights import grant, problems_of_making
from rosterhook.targets.sql_table import Found, Layout, find, has_schema, layout, planned, split_name
from rosterhook.targets.sql_upsert import Write, rehearse, write
from rosterhook.targets.sql_values import Unfit, readable

BATCH = 500
PAGE = 1000
#: How often a transaction is tried that the database undid for another one's sake.
TRIES = 5
#: How often those are tried again whose unique value another user of the same call may have freed by then.
ROUNDS = 8


class SqlTable:
    """Users as rows of one table, one row a user.

    Args:
        config: the target's part of the configuration.

    Raises:
        ConfigError: its url or table cannot be used.
    """

    #: Rows are written by upserts, which need a unique key.
    upserts = True

    def __init__(self, config: SqlTarget) -> None:
        self._config = config
        self._database = Database(config.url.get_secret_value(), config.name)
        self._schema, self._table = split_name(config, self._database.dialect)
        self._layout: Layout | None = None
        self._snapped: Layout | None = None
        self._opening = asyncio.Lock()

    @property
    def name(self) -> str:
        """The target's name in the configuration."""
        return self._config.name

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._database.label}>"

    async def check(self) -> Report:
        """Tell whether the table would accept users, and what a first write will make. Writes nothing.

        Raises:
            TargetError: the database cannot be reached.
        """
        found = await self._find()
        if found is None:
            return await self._check_absent()
        problems = self._problems(found)
        if problems:
            return Report(problems=problems)
        try:
            await self._rehearse(layout(self._config, found, self._database.dialect))
        except TargetError as error:
            return Report(problems=[await self._refusal(error)])
        return Report(facts=[f"table {self._config.table} has every column", *await self._more_facts()])

    async def deliver(self, changes: Sequence[Change]) -> list[Outcome]:
        """Write the users' rows, a batch in one transaction; see `Target.deliver`.

        Raises:
            TargetError: the database or its table cannot be written now.
        """
        if not changes:
            return []
        ready = await self._ready()
        outcomes: dict[str, Outcome] = {}
        writes: list[Write] = []
        for change in changes:
            try:
                writes += self._plan(change, ready)
            except Unfit as why:
                outcomes[change.user_id] = Park(str(why))
        for key, fault in (await self._write_all(ready, writes)).items():
            outcomes[key] = Park(_why(fault, ready))
        return [outcomes.get(change.user_id, Delivered()) for change in changes]

    async def snapshot(self) -> AsyncIterator[Row]:
        """The rows by primary key: its columns and the mapped ones, as JSON can hold them.

        Raises:
            TargetError: the table cannot be read.
        """
        self._snapped = None
        found = await self._find()
        if found is None:
            return
        if not found.is_unique(found.place(self._config.key_column)) or set(self._config.columns) - set(found.columns):
            raise self._refused(self._problems(found))
        self._snapped = ready = layout(self._config, found, self._database.dialect)
        last: object = None
        # Pages, and no connection held between them: a slow reader must not hinder a writer.
        while page := await self._page(ready, last):
            for _, *row in page:
                yield dict(zip(ready.shown, map(readable, row), strict=True))
            last = page[-1][0]

    def key_of(self, row: Row) -> str | None:
        """Okta's id in a row of the snapshot; see `Target.key_of`."""
        key = row[self._config.key_column]
        return None if key is None else str(key).rstrip(" ")  # a CHAR is padded

    async def drift(self, held: Sequence[tuple[Change, Row | None]]) -> list[Drift | None]:
        """Compare rows of the last snapshot, by the table as that found it; see `Target.drift`."""
        ready = self._snapped
        if ready is None:
            return [None if self._action(change) != "put" else Drift("missing", {}) for change, _ in held]
        is_held = {field.column: field.is_held for field in ready.fields}
        return [self._drift(change, row, ready, is_held) for change, row in held]

    async def aclose(self) -> None:
        """Close every connection. Safe to repeat."""
        await self._database.aclose()

    def _planned(self) -> sa.Table:
        return planned(self._config, self._database.dialect)

    async def _more_facts(self) -> list[str]:
        return []

    async def _find(self) -> Found | None:
        if not self._database.exists():
            return None
        async with self._database.reading() as connection:
            return await in_sync(connection, lambda c: find(c, self._schema, self._table))

    async def _ready(self) -> Layout:
        async with self._opening:
            if self._layout is None:
                self._layout = await self._open()
            return self._layout

    async def _open(self) -> Layout:
        found = await self._find()
        if found is None:
            await self._create()
            found = await self._find()
        if found is None:
            raise TargetError(f"{self._database.label}: table {self._config.table} was made and is gone again.")
        if problems := self._problems(found):
            raise self._refused(problems)
        return layout(self._config, found, self._database.dialect)

    async def _create(self) -> None:
        table = self._planned()
        try:
            async with self._database.altering() as connection:
                await in_sync(connection, lambda c: table.metadata.create_all(c, checkfirst=False))
        except TargetError:
            # Another process may have been faster.
            if await self._find() is None:
                raise

    def _problems(self, found: Found) -> list[str]:
        return problems_of(self._config, found, self._database.dialect, upserts=self.upserts)

    def _refused(self, problems: list[str]) -> TargetError:
        more = f" ({len(problems) - 1} more)" if len(problems) > 1 else ""
        return TargetError(
            f"{self._database.label}: {problems[0]}{more}", hint='"rosterhook check" lists all that is wrong.'
        )

    async def _check_absent(self) -> Report:
        if self._database.exists():
            async with self._database.reading() as connection:
                there = await in_sync(connection, lambda c: has_schema(c, self._schema))
            if self._schema and not there:
                schema = self._database.dialect.identifier_preparer.quote(self._schema)
                return Report(problems=[f"there is no schema {schema}: run CREATE SCHEMA {schema};"])
        table = self._planned()
        if problems := await problems_of_making(self._database, table, self._config.key_column):
            return Report(problems=problems)
        columns = ", ".join(column.name for column in table.columns)
        return Report(facts=[f"will create table {self._config.table} ({columns})"])

    async def _refusal(self, error: TargetError) -> str:
        if not is_forbidden(error) or self._database.dialect.name == "sqlite":
            return str(error)
        return f"{error.message.rstrip('.')}: run {await grant(self._database, self._planned())}"

    async def _rehearse(self, ready: Layout) -> None:
        async with self._database.altering() as connection:
            for statement in rehearse(ready):
                await execute(connection, statement)
            await connection.rollback()

    def _drift(self, change: Change, row: Row | None, ready: Layout, is_held: Mapping[str, Alike]) -> Drift | None:
        try:
            writes = self._plan(change, ready)
        except Unfit:
            return None  # no delivery would mend that: the user is parked with the reason
        if not writes or (row is None and writes[0].action != "put"):
            return None
        wanted = writes[0].values
        if row is None:
            return Drift("missing", {column: (None, readable(value)) for column, value in wanted.items()})
        if writes[0].action == "drop":
            return Drift("surplus", {column: (value, None) for column, value in row.items()})
        fields = {
            column: (row[column], readable(value))
            for column, value in wanted.items()
            if not is_held[column](row[column], value)
        }
        return Drift("changed", fields) if fields else None

    async def _page(self, ready: Layout, last: object) -> Sequence[Any]:
        """The rows behind a place: the place of each, and what is shown of it."""
        after = ready.place.is_not(None) if last is None else ready.place > last
        place = ready.place.label("the place")  # once more: it may be shown too
        shown = [ready.table.c[name] for name in ready.shown]
        query = sa.select(place, *shown).where(after).order_by(ready.place).limit(PAGE)
        async with self._database.reading() as connection:
            return (await execute(connection, query)).all()

    def _plan(self, change: Change, ready: Layout) -> list[Write]:
        match self._action(change):
            case "keep":
                return []
            case "drop":
                return [Write("drop", change.user_id, change.order)]
            case action:
                user = {**change.user, "id": change.user_id}
                fields = ready.fields
                if action == "mark":
                    user["status"] = DELETED
                    fields = tuple(field for field in fields if field.path == "status")
                values = {field.column: field.value_of(user) for field in fields}
                key = str(values.pop(ready.key.name, change.user_id))
                return [Write(action, key, change.order, values)]

    def _action(self, change: Change) -> Literal["keep", "mark", "drop", "put"]:
        status = change.user.get("status")
        policy = "mark"
        if change.deleted:
            policy = self._config.deleted
        elif status == DEPROVISIONED:
            policy = self._config.deactivated
        elif status == SUSPENDED:
            policy = self._config.suspended
        if policy == "delete":
            return "drop"
        if policy == "keep":
            return "keep"
        return "mark" if change.deleted else "put"

    async def _write_all(self, ready: Layout, writes: list[Write]) -> dict[str, RowFault]:
        faults: dict[str, RowFault] = {}
        for start in range(0, len(writes), BATCH):
            faults |= await self._write_or_split(ready, writes[start : start + BATCH])
        for _ in range(ROUNDS):
            again = [one for one in writes if one.key in faults and faults[one.key].unique]
            for one in again:
                faults.pop(one.key)
                faults |= await self._write_or_split(ready, [one])
            if all(one.key in faults for one in again):
                break
        return faults

    async def _write_or_split(self, ready: Layout, writes: list[Write]) -> dict[str, RowFault]:
        """Write in one transaction; when a row is refused, halve until only the culprits are left."""
        try:
            refused = await self._write_once(ready, writes)
            return {key: RowFault("", unique=True) for key in refused}
        except RowFault as fault:
            if len(writes) == 1:
                return {writes[0].key: fault}
        half = len(writes) // 2
        first = await self._write_or_split(ready, writes[:half])
        return first | await self._write_or_split(ready, writes[half:])

    async def _write_once(self, ready: Layout, writes: list[Write]) -> list[str]:
        for _ in range(TRIES):
            try:
                async with self._database.writing() as connection:
                    return await write(connection, ready, writes)
            except TryAgain:
                continue
            except TargetError:
                # The table may have been changed under us: look at it anew next time.
                self._layout = None
                raise
        raise TargetError(
            f"{self._database.label}: {TRIES} deadlocks in a row.",
            hint="It heals by itself; if it goes on, look for another program that locks many rows.",
        )


def _why(fault: RowFault, ready: Layout) -> str:
    columns = ready.columns_of(fault.subject)
    if fault.unique:
        # MySQL does not tell which one when it found another row instead of writing.
        names = columns or tuple(dict.fromkeys(name for group in ready.uniques.values() for name in group))
        which = " or ".join(f'"{name}"' for name in names) or "a unique value"
        return f"{which} is taken by another row of the table: free it there, or change the user"
    where = f" ({fault.subject})" if fault.subject else ""
    return f"the database refuses the row by a rule of its own{where}"
