"""The gate fails when a ratio falls, and for no other reason."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module `bench.gate`: the benchmark is no part of the package."""
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("bench.gate")


class Measured:
    """A part whose ratio is another one each time that it is measured."""

    def __init__(self, gate: ModuleType, *ratios: float, unit: str = "x") -> None:
        self._figure = gate.Figure
        self._ratios: Iterator[float] = iter(ratios)
        self._unit = unit
        self.parts: list[str] = []

    def __call__(self, part: str) -> list[Any]:
        self.parts.append(part)
        return [self._figure(f"{part}/ratio", "a ratio", self._unit, [next(self._ratios)])]


def limits(gate: ModuleType, tmp_path: Path, text: str) -> Any:
    """The limits of a file with this text."""
    path = tmp_path / "floors.toml"
    path.write_text(text)
    return gate.read(path)


def test_the_limits_of_the_repository_can_be_read(gate: ModuleType) -> None:
    """There are some, and each is of a part that exists."""
    assert gate.read()


def test_what_is_kept_is_measured_once(gate: ModuleType, tmp_path: Path) -> None:
    """Floors and ceilings hold what is just at them; a part without a limit is not measured."""
    held = limits(gate, tmp_path, '[floors]\n"calls/ratio" = 2.0\n[ceilings]\n"accept/ratio" = 3\n')
    measured = Measured(gate, 3.0, 2.0)
    assert gate.hold(held, measured) == []
    assert measured.parts == ["accept", "calls"]


@pytest.mark.parametrize(("side", "bad", "good"), [("floors", 1.9, 2.1), ("ceilings", 2.1, 1.9)])
def test_a_second_try_decides(
    gate: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], side: str, bad: float, good: float
) -> None:
    """A limit that is passed is measured once more; passed again, it is told with what was found."""
    held = limits(gate, tmp_path, f'[{side}]\n"calls/ratio" = 2.0\n')
    assert gate.hold(held, Measured(gate, bad, good)) == []
    assert "once more" in capsys.readouterr().err
    assert [limit.name for limit in gate.hold(held, Measured(gate, bad, bad))] == ["calls/ratio"]
    assert f"calls/ratio: {bad} x, {side[:-1]} 2: NOT KEPT" in capsys.readouterr().out


def test_a_limit_of_nothing_is_an_error(gate: ModuleType, tmp_path: Path) -> None:
    """A figure that nobody measures, or no part, or an absolute time: a gate that holds nothing is told by name."""
    held = limits(gate, tmp_path, '[floors]\n"calls/other" = 2.0\n')
    with pytest.raises(gate.BenchError, match="calls/other"):
        gate.hold(held, Measured(gate, 3.0))
    held = limits(gate, tmp_path, '[floors]\n"calls/ratio" = 2.0\n')
    with pytest.raises(gate.BenchError, match="no ratio"):
        gate.hold(held, Measured(gate, 3.0, unit="/s"))
    with pytest.raises(gate.BenchError, match="nobody/ratio"):
        limits(gate, tmp_path, '[floors]\n"nobody/ratio" = 2.0\n')
    with pytest.raises(gate.BenchError, match="floor"):
        limits(gate, tmp_path, '[floor]\n"calls/ratio" = 2.0\n')
