"""Logs and metrics. One processor takes every secret out of every line."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, disable_created_metrics
from structlog.typing import EventDict, Processor, WrappedLogger

from rosterhook.config import LogConfig

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series each, which nobody asks for
REGISTRY = CollectorRegistry()
DELIVERIES = Counter(
    "rosterhook_hook_answers", "Answers to Okta's event hook, by status.", ["status"], registry=REGISTRY
)

REDACTED = "[redacted]"
_SECRET_KEY = re.compile(r"authorization|cookie|password|secret|token|private_key", re.IGNORECASE)
#: `user:password@` in the address of a database.
_URL_PASSWORD = re.compile(r"(://[^/\s:@]*:)[^/\s@]+@")
#: An API token wherever it is printed, also one that rosterhook was never told.
_SSWS = re.compile(r"(SSWS\s+)\S+")


class Redactor:
    """A structlog processor that removes the known secrets, and what looks like one, from an entry."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # Longest first: a secret that holds another one must go as a whole.
        self._secrets = sorted({secret for secret in secrets if len(secret) >= 4}, key=len, reverse=True)

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {key: REDACTED if _hides(key, value) else self.clean(value) for key, value in event.items()}

    def clean(self, value: Any) -> Any:
        """`value` without secrets, through nested mappings and sequences."""
        if isinstance(value, str):
            return self._clean_text(value)
        if isinstance(value, Mapping):
            return {k: REDACTED if _hides(str(k), v) else self.clean(v) for k, v in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.clean(item) for item in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        return self._clean_text(str(value))

    def _clean_text(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, REDACTED)
        return _SSWS.sub(rf"\1{REDACTED}", without_password(text))


def without_password(text: str) -> str:
    """`text` with the password of every address in it taken out."""
    return _URL_PASSWORD.sub(rf"\1{REDACTED}@", text)


def _hides(key: str, value: object) -> bool:
    return isinstance(value, str | bytes) and _SECRET_KEY.search(key) is not None


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
