"""Structured logs for every process: one JSON object a line (or coloured text), secrets and personal data removed.

Request and workflow context (correlation id, user id) comes from `structlog.contextvars`.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from app.settings import Settings

REDACTED = "[redacted]"

_SECRET_NAME = re.compile(
    r"passw|secret|token|authorization|cookie|api[-_]?key|email|e-mail|\bto\b|body|stripe_?signature",
    re.IGNORECASE,
)
_SECRET_VALUE = re.compile(
    r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"  # a JSON Web Token
    r"|(?i:bearer)\s+\S+"
    r"|\b[sr]k_(?:test|live)_\w+|\bwhsec_\w+|\bsk-[\w-]{12,}"  # Stripe and OpenAI keys
    r"|[\w.+%-]+@[\w-]+(?:\.[\w-]+)+"  # an e-mail address
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"  # credentials in an address
    r"|\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}"  # a bcrypt hash
)


def redact(value: Any, *, depth: int = 0) -> Any:
    """`value` without what looks like a secret or an address, whatever its name; containers are walked."""
    if isinstance(value, str):
        return _SECRET_VALUE.sub(REDACTED, value)
    if depth >= 6:
        return value
    if isinstance(value, Mapping):
        return {
            name: REDACTED if _SECRET_NAME.search(str(name)) else redact(item, depth=depth + 1)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item, depth=depth + 1) for item in value]
    return value


def redact_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The structlog processor: runs last before rendering, so that nothing added by others slips by."""
    redacted: EventDict = redact(dict(event))
    return redacted


class _StdoutHandler(logging.StreamHandler[TextIO]):
    """Writes to what stdout is at the moment of writing, so that a redirected stdout is followed."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        return sys.stdout

    @stream.setter
    def stream(self, _value: TextIO) -> None:
        raise AttributeError("the stream is always sys.stdout")


def configure_logging(settings: Settings) -> None:
    """Route structlog and the standard library's logging to stdout in one form. Repeatable."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    renderer: Processor
    if settings.log_format == "json":
        renderer = structlog.processors.JSONRenderer()
        # rendered to text before redaction, so that an address inside a traceback is removed too
        shared.append(structlog.processors.format_exc_info)
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = _StdoutHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.PositionalArgumentsFormatter()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, redact_event, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [*(other for other in root.handlers if not isinstance(other, _StdoutHandler)), handler]
    root.setLevel(settings.log_level.upper())
    # Stripe's SDK also writes the queries of its requests, in which there are e-mail addresses.
    for noisy in ("pymongo", "httpx2", "httpcore2", "botocore", "urllib3", "asyncio", "stripe"):
        logging.getLogger(noisy).setLevel(max(root.level, logging.WARNING))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    # the API writes its own access line, without addresses and query strings
    logging.getLogger("uvicorn.access").disabled = True
