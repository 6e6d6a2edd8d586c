"""What a number, a switch or an address may be that somebody has chosen, and how a mistake is told.

Each check is given the name of what it checks. A setting's name is written `<name>` in a message, so that the command
line can put its own spelling there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

_NAME = re.compile(r"<(\w+)>")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class BadSetting(ValueError):
    """A setting that makes no sense. As text it has the settings' own names."""

    def __init__(self, text: str) -> None:
        super().__init__(_NAME.sub(r"\1", text))
        self._text = text

    def spelt(self, spell: Callable[[str], str]) -> str:
        """The message with other names, such as ``--late-rows`` for `late_rows`."""
        return _NAME.sub(lambda match: spell(match[1]), self._text)


def number(
    name: str, value: Any, least: float = 0, most: float = math.inf, *, whole: bool = False, above: bool = False
) -> Any:
    """The value, if it is a finite number in this range.

    Args:
        whole: it has to be an int.
        above: `least` itself is too little.

    Raises:
        ValueError: it is something else.
    """
    kinds = int if whole else int | float
    fits = isinstance(value, kinds) and not isinstance(value, bool) and (whole or abs(value) < math.inf)
    if fits and least <= value <= most and not (above and value == least):
        return value
    kind = "a whole number" if whole else "a number"
    if math.isinf(least):
        raise ValueError(f"{name} is {kind}")
    start = f"above {least:g}" if above else f"{least:g} or more"
    if not math.isinf(most):
        start = f"above {least:g}, {most:g} at most" if above else f"from {least:g} to {most:g}"
    raise ValueError(f"{name} is {kind}, {start}")


def probability(name: str, value: Any) -> float:
    """The value, from 0 to 1. Raises ValueError."""
    try:
        return float(number(name, value, 0, 1))
    except ValueError:
        raise ValueError(f"{name} is a probability, from 0 to 1") from None


def switch(name: str, value: Any) -> bool:
    """The value, if it is True or False. Raises ValueError."""
    if value is True or value is False:
        return bool(value)
    raise ValueError(f"{name} is true or false")


def table(name: str, value: Any) -> Mapping[str, Any]:
    """The value, if it is an object of JSON. Raises ValueError."""
    if isinstance(value, Mapping):
        return value
    raise ValueError(f"{name} is an object, such as {{}}")


def web_address(name: str, value: Any) -> str:
    """The value, if it is an http or https URL. Raises ValueError, without the value: it may hold a password."""
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except (AttributeError, TypeError, ValueError):
        usable = False
    if not usable or re.search(r"\s", value):
        raise ValueError(f"{name} is an address that begins with http:// or https://")
    return str(value)


def header_name(name: str, value: Any) -> str:
    """The value, if a header can be called so. Raises ValueError."""
    if not isinstance(value, str) or not _HEADER_NAME.fullmatch(value):
        raise ValueError(f"{name} is the name of a header")
    return value


def header_value(name: str, value: Any) -> str:
    """The value, if a header can hold it; empty is allowed. Raises ValueError, without the value."""
    if not isinstance(value, str) or not (value.isascii() and (value.isprintable() or not value)):
        raise ValueError(f"{name} is text that a header can hold: ASCII, in one line")
    return value
