"""Stripe Connect: workers' recipient accounts, transfers to them, and payouts to their banks.

Stripe forgets idempotency keys after 24 hours, so before anything older is repeated, look first (`find_transfer`,
`find_payout`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

import stripe

from app.gateways.payments import (
    Payout,
    RecipientAccount,
    Transfer,
    TransferReversal,
    transfer_group_of,
)
from app.gateways.stripe_client import CURRENCY, Pages, StripeConnection, every, metadata_of, translated


class _Made(Protocol):
    """An object of Stripe's that carries our metadata."""

    @property
    def metadata(self) -> Any: ...


_MadeT = TypeVar("_MadeT", bound=_Made)


class StripeGateway(StripeConnection):
    """`PaymentGateway` over Stripe's own SDK."""

    async def create_recipient_account(
        self, user_id: str, email: str, country: str = "KH", *, idempotency_key: str
    ) -> RecipientAccount:
        """An Express account under the recipient agreement: the only kind a US platform can pay in Cambodia.

        Source: https://docs.stripe.com/connect/service-agreement-types. Stripe collects the worker's details.
        """
        account = await translated(
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
        found = await _first_made(self._stripe.v1.accounts.list_async({"limit": 100}), {"user_id": user_id})
        return None if found is None else _account(found)

    async def retrieve_account(self, account_id: str) -> RecipientAccount:
        return _account(await translated(self._stripe.v1.accounts.retrieve_async(account_id)))

    async def create_onboarding_link(self, account_id: str, *, refresh_url: str, return_url: str) -> str:
        """The address of Stripe's onboarding form for this account. It works once, for a few minutes."""
        link = await translated(
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
        transfer = await translated(
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
        return _transfer(await translated(self._stripe.v1.transfers.retrieve_async(transfer_id)))

    async def find_transfer(
        self, job_id: str, *, metadata: Mapping[str, str] | None = None, transfer_group: str | None = None
    ) -> Transfer | None:
        """The first transfer made for a job whose metadata holds all that is given, or None."""
        wanted = {**(metadata or {}), "job_id": job_id}
        found = await _first_made(
            self._stripe.v1.transfers.list_async(
                {"transfer_group": transfer_group or transfer_group_of(job_id), "limit": 100}
            ),
            wanted,
        )
        return None if found is None else _transfer(found)

    async def transfers_since(self, since: datetime) -> AsyncIterator[Transfer]:
        """Every transfer made since a time, newest first, a page at a time."""
        created: Any = {"gte": int(since.timestamp())}
        async for transfer in every(self._stripe.v1.transfers.list_async({"created": created, "limit": 100})):
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
        reversal = await translated(
            self._stripe.v1.transfers.reversals.create_async(
                transfer_id,
                {"amount": amount_cents, "metadata": dict(metadata or {})},
                {"idempotency_key": idempotency_key},
            )
        )
        return _reversal(transfer_id, reversal)

    async def reversals_of(self, transfer_id: str) -> list[TransferReversal]:
        """Every reversal of a transfer, newest first."""
        pages = every(self._stripe.v1.transfers.reversals.list_async(transfer_id, {"limit": 100}))
        return [_reversal(transfer_id, reversal) async for reversal in pages]

    async def find_reversal(self, transfer_id: str, metadata: Mapping[str, str]) -> TransferReversal | None:
        """The first reversal of a transfer whose metadata holds all that is given, or None."""
        found = await _first_made(
            self._stripe.v1.transfers.reversals.list_async(transfer_id, {"limit": 100}), metadata
        )
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
        payout = await translated(
            self._stripe.v1.payouts.create_async(
                {"amount": amount_cents, "currency": CURRENCY, "metadata": dict(metadata or {})},
                {"idempotency_key": idempotency_key, "stripe_account": account_id},
            )
        )
        return _payout(account_id, payout)

    async def retrieve_payout(self, account_id: str, payout_id: str) -> Payout:
        payout = await translated(
            self._stripe.v1.payouts.retrieve_async(payout_id, options={"stripe_account": account_id})
        )
        return _payout(account_id, payout)

    async def find_payout(self, account_id: str, metadata: Mapping[str, str]) -> Payout | None:
        """The first payout of an account whose metadata holds all that is given, or None."""
        found = await _first_made(
            self._stripe.v1.payouts.list_async({"limit": 100}, {"stripe_account": account_id}), metadata
        )
        return None if found is None else _payout(account_id, found)

    async def available_cents(self, account_id: str | None = None) -> int:
        """USD cents that the platform, or a worker's account, can spend now."""
        options: stripe.RequestOptions = {} if account_id is None else {"stripe_account": account_id}
        balance = await translated(self._stripe.v1.balance.retrieve_async(options=options))
        return sum(part.amount for part in balance.available if part.currency == CURRENCY)


async def _first_made(listing: Awaitable[Pages[_MadeT]], wanted: Mapping[str, str]) -> _MadeT | None:
    """The first object made whose metadata holds all that is wanted: lists are newest first, so the last one seen."""
    found = None
    async for one in every(listing):
        given = metadata_of(one.metadata)
        if all(given.get(key) == value for key, value in wanted.items()):
            found = one
    return found


def _account(account: stripe.Account) -> RecipientAccount:
    requirements, capabilities = account.requirements, account.capabilities
    return RecipientAccount(
        id=account.id,
        user_id=metadata_of(account.metadata).get("user_id"),
        country=account.country or "",
        transfers_active=capabilities is not None and getattr(capabilities, "transfers", None) == "active",
        payouts_enabled=account.payouts_enabled is True,
        details_submitted=account.details_submitted is True,
        requirements_due=tuple(requirements.currently_due or ()) if requirements is not None else (),
    )


def _transfer(transfer: stripe.Transfer) -> Transfer:
    metadata = metadata_of(transfer.metadata)
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
        metadata=metadata_of(reversal.metadata),
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
        metadata=metadata_of(payout.metadata),
    )
