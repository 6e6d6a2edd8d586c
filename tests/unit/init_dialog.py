"""`rosterhook init` for tests: with nobody to ask, or with somebody who types."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rosterhook import cli
from rosterhook.cli import common, questions

TOKEN = "00aSecretTokenOfTheOrg-_"
PASSWORD = "hunter2/of the@db"

Init = Callable[..., str]
Dialog = Callable[..., list[tuple[str, bool]]]


@pytest.fixture
def init(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Init:
    """Runs `init` in an empty folder, with nobody to ask, and returns what it prints."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    for name in [name for name in os.environ if name.upper().startswith("ROSTERHOOK_")]:
        monkeypatch.delenv(name)

    def call(*options: str) -> str:
        capsys.readouterr()
        cli.app(["init", *options], result_action="return_value", print_error=False, exit_on_error=False)
        return capsys.readouterr().out

    return call


class Somebody(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def dialog(monkeypatch: pytest.MonkeyPatch) -> Dialog:
    """Lets somebody type lines; an error among them is raised in their place. Gives the prompts, and if each hid."""

    def prepare(*typed: str | BaseException) -> list[tuple[str, bool]]:
        lines, asked = iter(typed), []

        def answer(prompt: object, hidden: bool = False) -> str:
            asked.append((str(prompt), hidden))
            line = next(lines)
            if isinstance(line, BaseException):
                raise line
            return line

        monkeypatch.setattr(sys, "stdin", Somebody())
        monkeypatch.setattr(common.out, "input", answer)
        monkeypatch.setattr(questions, "getpass", lambda prompt: answer(prompt, True))
        return asked

    return prepare


def everything(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, and what is in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
