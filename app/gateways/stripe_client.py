"""One connection to Stripe: its SDK over httpx2, and our errors in place of the SDK's. The gateways stand on it."""

from __future__ import annotations

import functools
import ssl
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, NoReturn, Protocol, Self, TypeVar

import httpx2
import stripe

from app.gateways.payments import (
    AccountCannotReceive,
    GatewayMisconfigured,
    GatewayUnavailable,
    InsufficientBalance,
    InvalidPaymentRequest,
    PaymentError,
)
from app.settings import Settings

API_VERSION = "2026-10-28.endive"
"""The version of Stripe's API that this module is written and tested against; the SDK's own at 16.1."""

CURRENCY = "usd"

# One for every connection: making it reads all the certificates of the machine.
_certificates = functools.cache(ssl.create_default_context)

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)


class Pages(Protocol[_T_co]):
    """A list of Stripe's, which fetches its pages as it is read."""

    def auto_paging_iter(self) -> AsyncIterator[_T_co]: ...


class StripeConnection:
    """Stripe's SDK with a key, an address and time limits; it repeats nothing by itself."""

    def __init__(
        self,
        api_key: str,
        *,
        api_base: str = "https://api.stripe.com",
        connect_timeout_seconds: float = 3.0,
        read_timeout_seconds: float = 20.0,
    ) -> None:
        self._http = AsyncHttpClient(connect=connect_timeout_seconds, read=read_timeout_seconds)
        self._api_base = api_base.rstrip("/")
        self._stripe = stripe.StripeClient(
            api_key,
            base_addresses={"api": self._api_base},
            stripe_version=API_VERSION,
            # Temporal repeats activities, with the same key and in sight; the SDK must not repeat behind it.
            max_network_retries=0,
            http_client=self._http,
        )

    @classmethod
    def from_settings(cls, settings: Settings, *, read_timeout_seconds: float = 20.0) -> Self:
        return cls(
            settings.stripe_api_key.get_secret_value(),
            api_base=settings.stripe_api_base,
            read_timeout_seconds=read_timeout_seconds,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(api_base={self._api_base!r})"

    async def ping(self) -> None:
        """Returns when Stripe answers and takes our key; otherwise raises."""
        await translated(self._stripe.v1.balance.retrieve_async())

    async def close(self) -> None:
        await self._http.close_async()


class AsyncHttpClient(stripe.HTTPClient):
    """The SDK's transport over httpx2: its own asynchronous ones want packages that we do not carry."""

    name = "httpx2"

    def __init__(self, *, connect: float, read: float) -> None:
        super().__init__()
        timeout = httpx2.Timeout(connect=connect, read=read, write=read, pool=read)
        self._client = httpx2.AsyncClient(timeout=timeout, verify=_certificates())

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        try:
            response = await self._client.request(method, url, headers=dict(headers), content=post_data)
        except httpx2.HTTPError as failure:
            message = f"no answer from Stripe ({type(failure).__name__})"
            raise stripe.APIConnectionError(message) from failure  # type: ignore[no-untyped-call]  # by the SDK
        return response.content, response.status_code, response.headers

    async def close_async(self) -> None:
        await self._client.aclose()


@asynccontextmanager
async def translating() -> AsyncIterator[None]:
    """Raises our errors in place of the SDK's."""
    try:
        yield
    except stripe.StripeError as error:
        _raise(error)


async def translated(call: Awaitable[_T]) -> _T:
    """The answer of a call, or our error in place of the SDK's."""
    async with translating():
        return await call


async def every(pages: Awaitable[Pages[_T]]) -> AsyncIterator[_T]:
    """Every object of a list, through all of its pages, with our errors in place of the SDK's."""
    first = await translated(pages)
    async with translating():
        async for each in first.auto_paging_iter():
            yield each


_ACCOUNT_CODES = frozenset(
    {
        "account_invalid",
        "insufficient_capabilities_for_transfer",
        "payouts_not_allowed",
        "transfers_not_allowed",
    }
)


def _raise(error: stripe.StripeError) -> NoReturn:
    headers = error.headers or {}
    raise _kind_of(error)(
        f"{error.user_message or type(error).__name__}",
        code=_code(error),
        request_id=error.request_id,
        replayed=headers.get("idempotent-replayed") == "true",
    ) from error


def _kind_of(error: stripe.StripeError) -> type[PaymentError]:
    """Which of our errors a Stripe error is; what is not clearly final counts as unavailable."""
    code = _code(error)
    if code in _ACCOUNT_CODES or (code == "resource_missing" and _param(error) == "destination"):
        return AccountCannotReceive
    if code == "balance_insufficient":
        return InsufficientBalance
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        return GatewayMisconfigured
    if isinstance(error, stripe.InvalidRequestError | stripe.IdempotencyError | stripe.CardError):
        return InvalidPaymentRequest
    return GatewayUnavailable


def _code(error: stripe.StripeError) -> str | None:
    """Stripe's error code. The SDK leaves `code` empty on some classes (403, 409, 5xx), though the body has it."""
    return error.code or getattr(error.error, "code", None)


def _param(error: stripe.StripeError) -> str | None:
    return error.param if isinstance(error, stripe.InvalidRequestError) else None


def metadata_of(metadata: stripe.StripeObject | dict[str, str] | None) -> dict[str, str]:
    """The metadata of an object as a plain mapping."""
    if metadata is None:
        return {}
    return dict(metadata if isinstance(metadata, dict) else metadata.to_dict())


def id_of(found: Any) -> str | None:
    """An id, whether Stripe sent it alone or with its object."""
    return found if found is None or isinstance(found, str) else str(found.id)


def instant(seconds: int) -> datetime:
    """A time of Stripe's, which counts seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)
