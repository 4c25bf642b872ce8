"""Paying workers, whoever carries the money: the protocol, its values and its errors.

Every call that moves money takes an idempotency key made from the business act, and leaves metadata to find it by.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


class PaymentError(Exception):
    """A call to Stripe that gave no success. `code` and `request_id` are Stripe's; no secret is in the text.

    `replayed` says that Stripe gave the answer it had saved under the idempotency key. A saved refusal is given
    again for 24 hours, so another attempt at the act needs another key (after looking whether it happened).
    """

    def __init__(
        self, message: str, *, code: str | None = None, request_id: str | None = None, replayed: bool = False
    ) -> None:
        super().__init__(message)
        self.code = code
        self.request_id = request_id
        self.replayed = replayed


class GatewayUnavailable(PaymentError):  # noqa: N818
    """No definite answer, or not now: network, 5xx, 429, 409. Repeat with the same key."""


class GatewayMisconfigured(GatewayUnavailable):
    """Stripe does not take our API key. Repeating helps once an operator has mended the setting."""


class InvalidPaymentRequest(PaymentError):  # noqa: N818
    """Refused for good: the request itself is wrong, or the key was used for another one."""


class AccountCannotReceive(PaymentError):  # noqa: N818
    """The worker's account is unknown to us, or not yet able to receive money; onboarding must be mended first."""


class InsufficientBalance(PaymentError):  # noqa: N818
    """The account paid from has too little available. Nothing moved; try again later, with another key."""


@dataclass(frozen=True)
class RecipientAccount:
    """A worker's connected account. It can receive once `transfers_active`, pay out once `payouts_enabled`."""

    id: str
    user_id: str | None
    country: str
    transfers_active: bool
    payouts_enabled: bool
    details_submitted: bool
    requirements_due: tuple[str, ...]


@dataclass(frozen=True)
class Transfer:
    """Money moved from the platform's balance to a worker's account, in USD cents."""

    id: str
    destination: str
    amount_cents: int
    reversed_cents: int
    job_id: str | None
    transfer_group: str | None
    created_at: datetime
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TransferReversal:
    """A transfer, or a part of it, taken back from the worker's account, in USD cents."""

    id: str
    transfer_id: str
    amount_cents: int
    created_at: datetime
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Payout:
    """Money on its way from a worker's account to the bank, in USD cents.

    `status` is Stripe's: pending, in_transit, paid, failed or canceled.
    """

    id: str
    account_id: str
    amount_cents: int
    status: str
    arrives_at: datetime
    failure_code: str | None
    created_at: datetime
    metadata: dict[str, str] = field(default_factory=dict)


class PaymentGateway(Protocol):
    """What the platform asks of a payment provider. Every method may raise a `PaymentError`."""

    async def create_recipient_account(
        self, user_id: str, email: str, country: str = "KH", *, idempotency_key: str
    ) -> RecipientAccount: ...

    async def find_account(self, user_id: str) -> RecipientAccount | None: ...

    async def retrieve_account(self, account_id: str) -> RecipientAccount: ...

    async def create_onboarding_link(self, account_id: str, *, refresh_url: str, return_url: str) -> str: ...

    async def create_transfer(
        self,
        destination: str,
        amount_cents: int,
        job_id: str,
        *,
        idempotency_key: str,
        metadata: Mapping[str, str] | None = None,
        transfer_group: str | None = None,
    ) -> Transfer: ...

    async def retrieve_transfer(self, transfer_id: str) -> Transfer: ...

    async def find_transfer(
        self, job_id: str, *, metadata: Mapping[str, str] | None = None, transfer_group: str | None = None
    ) -> Transfer | None: ...

    def transfers_since(self, since: datetime) -> AsyncIterator[Transfer]: ...

    async def reverse_transfer(
        self,
        transfer_id: str,
        amount_cents: int,
        *,
        idempotency_key: str,
        metadata: Mapping[str, str] | None = None,
    ) -> TransferReversal: ...

    async def find_reversal(
        self, transfer_id: str, metadata: Mapping[str, str]
    ) -> TransferReversal | None: ...

    async def reversals_of(self, transfer_id: str) -> list[TransferReversal]: ...

    async def create_payout(
        self,
        account_id: str,
        amount_cents: int,
        *,
        idempotency_key: str,
        metadata: Mapping[str, str] | None = None,
    ) -> Payout: ...

    async def retrieve_payout(self, account_id: str, payout_id: str) -> Payout: ...

    async def find_payout(self, account_id: str, metadata: Mapping[str, str]) -> Payout | None: ...

    async def available_cents(self, account_id: str | None = None) -> int: ...

    async def ping(self) -> None: ...

    async def close(self) -> None: ...


def transfer_group_of(job_id: str) -> str:
    """The group that holds every transfer of a job, unless the caller names another."""
    return f"job_{job_id}"
