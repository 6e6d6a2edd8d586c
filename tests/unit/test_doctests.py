"""The examples in docstrings are right."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import rosterhook

SOURCE = Path(rosterhook.__file__).parent
MODULES = sorted(
    ".".join(("rosterhook", *path.relative_to(SOURCE).with_suffix("").parts))
    for path in SOURCE.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_every_example_in_a_docstring_is_right(name: str) -> None:
    """What a docstring shows is what the code answers."""
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert failed == 0
    assert tried > 0


def test_examples_are_found() -> None:
    """The search for examples finds those of old and of new modules."""
    assert {"rosterhook.model", "rosterhook.cli.moments", "rosterhook.access", "rosterhook.proof"} <= set(MODULES)
