"""Stripe Connect: workers' recipient accounts, transfers to them, and payouts to their banks.

Stripe forgets idempotency keys after 24 hours, so before anything older is repeated, look first (`find_transfer`,
`find_payout`).
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar

import httpx2
import stripe

from app.gateways.payments import (
    AccountCannotReceive,
    GatewayMisconfigured,
    GatewayUnavailable,
    InsufficientBalance,
    InvalidPaymentRequest,
    PaymentError,
    Payout,
    RecipientAccount,
    Transfer,
    TransferReversal,
    transfer_group_of,
)
from app.settings import Settings

API_VERSION = "2026-10-28.endive"
"""The version of Stripe's API that this module is written and tested against; the SDK's own at 16.1."""

CURRENCY = "usd"

_T = TypeVar("_T")


class StripeGateway:
    """`PaymentGateway` over Stripe's own SDK."""

    def __init__(
        self,
        api_key: str,
        *,
        api_base: str = "https://api.stripe.com",
        connect_timeout_seconds: float = 3.0,
        read_timeout_seconds: float = 20.0,
    ) -> None:
        self._http = _AsyncHttpClient(connect=connect_timeout_seconds, read=read_timeout_seconds)
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
    def from_settings(cls, settings: Settings, *, read_timeout_seconds: float = 20.0) -> StripeGateway:
        return cls(
            settings.stripe_api_key.get_secret_value(),
            api_base=settings.stripe_api_base,
            read_timeout_seconds=read_timeout_seconds,
        )

    def __repr__(self) -> str:
        return f"StripeGateway(api_base={self._api_base!r})"

    async def create_recipient_account(
        self, user_id: str, email: str, country: str = "KH", *, idempotency_key: str
    ) -> RecipientAccount:
        """An Express account under the recipient agreement: the only kind a US platform can pay in Cambodia.

        Source: https://docs.stripe.com/connect/service-agreement-types. Stripe collects the worker's details.
        """
        account = await _translated(
            self._stripe.v1.accounts.create_async(
                {
                    "country": country,
                    "email": email,
                    "controller": {
                        "fees": {"payer": "application"},
                        "losses": {"payments": "application"},
                        "stripe_dashboard": {"type": "express"},
                    },
                    "capabilities": {"transfers": {"requested": True}},
                    "tos_acceptance": {"service_agreement": "recipient"},
                    # The platform decides when money goes to the bank, in batches above the country's minimum.
                    "settings": {"payouts": {"schedule": {"interval": "manual"}}},
                    "metadata": {"user_id": user_id},
                },
                {"idempotency_key": idempotency_key},
            )
        )
        return _account(account)

    async def find_account(self, user_id: str) -> RecipientAccount | None:
        """The first account made for a user, or None. Reads through all accounts: for a day-old doubt only."""
        pages = await _translated(self._stripe.v1.accounts.list_async({"limit": 100}))
        found = None
        async with _translating():
            async for account in pages.auto_paging_iter():
                if _metadata(account.metadata).get("user_id") == user_id:
                    found = account
        return None if found is None else _account(found)

    async def retrieve_account(self, account_id: str) -> RecipientAccount:
        return _account(await _translated(self._stripe.v1.accounts.retrieve_async(account_id)))

    async def create_onboarding_link(self, account_id: str, *, refresh_url: str, return_url: str) -> str:
        """The address of Stripe's onboarding form for this account. It works once, for a few minutes."""
        link = await _translated(
            self._stripe.v1.account_links.create_async(
                {
                    "account": account_id,
                    "type": "account_onboarding",
                    "refresh_url": refresh_url,
                    "return_url": return_url,
                }
            )
        )
        return link.url

    async def create_transfer(
        self,
        destination: str,
        amount_cents: int,
        job_id: str,
        *,
        idempotency_key: str,
        metadata: Mapping[str, str] | None = None,
        transfer_group: str | None = None,
    ) -> Transfer:
        """Moves USD cents to a worker's account. `job_id` joins the metadata, so that `find_transfer` finds it."""
        transfer = await _translated(
            self._stripe.v1.transfers.create_async(
                {
                    "amount": amount_cents,
                    "currency": CURRENCY,
                    "destination": destination,
                    "transfer_group": transfer_group or transfer_group_of(job_id),
                    "metadata": {**(metadata or {}), "job_id": job_id},
                },
                {"idempotency_key": idempotency_key},
            )
        )
        return _transfer(transfer)

    async def retrieve_transfer(self, transfer_id: str) -> Transfer:
        return _transfer(await _translated(self._stripe.v1.transfers.retrieve_async(transfer_id)))

    async def find_transfer(
        self, job_id: str, *, metadata: Mapping[str, str] | None = None, transfer_group: str | None = None
    ) -> Transfer | None:
        """The first transfer made for a job whose metadata holds all that is given, or None."""
        wanted = {**(metadata or {}), "job_id": job_id}
        pages = await _translated(
            self._stripe.v1.transfers.list_async(
                {"transfer_group": transfer_group or transfer_group_of(job_id), "limit": 100}
            )
        )
        found = None
        async with _translating():
            async for transfer in pages.auto_paging_iter():
                if _holds(_metadata(transfer.metadata), wanted):
                    found = transfer  # newest first: the last one seen is the first one made
        return None if found is None else _transfer(found)

    async def transfers_since(self, since: datetime) -> AsyncIterator[Transfer]:
        """Every transfer made since a time, newest first, a page at a time."""
        created: Any = {"gte": int(since.timestamp())}
        pages = await _translated(self._stripe.v1.transfers.list_async({"created": created, "limit": 100}))
        async with _translating():
            async for transfer in pages.auto_paging_iter():
                yield _transfer(transfer)

    async def reverse_transfer(
        self,
        transfer_id: str,
        amount_cents: int,
        *,
        idempotency_key: str,
        metadata: Mapping[str, str] | None = None,
    ) -> TransferReversal:
        """Takes USD cents of a transfer back; `InsufficientBalance` when the worker's account has less than that."""
        reversal = await _translated(
            self._stripe.v1.transfers.reversals.create_async(
                transfer_id,
                {"amount": amount_cents, "metadata": dict(metadata or {})},
                {"idempotency_key": idempotency_key},
            )
        )
        return _reversal(transfer_id, reversal)

    async def reversals_of(self, transfer_id: str) -> list[TransferReversal]:
        """Every reversal of a transfer, newest first."""
        pages = await _translated(self._stripe.v1.transfers.reversals.list_async(transfer_id, {"limit": 100}))
        async with _translating():
            return [_reversal(transfer_id, reversal) async for reversal in pages.auto_paging_iter()]

    async def find_reversal(self, transfer_id: str, metadata: Mapping[str, str]) -> TransferReversal | None:
        """The first reversal of a transfer whose metadata holds all that is given, or None."""
        pages = await _translated(self._stripe.v1.transfers.reversals.list_async(transfer_id, {"limit": 100}))
        found = None
        async with _translating():
            async for reversal in pages.auto_paging_iter():
                if _holds(_metadata(reversal.metadata), metadata):
                    found = reversal
        return None if found is None else _reversal(transfer_id, found)

    async def create_payout(
        self,
        account_id: str,
        amount_cents: int,
        *,
        idempotency_key: str,
        metadata: Mapping[str, str] | None = None,
    ) -> Payout:
        """Sends USD cents from a worker's account to the worker's bank."""
        payout = await _translated(
            self._stripe.v1.payouts.create_async(
                {"amount": amount_cents, "currency": CURRENCY, "metadata": dict(metadata or {})},
                {"idempotency_key": idempotency_key, "stripe_account": account_id},
            )
        )
        return _payout(account_id, payout)

    async def retrieve_payout(self, account_id: str, payout_id: str) -> Payout:
        payout = await _translated(
            self._stripe.v1.payouts.retrieve_async(payout_id, options={"stripe_account": account_id})
        )
        return _payout(account_id, payout)

    async def find_payout(self, account_id: str, metadata: Mapping[str, str]) -> Payout | None:
        """The first payout of an account whose metadata holds all that is given, or None."""
        pages = await _translated(
            self._stripe.v1.payouts.list_async({"limit": 100}, {"stripe_account": account_id})
        )
        found = None
        async with _translating():
            async for payout in pages.auto_paging_iter():
                if _holds(_metadata(payout.metadata), metadata):
                    found = payout
        return None if found is None else _payout(account_id, found)

    async def available_cents(self, account_id: str | None = None) -> int:
        """USD cents that the platform, or a worker's account, can spend now."""
        options: stripe.RequestOptions = {} if account_id is None else {"stripe_account": account_id}
        balance = await _translated(self._stripe.v1.balance.retrieve_async(options=options))
        return sum(part.amount for part in balance.available if part.currency == CURRENCY)

    async def ping(self) -> None:
        """Returns when Stripe answers and takes our key; otherwise raises."""
        await _translated(self._stripe.v1.balance.retrieve_async())

    async def close(self) -> None:
        await self._http.close_async()


class _AsyncHttpClient(stripe.HTTPClient):
    """The SDK's transport over httpx2: its own asynchronous ones want packages that we do not carry."""

    name = "httpx2"

    def __init__(self, *, connect: float, read: float) -> None:
        super().__init__()
        timeout = httpx2.Timeout(connect=connect, read=read, write=read, pool=read)
        self._client = httpx2.AsyncClient(timeout=timeout, verify=ssl.create_default_context())

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
async def _translating() -> AsyncIterator[None]:
    """Raises our errors in place of the SDK's."""
    try:
        yield
    except stripe.StripeError as error:
        _raise(error)


async def _translated(call: Awaitable[_T]) -> _T:
    async with _translating():
        return await call


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


def _metadata(metadata: stripe.StripeObject | dict[str, str] | None) -> dict[str, str]:
    if metadata is None:
        return {}
    return dict(metadata if isinstance(metadata, dict) else metadata.to_dict())


def _holds(given: dict[str, str], wanted: Mapping[str, str]) -> bool:
    return all(given.get(key) == value for key, value in wanted.items())


def _account(account: stripe.Account) -> RecipientAccount:
    requirements, capabilities = account.requirements, account.capabilities
    return RecipientAccount(
        id=account.id,
        user_id=_metadata(account.metadata).get("user_id"),
        country=account.country or "",
        transfers_active=capabilities is not None and getattr(capabilities, "transfers", None) == "active",
        payouts_enabled=account.payouts_enabled is True,
        details_submitted=account.details_submitted is True,
        requirements_due=tuple(requirements.currently_due or ()) if requirements is not None else (),
    )


def _transfer(transfer: stripe.Transfer) -> Transfer:
    metadata = _metadata(transfer.metadata)
    destination = transfer.destination
    return Transfer(
        id=transfer.id,
        destination=destination if isinstance(destination, str) else destination.id if destination else "",
        amount_cents=transfer.amount,
        reversed_cents=transfer.amount_reversed,
        job_id=metadata.get("job_id"),
        transfer_group=transfer.transfer_group,
        created_at=datetime.fromtimestamp(transfer.created, UTC),
        metadata=metadata,
    )


def _reversal(transfer_id: str, reversal: stripe.TransferReversal) -> TransferReversal:
    return TransferReversal(
        id=reversal.id,
        transfer_id=transfer_id,
        amount_cents=reversal.amount,
        created_at=datetime.fromtimestamp(reversal.created, UTC),
        metadata=_metadata(reversal.metadata),
    )


def _payout(account_id: str, payout: stripe.Payout) -> Payout:
    return Payout(
        id=payout.id,
        account_id=account_id,
        amount_cents=payout.amount,
        status=payout.status,
        arrives_at=datetime.fromtimestamp(payout.arrival_date, UTC),
        failure_code=payout.failure_code,
        created_at=datetime.fromtimestamp(payout.created, UTC),
        metadata=_metadata(payout.metadata),
    )
