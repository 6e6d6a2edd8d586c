"""What the stories about one service share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Org, Service, running


@pytest.fixture(scope="module")
def org() -> Iterator[Org]:
    """A quiet simulated org of three users, whom nobody has announced."""
    org = Org("--users", "3", "--patient")
    yield org
    org.close()


@pytest.fixture
def service(tmp_path: Path, org: Org) -> Iterator[Service]:
    """A running service of its own for each test, hooked up to the org."""
    service = Service(tmp_path, org, f'url = "sqlite:///{tmp_path / "users.db"}"')
    with running(service):
        yield service
