"""Databases for tests: the servers start once a worker, each test has a database of its own."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiomysql
import asyncpg
import pytest
from sqlalchemy.engine import make_url

from servers import mariadb_server, postgres_server

_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL server, without a database."""
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
def mariadb() -> Iterator[str]:
    """The address of a MariaDB server, without a database."""
    with mariadb_server() as url:
        yield url


@pytest.fixture
async def postgres_url(postgres: str) -> AsyncIterator[str]:
    """The address of an empty database in PostgreSQL."""
    name = f"test{next(_numbers)}"
    admin = await asyncpg.connect(f"{postgres}/postgres")
    await admin.execute(f"CREATE DATABASE {name}")
    try:
        yield f"{postgres}/{name}"
    finally:
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await admin.close()


@pytest.fixture
async def mariadb_url(mariadb: str) -> AsyncIterator[str]:
    """The address of an empty database in MariaDB."""
    name = f"test{next(_numbers)}"
    url = make_url(mariadb)
    admin = await aiomysql.connect(
        host=url.host, port=url.port, user=url.username, password=url.password, autocommit=True
    )
    cursor = await admin.cursor()
    await cursor.execute(f"CREATE DATABASE {name}")
    try:
        yield f"{mariadb}/{name}"
    finally:
        await cursor.execute(f"DROP DATABASE {name}")
        await cursor.close()
        admin.close()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The address of a file of SQLite that does not exist yet, in a folder that does not either."""
    return f"sqlite:///{tmp_path / 'new' / 'users.db'}"


@pytest.fixture(params=["sqlite_url", "postgres_url", "mariadb_url"])
def any_url(request: pytest.FixtureRequest) -> str:
    """The address of an empty database, on each product in turn."""
    return str(request.getfixturevalue(request.param))
