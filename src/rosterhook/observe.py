"""Logs. One processor takes every secret out of every line."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from rosterhook.config import LogConfig

REDACTED = "[redacted]"
_SECRET_KEY = re.compile(r"authorization|cookie|password|secret|token|private_key", re.IGNORECASE)
# The lengths are bounded: a text that is made for it must not keep the search busy.
#: `user:password@` in the address of a database. The password may have a slash in it, as SQLAlchemy allows.
_URL_PASSWORD = re.compile(r"((?<!http)(?<!https)://[^/\s:]{0,256}:)[^\s@]{1,512}@(?:[^/\s@]{1,512}@)*")
#: The same in an address of the web, where what comes after a slash is no password.
_WEB_PASSWORD = re.compile(r"(://[^/\s:]{0,256}:)[^/\s@]{1,512}@(?:[^/\s@]{1,512}@)*")
#: `?password=...`
_QUERY_PASSWORD = re.compile(
    r"([?&;][\w.-]{0,64}(?:password|passwd|pwd|secret|token|private_key)[\w.-]{0,64}=)[^&#\s]+", re.IGNORECASE
)
#: An API token wherever it is printed, also one that rosterhook was never told.
_SSWS = re.compile(r"(SSWS\s+)\S+")


class Redactor:
    """A structlog processor that removes the known secrets, and what looks like one, from an entry."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets if len(secret) >= 4 for form in _forms(secret)}
        # Longest first: a secret that holds another one must go as a whole.
        longest_first = sorted(forms, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return self._clean_mapping(event)

    def clean(self, value: Any) -> Any:
        """`value` without secrets, through nested mappings and sequences."""
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, Mapping):
            return self._clean_mapping(value)
        if isinstance(value, list | tuple | set | frozenset):
            return [self.clean(item) for item in value]
        text = _text(value)
        cleaned = self._clean_text(text)
        return value if isinstance(value, int | float) and cleaned == text else cleaned

    def _clean_mapping(self, mapping: Mapping[Any, Any]) -> dict[str, Any]:
        named = ((_text(key), value) for key, value in mapping.items())
        return {self._clean_text(key): REDACTED if _hides(key, value) else self.clean(value) for key, value in named}

    def _clean_text(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(REDACTED, text)
        return _SSWS.sub(rf"\1{REDACTED}", without_password(text))


def without_password(text: str) -> str:
    """`text` with the password of every address in it taken out."""
    for pattern in (_URL_PASSWORD, _WEB_PASSWORD):
        text = pattern.sub(rf"\1{REDACTED}@", text)
    return _QUERY_PASSWORD.sub(rf"\1{REDACTED}", text)


def _forms(secret: str) -> set[str]:
    """How a secret may be written: plain, percent-encoded, or escaped in JSON and in Python's `repr`."""
    encoded = {quote(secret, safe, errors="replace") for safe in ("", "/")} | {quote_plus(secret, errors="replace")}
    lower = {re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), text) for text in encoded}
    quoted = {repr(secret)[1:-1], repr(secret.encode(errors="replace"))[2:-1]}
    quoted |= {json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
    return {secret} | encoded | lower | quoted


def _text(value: object) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode(errors="backslashreplace")
    return str(value)


def _hides(key: str, value: object) -> bool:
    return value is not None and not isinstance(value, bool) and _SECRET_KEY.search(key) is not None


def configure_logging(config: LogConfig, secrets: Iterable[str] = ()) -> None:
    """Send everything, the libraries' logs too, to standard error through one redaction.

    Args:
        secrets: every secret of the configuration, as text.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                Redactor(secrets),
                _renderer(config),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(config.level.upper())
    for chatty in ("httpx2", "httpcore2", "aiosqlite", "sqlalchemy", "asyncio", "uvicorn"):
        logging.getLogger(chatty).setLevel(max(root.level, logging.WARNING))


def _renderer(config: LogConfig) -> Processor:
    terminal = sys.stderr.isatty()
    if config.format == "console" or (config.format == "auto" and terminal):
        return structlog.dev.ConsoleRenderer(colors=terminal, exception_formatter=structlog.dev.plain_traceback)
    return structlog.processors.JSONRenderer()
