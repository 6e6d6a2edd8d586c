"""Rules of the house that no linter knows."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = sorted(
    path
    for folder in ("src", "bench", "tests", "docs")
    for path in (ROOT / folder).rglob("*.py")
    if "node_modules" not in path.parts
)


def test_no_file_is_longer_than_400_lines() -> None:
    """A file that has grown past 400 lines has more than one job."""
    longest = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in FILES}
    assert {name: lines for name, lines in longest.items() if lines > 400} == {}


def test_every_test_states_what_it_promises() -> None:
    """Each test has a docstring: the sentence of the specification that it proves."""
    silent = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in FILES
        if path.name.startswith("test_") or path.parent.name == "testing"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        if not ast.get_docstring(node)
    ]
    assert silent == []
