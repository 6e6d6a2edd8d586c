"""The tutorial's table: no unique index, no status, and doubles from events that came twice."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import sqlalchemy as sa

from rosterhook.config import SqlTarget
from rosterhook.errors import ConfigError
from rosterhook.targets.sql import SqlTable
from rosterhook.targets.sql_engine import execute

#: A check names so many doubles one by one.
LISTED = 20
CURE = 'run "rosterhook check --merge-doubles" to keep the first of each'


@dataclass(frozen=True, slots=True)
class Double:
    """A user who is in more rows than one.

    Attributes:
        row_ids: the rows' own numbers, lowest first.
    """

    okta_id: str
    row_ids: tuple[int, ...]


class TutorialTable(SqlTable):
    """`Users` as the tutorial's Express app made it; where it is absent, the same with a unique oktaId.

    A user who is in several rows has the same values in all of them after a write.

    Raises:
        ConfigError: the database is not SQLite.
    """

    upserts = False

    def __init__(self, config: SqlTarget) -> None:
        super().__init__(config)
        if self._database.dialect.name != "sqlite":
            raise ConfigError(
                f'preset = "tutorial" of target "{config.name}" is for SQLite.',
                hint='Leave the preset out, and set table = "Users" and [targets.columns] yourself.',
            )

    async def doubles(self) -> list[Double]:
        """Every user who is in more rows than one, by oktaId.

        Raises:
            TargetError: the table cannot be read.
        """
        if await self._find() is None:
            return []
        table = self._planned()
        several = sa.select(table.c.oktaId).where(table.c.oktaId.is_not(None)).group_by(table.c.oktaId)
        several = several.having(sa.func.count() > 1)
        query = sa.select(table.c.oktaId, table.c.id).where(table.c.oktaId.in_(several)).order_by(table.c.id)
        rows: dict[str, list[int]] = defaultdict(list)
        async with self._database.reading() as connection:
            for row in await execute(connection, query):
                rows[str(row[0])].append(row[1])
        return [Double(okta_id, tuple(rows[okta_id])) for okta_id in sorted(rows)]

    async def merge_doubles(self) -> int:
        """Keep the lowest row of each user, remove the others, and make oktaId unique; all or nothing.

        The values of the row that stays are those of the next write.

        Returns:
            How many rows were removed.

        Raises:
            TargetError: the table cannot be written; nothing was removed.
        """
        if await self._find() is None:
            return 0
        table = self._planned()
        first = sa.select(sa.func.min(table.c.id)).where(table.c.oktaId.is_not(None)).group_by(table.c.oktaId)
        others = sa.delete(table).where(table.c.oktaId.is_not(None), table.c.id.not_in(first))
        async with self._database.altering() as connection:
            removed = (await execute(connection, others)).rowcount
            for index in table.indexes:
                await connection.run_sync(index.create, checkfirst=True)
        self._layout = None
        return removed

    def _planned(self) -> sa.Table:
        text = [sa.Column(name, sa.Text()) for name in self._config.columns]
        number = sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True)
        table = sa.Table(self._table, sa.MetaData(), number, *text, sqlite_autoincrement=True)
        sa.Index("Users_oktaId_unique", table.c.oktaId, unique=True)
        return table

    async def _more_facts(self) -> list[str]:
        doubles = await self.doubles()
        facts = [
            f"oktaId {one.okta_id} is in {len(one.row_ids)} rows (id {', '.join(map(str, one.row_ids))}): {CURE}"
            for one in doubles[:LISTED]
        ]
        more = len(doubles) - LISTED
        return [*facts, f"{more} more users are in several rows: {CURE}"] if more > 0 else facts
