"""Writes docs/configuration.md from the model of the configuration; with --check, fails when that file is stale.

Run it as `python docs/generate_configuration.py [--check]`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined

from rosterhook.config import DEFAULT_COLUMNS, Config
from rosterhook.config.keys import Key, keys

PAGE = Path(__file__).with_name("configuration.md")

INTRODUCTION = """\
<!-- Written by docs/generate_configuration.py from src/rosterhook/config/: change those, not this file. -->

# Configuration

rosterhook reads `rosterhook.toml` in the working directory, or the file that `--config` names, or the one that
`ROSTERHOOK_CONFIG` names. It needs no file at all: each key is an environment variable too, and those may stand in a
file `.env` in the working directory.

What wins, from the strongest to the weakest:

1. an option of the command line,
2. the environment,
3. `.env`,
4. the file,
5. `okta_url` and `okta_key`, the two keys of the tutorial's `.env` (in any case, from the environment or `.env`):
   they are `okta.org_url` and `okta.token`, where those are not given otherwise,
6. the default.

- Tables are merged key by key. A list, such as `targets`, is taken whole from the strongest that has one.
- The variable of `section.key` is `ROSTERHOOK_SECTION__KEY`, in any case, with two underscores between the two. A list
  is written as JSON: `ROSTERHOOK_HOOK__SECRETS='["old", "new"]'`.
- Each secret may stand in a file of its own, which `<key>_file` names; white space around it is cut off. A
  secret that comes from a stronger place displaces the file that a weaker one names, and the other way round.
- A relative path begins at the working directory.
- A key that rosterhook does not know is an error, and so is a variable that begins with `ROSTERHOOK_` and sets no
  key; the message names the nearest known one. Other variables in `.env` are left alone.
- An empty secret is an error, never "no secret".

`rosterhook check` tells all mistakes at once, each with its place.

## Example

```toml
data_dir = "data"

[server]
host = "127.0.0.1"
port = 8787
admin_token_file = "/run/secrets/admin-token"  # else generated into data_dir

[okta]
org_url = "https://example.okta.com"
token_file = "/run/secrets/okta-token"

[hook]
path = "/okta/events"  # /userTransfer always works too
secret_file = "/run/secrets/hook-secret"
header = "Authorization"

[follower]
poll_seconds = 60

[reconcile]
at = "02:30"

[log]
level = "info"

[store]
retention_days = 30

[[targets]]
name = "app"
type = "sql"
url = "sqlite:///data/users.db"
table = "users"
deactivated = "mark"
suspended = "mark"
deleted = "delete"

[targets.columns]  # column = attribute of the Okta user
id = "id"
status = "status"
email = "profile.email"
```

The same as `.env`, in part:

```sh
ROSTERHOOK_OKTA__ORG_URL=https://example.okta.com
ROSTERHOOK_OKTA__TOKEN_FILE=/run/secrets/okta-token
ROSTERHOOK_HOOK__SECRET_FILE=/run/secrets/hook-secret
ROSTERHOOK_TARGETS='[{"name": "app", "type": "sql", "url": "sqlite:///data/users.db"}]'
```
"""

_WORDS: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "`true` or `false`",
    Path: "path",
    SecretStr: "text, secret",
}
_SPECIAL = {
    "targets": "one target, the table `users` of a SQLite file `users.db` in `data_dir`",
    "targets.columns": ", ".join(f'`{column} = "{path}"`' for column, path in DEFAULT_COLUMNS.items()),
}


@dataclass(frozen=True)
class Entry:
    """One key of the reference, all of it in words."""

    section: str
    path: str
    type: str
    default: str
    description: str
    variable: str


def describe() -> list[Entry]:
    """Every key of the configuration, in the order of the model."""
    return [
        Entry(
            section=key.section,
            path=key.path,
            type=_type(key.field.annotation) + _bounds(key),
            default=_default(key),
            description=key.field.description or "",
            variable="" if key.many else key.variable,
        )
        for key in keys()
    ]


def markdown() -> str:
    """The whole page."""
    return "\n".join([INTRODUCTION, *_sections()])


def _sections() -> Iterator[str]:
    for section, entries in groupby(describe(), key=lambda entry: entry.section):
        if section != "":
            yield f"## {_heading(section)}\n\n{_doc(section)}\n"
        else:
            yield "## Top of the file\n"
        for entry in entries:
            yield _entry(entry)


def _heading(section: str) -> str:
    many = get_origin(Config.model_fields[section].annotation) is tuple
    return f"`[[{section}]]`" if many else f"`[{section}]`"


def _doc(section: str) -> str:
    leaves = _leaves(Config.model_fields[section].annotation)
    models = [leaf for leaf in leaves if isinstance(leaf, type) and issubclass(leaf, BaseModel)]
    docs = dict.fromkeys(" ".join((model.__doc__ or "").split()) for model in models)
    return "\n".join(docs)


def _entry(entry: Entry) -> str:
    lines = [f"### `{entry.path}`", "", entry.description, "", f"- Type: {entry.type}", f"- Default: {entry.default}"]
    if entry.variable:
        lines.append(f"- Variable: `{entry.variable}`" + (" (JSON)" if entry.type.startswith("list") else ""))
    return "\n".join([*lines, ""])


def _type(annotation: Any) -> str:
    parts = [part for part in get_args(annotation) if part is not NoneType]
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return " or ".join(_type(part) for part in parts)
    if origin is Annotated:
        return _type(parts[0])
    if origin is Literal:
        return " or ".join(f"`{part}`" for part in parts)
    if origin is tuple:
        inner = _type(parts[0])
        return "list of tables" if inner == "table" else f"list of {inner}"
    return "table of text" if origin is dict else _WORDS.get(annotation, "table")


def _leaves(annotation: Any) -> list[Any]:
    parts = get_args(annotation)
    return [leaf for part in parts for leaf in _leaves(part)] if parts else [annotation]


def _bounds(key: Key) -> str:
    words = {"ge": "at least {}", "gt": "above {}", "le": "at most {}", "lt": "below {}"}
    found = [
        form.format(getattr(rule, name))
        for rule in key.field.metadata
        for name, form in words.items()
        if getattr(rule, name, None) is not None
    ]
    return f", {' and '.join(found)}" if found else ""


def _default(key: Key) -> str:
    if key.field.is_required():
        return "none; it or `url_file` has to be set" if key.name == "url" else "none; it has to be set"
    value = key.field.default
    if value is PydanticUndefined or value is None or value == ():
        return _SPECIAL.get(key.path, "not set")
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if isinstance(value, int | float) else f'`"{value}"`'


def main(arguments: list[str]) -> int:
    """Write the page, or with --check tell whether it is fresh. Returns the exit status."""
    page = markdown()
    if "--check" not in arguments:
        PAGE.write_text(page, encoding="utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page:
        return 0
    sys.stderr.write(f"{PAGE} is stale. Run: python docs/generate_configuration.py\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
