"""Workers' connected accounts: made once, known as Stripe last told of them, and what waits for them nudged."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from app.documents import utcnow
from app.gateways.payments import AccountCannotReceive, PaymentGateway, RecipientAccount
from app.gateways.saved_failures import past_saved_failures
from app.jobs.payouts import SETTLED, payout_of
from app.users.models import PayoutAccount

Database = AsyncDatabase[dict[str, Any]]
Nudge = Callable[[str, int], Awaitable[None]]
"""Tells the payout of a job (its id, the payout's number) to try again now. A payout that has ended needs nothing."""

_KEY_LIVES = timedelta(hours=23)  # Stripe keeps idempotency keys for a day
_PROFILE = "workerProfile"


@dataclass(frozen=True, slots=True)
class AccountUpdate:
    """What came of a word about an account: whose it is (None: nobody's here), and how many payouts were nudged."""

    worker_id: str | None
    transfers_active: bool = False
    nudged: int = 0


async def open_account(
    database: Database, gateway: PaymentGateway, worker_id: str, *, email: str, country: str
) -> str:
    """The worker's connected account, made if there is none. One for each worker, however often and whenever asked.

    Raises:
        app.gateways.payments.PaymentError: Stripe refused, or did not answer; repeat.
    """
    users = database["users"]
    unasked = {"_id": worker_id, f"{_PROFILE}.stripeAccountAskedAt": None}
    await users.update_one(unasked, {"$set": {f"{_PROFILE}.stripeAccountAskedAt": utcnow()}})
    profile = await _profile(database, worker_id)
    if profile.get("stripeAccountId"):
        return str(profile["stripeAccountId"])
    account = None
    asked_at = profile.get("stripeAccountAskedAt")
    if asked_at and utcnow() - asked_at > _KEY_LIVES:
        account = await gateway.find_account(worker_id)  # made then, perhaps, and the answer was lost
    if account is None:
        account = await past_saved_failures(
            f"account-{worker_id}",
            lambda key: gateway.create_recipient_account(worker_id, email, country, idempotency_key=key),
            lambda: gateway.find_account(worker_id),
        )
    return await _adopt(database, worker_id, account.id)


async def read_account(
    database: Database, gateway: PaymentGateway, worker_id: str, account_id: str
) -> PayoutAccount:
    """Ask Stripe how the account stands, and remember it in the worker's profile.

    Raises:
        app.gateways.payments.PaymentError: no answer.
    """
    read_at = utcnow()
    try:
        state = _state(await gateway.retrieve_account(account_id), read_at)
    except AccountCannotReceive:
        state = _gone(read_at)
    await _remember(database, worker_id, account_id, state)
    return state


async def handle_account_updated(
    database: Database, gateway: PaymentGateway, account_id: str, *, nudge: Nudge
) -> AccountUpdate:
    """What `account.updated` (and deauthorization) mean: re-read the account, remember it, try what waits for it again.

    It trusts nothing of the event but the account's id, so events may come twice, late and in any order. Repeatable.

    Raises:
        app.gateways.payments.PaymentError: Stripe did not answer; repeat.
    """
    read_at = utcnow()
    account: RecipientAccount | None
    try:
        account = await gateway.retrieve_account(account_id)
    except AccountCannotReceive:
        account = None
    worker_id = await _owner(database, account_id, account)
    if worker_id is None:
        return AccountUpdate(worker_id=None)
    state = _state(account, read_at) if account else _gone(read_at)
    await _remember(database, worker_id, account_id, state)
    nudged = 0
    if state.transfers_active:
        for job_id, number in await unsettled_payouts(database, worker_id):
            await nudge(job_id, number)
            nudged += 1
    return AccountUpdate(worker_id=worker_id, transfers_active=state.transfers_active, nudged=nudged)


async def accounts_after(database: Database, worker_id: str, *, limit: int) -> list[tuple[str, str]]:
    """The next workers by id who have an account, and it; empty after the last."""
    query = {"role": "worker", "_id": {"$gt": worker_id}, f"{_PROFILE}.stripeAccountId": {"$gt": ""}}
    page = database["users"].find(query, {f"{_PROFILE}.stripeAccountId": 1}).sort("_id", 1).limit(limit)
    return [(str(user["_id"]), str(user[_PROFILE]["stripeAccountId"])) async for user in page]


async def unsettled_payouts(database: Database, worker_id: str) -> list[tuple[str, int]]:
    """The job and the number of each payout to this worker that is not settled: held, or about to be.

    One that has just found no account may not have written yet that it is held, and would not look again for a day.
    """
    fields = {"accruals": 1, "payout": 1, "furtherPayouts": 1}
    found = []
    async for job in database["jobs"].find({"accruals.workerId": worker_id}, fields):
        for accrual in job["accruals"]:
            number = int(accrual["number"])
            if accrual["workerId"] == worker_id and payout_of(job, number).get("status") not in SETTLED:
                found.append((str(job["_id"]), number))
    return found


async def _owner(database: Database, account_id: str, account: RecipientAccount | None) -> str | None:
    """Whose account it is. One whose making was never recorded here is recorded now: the word overtook our write."""
    known = await database["users"].find_one({f"{_PROFILE}.stripeAccountId": account_id}, {"_id": 1})
    if known is not None:
        return str(known["_id"])
    if account is None or account.user_id is None:
        return None
    user = await database["users"].find_one({"_id": account.user_id, "role": "worker"}, {"_id": 1})
    if user is None or await _adopt(database, account.user_id, account_id) != account_id:
        return None
    return account.user_id


async def _adopt(database: Database, worker_id: str, account_id: str) -> str:
    """Keep the account, unless the worker has one; the one that the worker has."""
    field = f"{_PROFILE}.stripeAccountId"
    await database["users"].update_one({"_id": worker_id, field: None}, {"$set": {field: account_id}})
    return str((await _profile(database, worker_id)).get("stripeAccountId"))


async def _profile(database: Database, worker_id: str) -> dict[str, Any]:
    user = await database["users"].find_one({"_id": worker_id}, {_PROFILE: 1})
    return (user or {}).get(_PROFILE) or {}


async def _remember(database: Database, worker_id: str, account_id: str, state: PayoutAccount) -> None:
    """A read that began earlier never covers one that began later."""
    read_at = f"{_PROFILE}.payoutAccount.readAt"
    await database["users"].update_one(
        {
            "_id": worker_id,
            f"{_PROFILE}.stripeAccountId": account_id,
            "$or": [{read_at: None}, {read_at: {"$lte": state.read_at}}],
        },
        {"$set": {f"{_PROFILE}.payoutAccount": state.model_dump(by_alias=True)}},
    )


def _state(account: RecipientAccount, read_at: datetime) -> PayoutAccount:
    return PayoutAccount(
        transfers_active=account.transfers_active,
        payouts_enabled=account.payouts_enabled,
        details_submitted=account.details_submitted,
        requirements_due=list(account.requirements_due),
        read_at=read_at,
    )


def _gone(read_at: datetime) -> PayoutAccount:
    return PayoutAccount(
        transfers_active=False, payouts_enabled=False, details_submitted=False, read_at=read_at
    )
