"""What the simulated org and the service under drill are told to be."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rosterhook.config import SqlTarget
from rosterhook.private_files import replace_privately
from rosterhook.simulator.settings import Settings

#: The one target, and a table that no application has: the drill makes it, and removes it afterwards.
TARGET = "drill"
TABLE = "rosterhook_drill"
#: Okta's own limits would make 50,000 changes a matter of days. They are still limits, and learnt from the headers.
RATE_MULTIPLIER = 30.0
POLL_SECONDS = 2
#: Removals are never held, but in the step that is about it: random traffic removes more than any default allows.
NEVER_HELD = 100.0

CONFIG = """\
# What `rosterhook drill` runs with.
data_dir = {data_dir}

[server]
port = {port}
admin_token = {admin_token}

[okta]
org_url = {org_url}
token = {okta_token}
share = 1.0

[hook]
secret = {hook_secret}

[follower]
poll_seconds = {poll_seconds}

[reconcile]
at = ""

[log]
format = "json"

[[targets]]
name = "{name}"
type = "sql"
url = {url}
table = "{table}"
{limits}
"""


def _new_secret() -> str:
    return secrets.token_urlsafe(24)


@dataclass(frozen=True, slots=True)
class Secrets:
    """What org and service share; new ones for each drill."""

    hook: str = field(default_factory=_new_secret, repr=False)
    okta: str = field(default_factory=_new_secret, repr=False)
    admin: str = field(default_factory=_new_secret, repr=False)


def org_settings(users: int, seed: int, port: int, shared: Secrets) -> Settings:
    """The org: of strangers whom no event has told of, with hooks that are tried twice and then lost, as Okta's are."""
    return Settings(
        users=users,
        seed=seed,
        token=shared.okta,
        hook_url=f"http://127.0.0.1:{port}/okta/events",
        hook_secret=shared.hook,
        principal_share=1.0,
        rate_multiplier=RATE_MULTIPLIER,
    )


@dataclass(frozen=True, slots=True)
class ServiceFile:
    """The service's configuration as a file."""

    path: Path
    port: int
    org_url: str
    target_url: str
    shared: Secrets

    @property
    def data_dir(self) -> Path:
        """Where the service keeps its own stores."""
        return self.path.parent / "data"

    def write(self, *, holds: bool) -> None:
        """Write it, with the default limits on removals or with none."""
        told: dict[str, Any] = {
            "data_dir": str(self.data_dir),
            "admin_token": self.shared.admin,
            "org_url": self.org_url,
            "okta_token": self.shared.okta,
            "hook_secret": self.shared.hook,
            "url": self.target_url,
        }
        text = CONFIG.format(
            port=self.port,
            poll_seconds=POLL_SECONDS,
            name=TARGET,
            table=TABLE,
            limits="" if holds else f"hold_percent = {NEVER_HELD}",
            # A string of JSON is one of TOML too.
            **{key: json.dumps(value) for key, value in told.items()},
        )
        replace_privately(self.path, text.encode())


def target_config(url: str) -> SqlTarget:
    """The target as the drill itself reads it."""
    return SqlTarget.model_validate({"name": TARGET, "type": "sql", "url": url, "table": TABLE})
