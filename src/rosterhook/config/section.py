"""What every table of the configuration has in common: no unknown keys, and secrets that may stand in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, get_origin

from pydantic import BaseModel, ConfigDict, model_validator


class Section(BaseModel):
    """A table of the configuration file. Each secret may also be given as `<key>_file`, several as a line each."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
    secrets_from_files: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _read_secret_files(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        for key in cls.secrets_from_files:
            _refuse_empty(data, key)
            path = data.get(f"{key}_file")
            if not isinstance(path, str | Path):
                continue
            if data.get(key) is not None:
                raise ValueError(f"{key} and {key}_file are both set: keep one")
            secret = _read_secret(Path(path))
            is_list = get_origin(cls.model_fields[key].annotation) is tuple
            data = {**data, key: [line.strip() for line in secret.splitlines() if line.strip()] if is_list else secret}
        return data


def _refuse_empty(data: dict[str, Any], key: str) -> None:
    """An empty variable is a secret that did not arrive, not the wish to have none."""
    for name in (key, f"{key}_file"):
        if isinstance(data.get(name), str) and not data[name].strip():
            raise ValueError(f"{name} is empty: give a value, or leave it out")


def _read_secret(path: Path) -> str:
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ValueError(f"cannot read {path}: {why}") from None
    if not secret:
        raise ValueError(f"{path} is empty")
    return secret
