"""Logs: JSON lines, or readable ones on a terminal. Secrets are never passed to a logger, and never pass one.

Standard `logging` records of every library come out in the same form.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog
from structlog.typing import Processor

_TOKEN = re.compile(r"mreg_[0-9A-Za-z]{16,}|(?i:bearer)\s+\S+")
_PASSWORD = re.compile(r"(\w+://[^\s:/@]*:)[^\s@/]+@")
_HANDLER_NAME = "registry-grpc"


def use_json(log_format: str, stream: TextIO) -> bool:
    """Whether lines are JSON; `auto` means everywhere but on a terminal."""
    return log_format == "json" or (log_format == "auto" and not stream.isatty())


def configure(level: str, log_format: str = "auto", stream: TextIO | None = None) -> None:
    """Send every log record of the process to `stream` (standard error). Replaces what an earlier call set."""
    target = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor]
    if use_json(log_format, target):
        last = [
            structlog.processors.format_exc_info,
            redact,
            structlog.processors.JSONRenderer(),
        ]
    else:
        last = [
            structlog.processors.format_exc_info,
            redact,
            structlog.dev.ConsoleRenderer(colors=target.isatty()),
        ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.name = _HANDLER_NAME
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    for old in [each for each in root.handlers if each.name == _HANDLER_NAME]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:  # noqa: ANN401 - structlog's signature
    """The second fence: tokens and passwords of URLs that found their way into a text after all."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = _PASSWORD.sub(r"\1***@", _TOKEN.sub("[redacted]", value))
    return event
