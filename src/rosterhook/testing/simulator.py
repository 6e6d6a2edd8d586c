"""A pytest fixture: an Okta org for each test.

In `conftest.py`::

    pytest_plugins = ["rosterhook.testing.simulator"]
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rosterhook.simulator import Settings
from rosterhook.testing.org import OktaOrg, served


@pytest.fixture
def okta_org_settings() -> Settings:
    """What the org is like; a test module or a conftest.py may have a fixture of this name of its own."""
    return Settings()


@pytest.fixture
def okta_org(okta_org_settings: Settings) -> Iterator[OktaOrg]:
    """An org that is served on a free port of this machine."""
    with served(okta_org_settings) as org:
        yield org
