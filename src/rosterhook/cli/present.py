"""What the present configuration answers already: `rosterhook init` proposes it anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rosterhook.cli.setup_files import DOTENV
from rosterhook.config.sources import from_dotenv, from_file, from_tutorial, from_variables
from rosterhook.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Known:
    """The answers of `rosterhook.toml` and `.env`, the tutorial's two keys among them; "" is no answer.

    Attributes:
        there: there is a `rosterhook.toml` that can be read.
        tutorials_token: the token is the tutorial's `okta_key`, which holds beside every other login.
        target_url: address of the database; it may hold a password.
        target_file: a file that holds it.
    """

    there: bool = False
    org_url: str = ""
    token: str = field(default="", repr=False)
    token_file: str = ""
    tutorials_token: bool = False
    client_id: str = ""
    private_key_file: str = ""
    hook_url: str = ""
    data_dir: str = ""
    target_url: str = field(default="", repr=False)
    target_file: str = ""

    @classmethod
    def in_folder(cls, folder: Path) -> Known:
        """What the files of a folder say; a `rosterhook.toml` that cannot be read says nothing.

        Raises:
            ConfigError: `.env` cannot be read.
        """
        variables, file = from_dotenv(folder / DOTENV), {}
        with suppress(ConfigError):
            file = from_file(None, None, folder).data
        tutorial = from_tutorial(variables, DOTENV).data
        strongest_first = (from_variables(variables, DOTENV).data, file, tutorial)
        okta = {key: _first(strongest_first, "okta", key) for key in _OF_OKTA}
        target = _first_target(strongest_first)
        return cls(
            there=bool(file),
            tutorials_token=bool(_text(tutorial, "okta", "token")),
            hook_url=_first(strongest_first, "hook", "url"),
            data_dir=_first(strongest_first, "data_dir"),
            target_url=_text(target, "url"),
            target_file=_text(target, "url_file"),
            **okta,
        )


_OF_OKTA = ("org_url", "token", "token_file", "client_id", "private_key_file")


def _first(sources: Sequence[Mapping[str, Any]], *path: str) -> str:
    return next((found for source in sources if (found := _text(source, *path))), "")


def _text(source: Any, *path: str) -> str:
    for part in path:
        source = source.get(part) if isinstance(source, Mapping) else None
    return source if isinstance(source, str) else ""


def _first_target(sources: Sequence[Mapping[str, Any]]) -> Any:
    lists = (source.get("targets") for source in sources)
    return next((several[0] for several in lists if isinstance(several, list) and several), {})
