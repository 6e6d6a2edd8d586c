"""Pydantic's errors in words: `where: key: what is wrong`. Never a value: any of them may be a secret."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rosterhook.config.keys import Place
from rosterhook.config.sources import Source

_WORDS = {
    "missing": "is missing",
    "model_type": "must be a table",
    "dict_type": "must be a table",
    "tuple_type": "must be a list",
    "string_type": "must be text, in quotes",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "path_type": "must be a path, in quotes",
    "string_too_short": "is empty",
}


def describe(error: ValidationError, merged: Mapping[str, Any], sources: Sequence[Source]) -> list[str]:
    """One line for each problem.

    Args:
        error: of the validation of `merged`.
        merged: what was validated.
        sources: what it was merged from, the weakest first.
    """
    details = error.errors(include_url=False, include_input=False)
    return [f"{_whence(detail['loc'], merged, sources)}: {_wrong(detail)}" for detail in details]


def spell(place: Place, data: Mapping[str, Any]) -> str:
    """A place as people name it; an item of a list by its own name where it has one: `targets[app].url`."""
    words, here = "", data
    for part in place:
        here = _step(here, part)
        if isinstance(part, int):
            name = here.get("name") if isinstance(here, Mapping) else None
            words += f"[{name if isinstance(name, str) and name.isprintable() else part + 1}]"
        else:
            words += f".{part}" if words else part
    return words


def _whence(place: Place, merged: Mapping[str, Any], sources: Sequence[Source]) -> str:
    source = next((source for source in reversed(sources) if _has(source.data, place)), None)
    if source is not None and not isinstance(_at(source.data, place), dict):
        return f"{source.label}: {source.names.get(place) or spell(place, merged)}"
    labels = [source.label for source in sources if _has(source.data, place[:-1] or place)]
    if isinstance(_at(merged, place), dict):
        labels = [source.label for source in sources if _has(source.data, place)]
    where = " and ".join(dict.fromkeys(labels)) or "configuration"
    return f"{where}: {spell(place, merged)}" if place else where


def _wrong(detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return f"must be {context['expected']}"
    if detail["loc"] == ("targets",):
        return "must be a list of tables: write [[targets]]"
    return _WORDS.get(kind) or detail["msg"].replace("Input should", "must").replace("String should", "must")


def _has(data: Any, place: Iterable[str | int]) -> bool:
    return _at(data, place) is not None


def _at(data: Any, place: Iterable[str | int]) -> Any:
    for part in place:
        data = _step(data, part)
    return data


def _step(data: Any, part: str | int) -> Any:
    if isinstance(part, int):
        return data[part] if isinstance(data, list) and part < len(data) else None
    return data.get(part) if isinstance(data, Mapping) else None
