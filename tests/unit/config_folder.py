"""Loads a configuration from a folder that a test filled."""

from __future__ import annotations

from pathlib import Path

import pytest

from rosterhook.config import Config
from rosterhook.config.load import load_config
from rosterhook.errors import ConfigError

SECRET = "hunter2-of-the-org"


def load(folder: Path, toml: str | None = None, dotenv: str | None = None, **environ: str) -> Config:
    if toml is not None:
        (folder / "rosterhook.toml").write_text(toml, encoding="utf-8")
    if dotenv is not None:
        (folder / ".env").write_text(dotenv, encoding="utf-8")
    return load_config(environ=environ, cwd=folder)


def problems(folder: Path, toml: str | None = None, dotenv: str | None = None, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, toml, dotenv, **environ)
    return str(caught.value).split("\n")
