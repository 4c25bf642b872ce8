"""Reads briefs by OpenAI, through its own SDK, into bounded values.

What a brief may cost is capped on both sides: the brief is cut (`MAX_BRIEF_BYTES`), the answer is
(`MAX_OUTPUT_TOKENS`), and one call is one request: retries are the caller's, in sight.

What comes back is untrusted too. The schema asks for values within bounds; nothing here relies on the model's
having kept to it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from json import JSONDecodeError
from typing import Annotated, Any

import openai
from openai.types.responses import ParsedResponse
from pydantic import BaseModel, Field, ValidationError

from app.parsing.errors import (
    ParserError,
    ParserOutputInvalid,
    ParserRefused,
    ParserRequestRejected,
    ParserUnavailable,
)
from app.parsing.models import (
    MAX_HOURS,
    MAX_SKILLS,
    MAX_SUMMARY,
    MIN_HOURS,
    Brief,
    Complexity,
    ParsedBrief,
    ordered_hours,
)
from app.parsing.prompt import INSTRUCTIONS, PROMPT_VERSION, frame
from app.settings import Settings
from app.skills.taxonomy import BY_SLUG, CATEGORIES, SKILLS

DEFAULT_BASE_URL = "https://api.openai.com/v1"
MAX_OUTPUT_TOKENS = 2_000
"""The most tokens that an answer may cost, reasoning included."""

CONNECT_TIMEOUT_SECONDS = 5.0

_COMPLEXITIES: tuple[Complexity, ...] = ("simple", "moderate", "complex")
_MAX_TOKENS_REPORTED = 10_000_000
_RETRYABLE_STATUSES = frozenset({408, 409, 429})
_HOURS_SCHEMA: dict[str, Any] = {"minimum": MIN_HOURS, "maximum": MAX_HOURS}


class ModelReading(BaseModel):
    """The shape asked of the model. The schema states the bounds; the values are bounded again in `_bounded`."""

    required_skills: list[
        Annotated[str, Field(json_schema_extra={"enum": [skill.slug for skill in SKILLS]})]
    ] = Field(json_schema_extra={"maxItems": MAX_SKILLS})
    category: str = Field(json_schema_extra={"enum": list(CATEGORIES)})
    complexity: str = Field(json_schema_extra={"enum": list(_COMPLEXITIES)})
    hours_low: float = Field(json_schema_extra=_HOURS_SCHEMA)
    hours_likely: float = Field(json_schema_extra=_HOURS_SCHEMA)
    hours_high: float = Field(json_schema_extra=_HOURS_SCHEMA)
    confidence: float = Field(json_schema_extra={"minimum": 0, "maximum": 1})
    summary: str


class OpenAIBriefReader:
    """`BriefReader` over the Responses API with structured output."""

    def __init__(
        self, *, api_key: str, model: str, base_url: str | None = None, timeout_seconds: float = 20.0
    ) -> None:
        self._model = model
        self._timeout_seconds = timeout_seconds
        self._client = openai.AsyncOpenAI(
            api_key=api_key,
            base_url=base_url or DEFAULT_BASE_URL,
            timeout=openai.Timeout(timeout_seconds, connect=min(CONNECT_TIMEOUT_SECONDS, timeout_seconds)),
            # Temporal repeats activities in sight; the SDK must not repeat, and spend, behind it.
            max_retries=0,
        )

    @classmethod
    def from_settings(cls, settings: Settings) -> OpenAIBriefReader | None:
        """The reader that the settings describe, or None without a key."""
        if settings.openai_api_key is None or not settings.openai_api_key.get_secret_value():
            return None
        return cls(
            api_key=settings.openai_api_key.get_secret_value(),
            model=settings.openai_model,
            base_url=settings.openai_base_url,
            timeout_seconds=settings.openai_timeout_seconds,
        )

    async def aclose(self) -> None:
        """Give the connections back."""
        await self._client.close()

    async def read(self, brief: Brief) -> ParsedBrief:
        """Read one brief, in one request.

        Raises:
            ParserUnavailable: no connection, no answer in time, a rate limit or the provider's own failure.
            ParserRefused: the model declined, or a content filter stopped it.
            ParserOutputInvalid: the answer is not a reading, or was cut off.
            ParserRequestRejected: the provider refused the request (key, permission, quota, model, shape).
        """
        try:
            async with asyncio.timeout(self._timeout_seconds):
                response = await self._ask(brief)
        except (TimeoutError, openai.APIConnectionError) as error:
            raise ParserUnavailable(f"OpenAI did not answer: {type(error).__name__}") from None
        except openai.APIStatusError as error:
            raise _from_status(error) from None
        except (openai.OpenAIError, ValidationError, JSONDecodeError, AttributeError, TypeError) as error:
            # Never the error's own text: it quotes the answer, and with it the client's words.
            raise ParserOutputInvalid(f"OpenAI's answer is not a reading: {type(error).__name__}") from None
        return _bounded(_reading(response), response, model=self._model)

    async def _ask(self, brief: Brief) -> ParsedResponse[ModelReading]:
        return await self._client.responses.parse(
            model=self._model,
            instructions=INSTRUCTIONS,
            input=[{"role": "user", "content": frame(brief)}],
            text_format=ModelReading,
            max_output_tokens=MAX_OUTPUT_TOKENS,
            reasoning={"effort": "low"} if _reasons(self._model) else openai.omit,
            store=False,
        )


def _reasons(model: str) -> bool:
    """Whether the model takes a reasoning effort; others refuse the parameter."""
    return model.startswith(("gpt-5", "o1", "o3", "o4")) and "chat" not in model


def _from_status(error: openai.APIStatusError) -> ParserError:
    status, code = error.status_code, getattr(error, "code", None)
    if code == "insufficient_quota" or (status not in _RETRYABLE_STATUSES and status < 500):
        return ParserRequestRejected(f"OpenAI refused the request: HTTP {status} ({_plain(str(code), 60)})")
    return ParserUnavailable(f"OpenAI answered HTTP {status}", retry_after=_retry_after(error))


def _retry_after(error: openai.APIStatusError) -> float | None:
    """The Retry-After header in seconds, kept within an hour; None when absent or a date."""
    try:
        seconds = float(error.response.headers.get("retry-after", ""))
    except ValueError:
        return None
    return min(max(seconds, 0.0), 3600.0) if math.isfinite(seconds) else None


def _reading(response: ParsedResponse[ModelReading]) -> ModelReading:
    """The reading in a response, or the reason why there is none."""
    if _is_refusal(response):
        raise ParserRefused("the model declined to read the brief")
    if response.status != "completed":
        reason = response.incomplete_details.reason if response.incomplete_details else response.status
        if reason == "content_filter":
            raise ParserRefused("a content filter stopped the answer")
        raise ParserOutputInvalid(f"the answer is not complete: {_plain(str(reason), 60)}")
    reading = response.output_parsed
    if not isinstance(reading, ModelReading):
        raise ParserOutputInvalid("the answer holds no reading")
    return reading


def _is_refusal(response: ParsedResponse[ModelReading]) -> bool:
    return any(
        content.type == "refusal"
        for output in response.output
        if output.type == "message"
        for content in output.content
    )


def _bounded(reading: ModelReading, response: ParsedResponse[ModelReading], *, model: str) -> ParsedBrief:
    """Only values that we know, within the bounds that we set, whatever the model said."""
    skills = _known(reading.required_skills)
    if not skills:
        raise ParserOutputInvalid("the answer names no skill that we know")
    low, likely, high = ordered_hours(reading.hours_low, reading.hours_likely, reading.hours_high)
    category = reading.category if reading.category in CATEGORIES else BY_SLUG[skills[0]].category
    complexity: Complexity = reading.complexity if reading.complexity in _COMPLEXITIES else "moderate"
    confidence = 0.0 if math.isnan(reading.confidence) else min(max(reading.confidence, 0.0), 1.0)
    usage = response.usage
    return ParsedBrief(
        required_skills=skills,
        category=category,
        complexity=complexity,
        hours_low=low,
        hours_likely=likely,
        hours_high=high,
        confidence=round(confidence, 2),
        summary=_plain(reading.summary, MAX_SUMMARY),
        parser="openai",
        model=_plain(response.model or model, 100),
        prompt_version=PROMPT_VERSION,
        input_tokens=_tokens(usage.input_tokens) if usage else None,
        output_tokens=_tokens(usage.output_tokens) if usage else None,
    )


def _known(slugs: Sequence[str]) -> list[str]:
    return [slug for slug in dict.fromkeys(slugs) if slug in BY_SLUG][:MAX_SKILLS]


def _tokens(count: int) -> int:
    return min(max(count, 0), _MAX_TOKENS_REPORTED)


def _plain(text: str, limit: int) -> str:
    """One printable line of at most `limit` characters."""
    line = " ".join("".join(mark if mark.isprintable() else " " for mark in text[: 4 * limit]).split())
    return line[:limit]
