"""The contract of targets, on every database that the SQL target writes to."""

from __future__ import annotations

import pytest

from rosterhook.config import TUTORIAL_COLUMNS, Policy, SqlTarget
from rosterhook.targets import Target
from rosterhook.targets.registry import build_target
from rosterhook.testing import MemoryTarget, RefusesOlder, ShowsStatus, TargetContract


class OnDatabase(RefusesOlder, ShowsStatus):
    """The contract on the database of a fixture."""

    url: str

    async def make_target(self, **policies: Policy) -> Target:
        return build_target(SqlTarget(name="app", type="sql", url=self.url, **policies))


class TestMemoryTarget(RefusesOlder, ShowsStatus):
    """The target in memory is a target."""

    async def make_target(self, **policies: Policy) -> Target:
        return MemoryTarget(**policies)


class TestSqlite(OnDatabase):
    """A file of SQLite is a target."""

    @pytest.fixture(autouse=True)
    def _database(self, sqlite_url: str) -> None:
        self.url = sqlite_url


class TestPostgresql(OnDatabase):
    """A database of PostgreSQL is a target."""

    @pytest.fixture(autouse=True)
    def _database(self, postgres_url: str) -> None:
        self.url = postgres_url


class TestMariadb(OnDatabase):
    """A database of MariaDB is a target."""

    @pytest.fixture(autouse=True)
    def _database(self, mariadb_url: str) -> None:
        self.url = mariadb_url


class TestTutorial(TargetContract):
    """The tutorial's table is a target that leaves the order of writes to rosterhook."""

    columns = TUTORIAL_COLUMNS

    @pytest.fixture(autouse=True)
    def _database(self, sqlite_url: str) -> None:
        self.url = sqlite_url

    async def make_target(self, **policies: Policy) -> Target:
        return build_target(SqlTarget(name="app", type="sql", url=self.url, preset="tutorial", **policies))
