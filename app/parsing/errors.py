"""What can go wrong when a model reads a brief. The class names are what retry policies name."""

from __future__ import annotations


class ParserError(Exception):
    """The brief was not read by the model."""


class ParserUnavailable(ParserError):  # noqa: N818  # the name says the state, and retry policies speak it
    """The network, a rate limit or the provider failed: the same call may succeed later.

    `retry_after` is the provider's own advice in seconds, where it gave one.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ParserPermanentError(ParserError):
    """The same call would fail again."""


class ParserRefused(ParserPermanentError):  # noqa: N818
    """The model declined to read the brief, or a content filter stopped it."""


class ParserOutputInvalid(ParserPermanentError):  # noqa: N818
    """The model answered with something that is not a reading of a brief (or was cut off at the token cap)."""


class ParserRequestRejected(ParserPermanentError):  # noqa: N818
    """The provider refused the request itself: key, permission, model name, or shape."""


PERMANENT_ERROR_NAMES: tuple[str, ...] = (
    ParserPermanentError.__name__,
    ParserRefused.__name__,
    ParserOutputInvalid.__name__,
    ParserRequestRejected.__name__,
)
