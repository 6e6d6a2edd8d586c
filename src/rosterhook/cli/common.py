"""What the commands share: the configuration, and how to print."""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl, unquote

from cyclopts import Parameter
from rich.console import Console
from rich.text import Text

from rosterhook.config import Config
from rosterhook.config.keys import ENV_PREFIX
from rosterhook.config.load import load_config
from rosterhook.config.sources import DEFAULT_FILE, TUTORIAL_KEYS, from_dotenv
from rosterhook.errors import StoreError
from rosterhook.hook_secrets import read_record
from rosterhook.observe import configure_logging

#: Where nobody looks, lines are not broken to a width: a program reads them.
#: An ":o:" in somebody's name is no emoji.
out = Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else 1000)

_NOWHERE = f"There is no {DEFAULT_FILE} in"
_GO = "go to the service's folder, or give --config."
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

ConfigPath = Annotated[Path | None, Parameter(name="--config", help="Configuration file, if not rosterhook.toml.")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON.")]
DryRun = Annotated[bool, Parameter(name="--dry-run", negative="", help="Only tell what would be done.")]


_advice = ""


def load(path: Path | None) -> Config:
    """The configuration, with logging set up so that no secret of it is ever printed."""
    global _advice
    config = load_config(path)
    _advice = f"{_NOWHERE} {Path().absolute()}: {_GO}" if _is_unconfigured(path) else ""
    rotated: tuple[str, ...] = ()
    with suppress(StoreError):  # who needs the record is told that it cannot be read
        rotated = read_record(config.data_dir).own_secrets()
    configure_logging(config.log, [*secrets_of(config), *rotated])
    return config


def lost_advice() -> str:
    """What to tell whoever runs a command where nothing is configured, and probably meant another folder; else ""."""
    return _advice


def _is_unconfigured(path: Path | None) -> bool:
    if path is not None or Path(DEFAULT_FILE).exists():
        return False
    names = {*os.environ, *from_dotenv(Path(".env"))}
    return not any(name.upper().startswith(ENV_PREFIX) or name.lower() in TUTORIAL_KEYS for name in names)


def secrets_of(config: Config) -> list[str]:
    """Every secret of a configuration, as text; of a database's address, the password."""
    okta = (config.okta.token, config.okta.private_key)
    found = [config.server.admin_token, *okta, config.hook.secret, *config.hook.secrets]
    passwords = {each for target in config.targets for each in _passwords(target.url.get_secret_value())}
    return [secret.get_secret_value() for secret in found if secret is not None] + sorted(passwords)


def _passwords(url: str) -> set[str]:
    """The passwords in a database's address, as written and as meant.

    By hand, in SQLAlchemy's own grammar: to import it takes longer than all that `status` does.
    """
    found = re.match(r"[^:]+://[^:/]*:([^@]+)@", url)
    _, _, query = url.partition("?")
    named = {value for key, value in parse_qsl(query) if "password" in key.lower()}
    return named | ({found[1], unquote(found[1])} if found else set())


def print_json(value: Any) -> None:
    """Print a value as indented JSON, whatever the terminal's width."""
    out.out(to_json(value, indent=2), highlight=False)


def to_json(value: Any, indent: int | None = None) -> str:
    """A value as JSON; escaped in JSON's way where the terminal has not every character."""
    return json.dumps(value, indent=indent, ensure_ascii=not out.encoding.startswith("utf"))


def plain(value: object, style: str = "") -> Text:
    """A value to print as it is: no markup of ours, and no control character that a terminal would obey."""
    return Text(_CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", str(value)), style)


def hanging(text: Text, indent: int = 2, *, console: Console = out) -> Text:
    """On a terminal, the text broken at words, with its further lines indented; elsewhere one line, for programs."""
    if not console.is_terminal:
        return text
    lines = text.wrap(console, max(console.width - indent, 1))
    for line in lines:
        line.rstrip()
    return Text("\n" + " " * indent).join(lines)
