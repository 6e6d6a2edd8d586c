"""Every key that the configuration knows: what a typing error is checked against, and what the docs list."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from rosterhook.config import Config

ENV_PREFIX = "ROSTERHOOK_"
#: Where a value stands: "hook", "secret" or "targets", 0, "columns", "email".
Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Key:
    """One key that may be set.

    Attributes:
        section: the table it stands in; "" for the top of the file.
        name: the key itself.
        field: its type, default and description.
        many: it stands in a list of tables, `[[section]]`, and so has no variable of its own.
    """

    section: str
    name: str
    field: FieldInfo
    many: bool = False

    @property
    def path(self) -> str:
        """As people write it: `hook.secret`."""
        return f"{self.section}.{self.name}" if self.section else self.name

    @property
    def place(self) -> Place:
        """Where its value stands in the merged configuration; not for keys of a list of tables."""
        return (self.section, self.name) if self.section else (self.name,)

    @property
    def variable(self) -> str:
        """The environment variable: `ROSTERHOOK_HOOK__SECRET`."""
        return ENV_PREFIX + "__".join(str(part) for part in self.place).upper()

    @property
    def is_list(self) -> bool:
        """Its variable holds JSON."""
        return _is_list(self.field)


def keys() -> Iterator[Key]:
    """Every key, in the order of the model: of the top, of the sections, and of the lists of tables."""
    for name, field in Config.model_fields.items():
        if _is_list(field) or not _models(field.annotation):
            yield Key("", name, field)
    for section, table in Config.model_fields.items():
        for model in _models(table.annotation):
            for name, field in model.model_fields.items():
                yield Key(section, name, field, many=_is_list(table))


def variables() -> dict[str, Key]:
    """Every environment variable that sets a key."""
    return {key.variable: key for key in keys() if not key.many}


def without_unknown(
    data: Mapping[str, Any], model: type[BaseModel] = Config, at: Place = ()
) -> tuple[dict[str, Any], list[Place]]:
    """`data` without the keys that the model does not know, and where those stood."""
    known: dict[str, Any] = {}
    unknown: list[Place] = []
    for key, value in data.items():
        field = model.model_fields.get(key)
        if field is None:
            unknown.append((*at, key))
            continue
        known[key] = value
        # A table where a list belongs is one mistake, not as many as it has keys.
        if isinstance(value, list if _is_list(field) else Mapping):
            known[key], inner = _inside(value, _models(field.annotation), (*at, key))
            unknown += inner
    return known, unknown


def nearest(name: str, candidates: list[str]) -> str:
    """The candidate that was most likely meant, or ""."""
    return next(iter(difflib.get_close_matches(name, candidates, n=1, cutoff=0.6)), "")


def _is_list(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is tuple


def _inside(value: Any, models: list[type[BaseModel]], at: Place) -> tuple[Any, list[Place]]:
    if isinstance(value, list):
        parts = [_inside(item, models, (*at, index)) for index, item in enumerate(value)]
        return [part for part, _ in parts], [place for _, places in parts for place in places]
    model = _model_for(value, models) if isinstance(value, Mapping) else None
    return (value, []) if model is None else without_unknown(value, model, at)


def _model_for(value: Mapping[str, Any], models: list[type[BaseModel]]) -> type[BaseModel] | None:
    """Kinds of targets differ by `type`; of an unknown kind, no key can be called unknown."""
    if len(models) == 1:
        return models[0]
    return next((model for model in models if value.get("type") in _types(model)), None)


def _types(model: type[BaseModel]) -> tuple[Any, ...]:
    field = model.model_fields.get("type")
    return get_args(field.annotation) if field and get_origin(field.annotation) is Literal else ()


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]
