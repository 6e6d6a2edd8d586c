"""Reads the configuration: command line over environment over `.env` over file, and one error for all mistakes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rosterhook.config import Config
from rosterhook.config.keys import keys, nearest, without_unknown
from rosterhook.config.problems import describe, spell
from rosterhook.config.sources import (
    Source,
    from_dotenv,
    from_file,
    from_overrides,
    from_tutorial,
    from_variables,
)
from rosterhook.errors import ConfigError


def load_config(
    path: Path | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
    cwd: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Config:
    """Read and check the whole configuration.

    Args:
        path: of the file, as `--config` names it. Else `ROSTERHOOK_CONFIG`, else `rosterhook.toml` where it exists.
        environ: the environment variables.
        cwd: where `rosterhook.toml` and `.env` are looked for; the working directory when None.
        overrides: nested as in the file, and stronger than all else; None as a value leaves a key alone.

    Returns:
        The configuration. A secret given by a stronger source as `<key>` displaces a weaker `<key>_file`, and back.

    Raises:
        ConfigError: with one line for each mistake, `where: key: what is wrong`, and no value of a secret.
    """
    folder = cwd if cwd is not None else Path()
    dotenv = from_dotenv(folder / ".env")
    weakest_first = [
        from_tutorial(dotenv, ".env"),
        from_tutorial(environ, "environment"),
        from_file(path, _named(environ, dotenv), folder),
        from_variables(dotenv, ".env"),
        from_variables(environ, "environment"),
        from_overrides(overrides or {}),
    ]
    problems = [line for source in weakest_first for line in (*source.problems, *_typing_errors(source))]
    merged: dict[str, Any] = {}
    for source in weakest_first:
        merged = _over(merged, without_unknown(source.data)[0])
    return _validated(merged, weakest_first, problems)


def _named(environ: Mapping[str, str], dotenv: Mapping[str, str]) -> str | None:
    both = {**{name.upper(): value for name, value in dotenv.items()}, **environ}
    return both.get("ROSTERHOOK_CONFIG")


def _over(weak: Mapping[str, Any], strong: Mapping[str, Any]) -> dict[str, Any]:
    """Both, table by table; of a secret and its file, the weaker side's is dropped."""
    merged = {key: value for key, value in weak.items() if _twin(key) not in strong}
    for key, value in strong.items():
        below = merged.get(key)
        merged[key] = _over(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _twin(key: str) -> str:
    return key.removesuffix("_file") if key.endswith("_file") else f"{key}_file"


def _typing_errors(source: Source) -> list[str]:
    paths = {key.path: key.path for key in keys()}
    names = {key.name: key.path for key in keys()}
    lines = []
    for place in without_unknown(source.data)[1]:
        plain = ".".join(part for part in place if isinstance(part, str))
        meant = paths.get(nearest(plain, list(paths))) or names.get(nearest(str(place[-1]), list(names)))
        advice = f" Did you mean {meant}?" if meant else ""
        lines.append(f"{source.label}: unknown key {spell(place, source.data)}.{advice}")
    return lines


def _validated(merged: dict[str, Any], sources: list[Source], problems: list[str]) -> Config:
    try:
        config = Config.model_validate(merged)
    except ValidationError as error:
        problems += describe(error, merged, sources)
    else:
        if not problems:
            return config
    # Outside of the except clause: the error of pydantic knows the values, and would be shown as the cause.
    raise ConfigError("\n".join(dict.fromkeys(problems)))
