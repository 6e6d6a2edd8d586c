"""What the web process does not start without: a secret of the hook, and the admin token."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path

from rosterhook.config import Config
from rosterhook.data_dir import refuse_demo
from rosterhook.errors import ConfigError
from rosterhook.hook_secrets import accepted, read_record
from rosterhook.private_files import create_privately

SHORTEST_TOKEN = 16


def require_secret(config: Config) -> None:
    """No secret, no start.

    Raises:
        ConfigError: anybody could send deliveries.
    """
    if config.server.open:
        return
    refuse_demo(config.data_dir)
    if not accepted(config.hook, read_record(config.data_dir), time.time()):
        raise ConfigError(
            "There is no secret for the hook that is still in force: anybody could send events."
            if config.hook.accepted()
            else "hook.secret is not set: anybody could send events.",
            hint="Run `rosterhook init`, or put a long random value into hook.secret (or a file named by"
            " hook.secret_file); `rosterhook hook create` then sets it in Okta.",
        )


def token_path(config: Config) -> Path:
    """Where a generated admin token is kept."""
    return config.data_dir / "admin-token"


def admin_token(config: Config) -> str:
    """The admin token: the configured one, or one that is generated once and kept for the owner's eyes (mode 0600).

    Raises:
        ConfigError: it can neither be read nor written.
    """
    if config.server.admin_token is not None:
        return config.server.admin_token.get_secret_value()
    path = token_path(config)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _create_once(path)
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot keep the admin token in {path}: {error}.", hint="Check data_dir.") from None
    if len(token) < SHORTEST_TOKEN:
        raise ConfigError(f"{path} holds no admin token.", hint="Remove it: a new one is made at the next start.")
    return token


def _create_once(path: Path) -> None:
    """Two processes may start at once: the file appears whole, or was there before."""
    if path.exists():
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    # On disk before it has its name: a power cut must not leave an empty file, which would be an empty token.
    create_privately(draft, f"{secrets.token_urlsafe(32)}\n".encode("ascii"))
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()
