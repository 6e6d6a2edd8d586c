"""The places that a configuration comes from, each as one nested mapping. Nothing here knows what is stronger."""

from __future__ import annotations

import io
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dotenv import dotenv_values

from rosterhook.config.keys import ENV_PREFIX, Key, Place, nearest, variables
from rosterhook.errors import ConfigError

CONFIG_VARIABLE = "ROSTERHOOK_CONFIG"
DEFAULT_FILE = "rosterhook.toml"
#: The two keys of the tutorial's `.env`.
TUTORIAL_KEYS: dict[str, Place] = {"okta_url": ("okta", "org_url"), "okta_key": ("okta", "token")}


@dataclass(slots=True)
class Source:
    """What one place says.

    Attributes:
        label: the place in words: a path, "environment", ".env" or "command line".
        data: nested as in the file.
        names: what the place itself calls a value, where that is not the path of its key.
        problems: what could not be read, a line each.
    """

    label: str
    data: dict[str, Any] = field(default_factory=dict)
    names: dict[Place, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def put(self, place: Place, name: str, value: Any) -> None:
        """Set one value, which this place calls `name`."""
        table = self.data
        for part in place[:-1]:
            table = table.setdefault(str(part), {})
        table[str(place[-1])] = value
        self.names[place] = name


def from_file(path: Path | None, named: str | None, folder: Path) -> Source:
    """The TOML file: the one that is named, else `rosterhook.toml` where there is one.

    Args:
        path: as the command line names it.
        named: as ROSTERHOOK_CONFIG names it; None when that is not set.
        folder: where a relative path begins.

    Raises:
        ConfigError: a named file is absent; or a file cannot be read, is not UTF-8, or is no TOML.
    """
    if path is None and named is not None:
        if not named.strip():
            raise ConfigError(f"{CONFIG_VARIABLE} is empty: give the path of a file, or leave it out.")
        path = Path(named)
    if path is None and not (folder / DEFAULT_FILE).exists():
        return Source(DEFAULT_FILE)
    label = str(path or DEFAULT_FILE)
    return Source(label, _parsed(_text(folder / label, label), label))


def from_dotenv(path: Path) -> dict[str, str]:
    """The variables in `.env`, others' as well; none when there is no such file.

    Raises:
        ConfigError: it cannot be read, or is not UTF-8.
    """
    # Some keep a virtual environment in a folder of this name.
    if not path.exists() or path.is_dir():
        return {}
    # Not interpolated: the tutorial's reader of this file does not, and a secret may have a "$".
    values = dotenv_values(stream=io.StringIO(_text(path, ".env")), interpolate=False)
    return {name: value or "" for name, value in values.items()}


def from_variables(variables_of_place: Mapping[str, str], label: str) -> Source:
    """Every `ROSTERHOOK_*` variable, in any case; one that sets no key is a problem."""
    source, known = Source(label), variables()
    for name, value in variables_of_place.items():
        if not name.upper().startswith(ENV_PREFIX) or name.upper() == CONFIG_VARIABLE:
            continue
        key = known.get(name.upper())
        if key is None:
            source.problems.append(f"{label}: unknown variable {name}.{_advice(name.upper(), list(known))}")
        else:
            _put(source, key, name, value)
    return source


def from_tutorial(variables_of_place: Mapping[str, str], label: str) -> Source:
    """The tutorial's `okta_url` and `okta_key`, in any case."""
    source = Source(label)
    for name, value in variables_of_place.items():
        place = TUTORIAL_KEYS.get(name.lower())
        if place is not None:
            source.put(place, name, _origin(value) if name.lower() == "okta_url" else value)
    return source


def from_overrides(overrides: Mapping[str, Any]) -> Source:
    """What the command line says; None is not said."""
    return Source("command line", _said(overrides))


def _said(overrides: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _said(value) if isinstance(value, Mapping) else value
        for key, value in overrides.items()
        if value is not None
    }


def _put(source: Source, key: Key, name: str, value: str) -> None:
    if not key.is_list:
        source.put(key.place, name, value)
        return
    try:
        source.put(key.place, name, json.loads(value))
    except (ValueError, RecursionError):
        form = '[{"name": "app", ...}]' if key.name == "targets" else '["one", "two"]'
        source.problems.append(f"{source.label}: {name}: is no JSON list; write it as {form}")


def _advice(name: str, known: list[str]) -> str:
    if name.startswith(f"{ENV_PREFIX}TARGETS_"):
        return f" Give all targets as one JSON list in {ENV_PREFIX}TARGETS."
    meant = nearest(name, known)
    return f" Did you mean {meant}?" if meant else ""


def _origin(url: str) -> str:
    """The tutorial's readers have a slash at the end, or the path of the users API, or no scheme."""
    whole = url if "://" in url or not url else f"https://{url}"
    try:
        parts = urlsplit(whole)
    except ValueError:
        return url
    is_api = parts.path in ("", "/") or re.match(r"/api(/|$)", parts.path)
    return f"{parts.scheme}://{parts.netloc}" if is_api and whole else url


def _text(path: Path, label: str) -> str:
    try:
        # Notepad puts a byte order mark in front, which TOML does not allow.
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            f"{label}: there is no such file.", hint="Name a file that exists, or leave the name out."
        ) from None
    except OSError as error:
        raise ConfigError(f"{label}: cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{label}: is not UTF-8 text (byte {error.start + 1}). Save it as UTF-8.") from None


def _parsed(text: str, label: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        what, _, where = str(error).rpartition(" (at ")
        raise ConfigError(f"{label}: {where.rstrip(')')}: {what[:1].lower()}{what[1:]}.") from None
    except RecursionError:
        raise ConfigError(f"{label}: is nested too deeply.") from None
