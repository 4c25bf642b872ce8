"""Reading a brief, by rules or by a model."""

from __future__ import annotations

from typing import Protocol

from app.parsing.models import Brief, ParsedBrief
from app.parsing.rules import parse_with_rules

__all__ = ["BriefReader", "parse_with_openai", "parse_with_rules"]


class BriefReader(Protocol):
    """What the gateway to a model offers."""

    async def read(self, brief: Brief) -> ParsedBrief: ...


async def parse_with_openai(brief: Brief, gateway: BriefReader) -> ParsedBrief:
    """Read a brief by the model behind `gateway`.

    Raises:
        ParserUnavailable: the same call may succeed later (network, rate limit, provider failure).
        ParserPermanentError: it would fail again (refused, answered nonsense, request rejected).
    """
    return await gateway.read(brief)
