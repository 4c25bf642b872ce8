"""What must be true of money in the end: one charge, grant, transfer and payout for each act, and nothing missing.

Stripe is read by its own SDK, and the books by the ledger's own audit; what the clients were granted is compared with
what the same code makes of the same Stripe in an empty database, where nothing has died.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import stripe

from app.database import open_database
from app.documents import utcnow
from app.gateways.stripe_billing import StripeBilling
from app.ids import new_id
from app.jobs.payouts import SETTLED, payout_of
from app.money.credits import Credits
from app.money.earnings import Earnings
from app.money.keys import accrue_key, invoice_grant_key, reinstated_key, top_up_key
from app.money.verify import audit, compare_with_jobs
from app.reconciliation.compare import Comparison
from app.subscriptions.customers import link
from app.subscriptions.packs import PACKS
from app.subscriptions.settlement import Settlement
from app.subscriptions.tiers import TIERS
from app.webhooks.types import HANDLED
from tests.chaos.earners import Payroll
from tests.chaos.subscribers import Shop, Subscriber
from tests.e2e.checks import ENDED
from tests.e2e.platform import Database, Platform

Row = dict[str, Any]
_FROM_STRIPE = ("credit_grant", "credit_clawback")


# -- clients


async def check_charges(subscriber: Subscriber) -> None:
    """Stripe has one invoice for each month and change, one payment for each pack, and what went back once."""
    shop, acts, customer = subscriber.shop, subscriber.acts, subscriber.customer_id
    found = await _invoices(shop, customer)
    reasons = Counter(invoice.billing_reason for invoice in found if invoice.status == "paid")
    assert reasons == +Counter(
        subscription_create=acts.subscribed,
        subscription_cycle=len(acts.months) - acts.subscribed,
        subscription_update=len(acts.changes),
    ), (customer, acts)
    wholes = [
        one.total for one in found if one.billing_reason != "subscription_update" and one.status == "paid"
    ]
    assert sorted(wholes) == sorted(TIERS[tier].price_cents for tier in acts.months), (customer, acts)
    payments = await shop.sdk.v1.payment_intents.list_async({"customer": customer, "limit": 100})
    packs = [one.amount_received for one in payments.data if "pack" in one.metadata and one.amount_received]
    assert sorted(packs) == sorted(PACKS[pack].price_cents for pack in acts.packs), (customer, acts)
    for payment in payments.data:
        refunds = await shop.sdk.v1.refunds.list_async({"payment_intent": payment.id})
        wanted = [acts.refunds[payment.id]] if payment.id in acts.refunds else []
        assert [refund.amount for refund in refunds.data] == wanted, payment.id
    alive = await shop.sdk.v1.subscriptions.list_async({"customer": customer})
    every = await shop.sdk.v1.subscriptions.list_async({"customer": customer, "status": "all"})
    assert len(alive.data) <= 1
    assert len(every.data) == acts.subscribed


async def check_grants(database: Database, subscriber: Subscriber) -> None:
    """Each paid invoice and each pack is one grant under its key; the whole ones are what the tier promises."""
    shop, acts, client_id = subscriber.shop, subscriber.acts, subscriber.person.id
    rows = await _rows(database, client_id)
    granted = {row["key"]: row["amount"] for row in rows if row["kind"] == "credit_grant"}
    paid = [one for one in await _invoices(shop, subscriber.customer_id) if one.status == "paid"]
    whole = [one for one in paid if one.billing_reason != "subscription_update"]
    amounts = [granted[invoice_grant_key(str(one.id))] for one in whole]
    assert sorted(amounts) == sorted(TIERS[tier].credits_per_period for tier in acts.months), (
        client_id,
        acts,
    )
    packs = [amount for key, amount in granted.items() if key.startswith(top_up_key(""))]
    assert sorted(packs) == sorted(PACKS[pack].credits for pack in acts.packs), (client_id, acts)
    reinstated = [key for key in granted if key.startswith(reinstated_key(""))]
    changed = [one for one in paid if one not in whole and invoice_grant_key(str(one.id)) in granted]
    assert len(granted) == len(whole) + len(packs) + len(changed) + len(reinstated), (
        client_id,
        sorted(granted),
    )
    notices = await database["notifications"].find({"userId": client_id}).to_list()
    told = Counter(row["type"] for row in notices)
    assert told["subscription.credits_granted"] == len(granted) - len(reinstated), client_id


async def check_against_a_calm_day(platform: Platform, subscribers: Sequence[Subscriber]) -> None:
    """The same Stripe, settled in an empty database where nothing dies, leaves every client the same."""
    settings = platform.settings.model_copy(update={"mongodb_database": f"calm_{new_id()}"})
    calm = await open_database(platform.database.client, settings)
    billing = StripeBilling.from_settings(settings)
    try:
        settlement = Settlement(calm, billing, Credits(calm))
        for subscriber in subscribers:
            await link(calm, subscriber.person.id, subscriber.customer_id)
            await settlement.settle(subscriber.person.id)
            left = [await _left_by_stripe(each, subscriber.person.id) for each in (platform.database, calm)]
            assert left[0] == left[1], (subscriber.person.id, subscriber.acts)
    finally:
        await billing.close()
        await open_database(platform.database.client, platform.settings)


async def _left_by_stripe(database: Database, client_id: str) -> Row:
    """What Stripe's word did to a client, whatever the order in which it was heard.

    Who did not see a dispute before it was won has nothing to give back, so both rows of such a one are left out.
    """
    rows = [row for row in await _rows(database, client_id) if row["kind"] in _FROM_STRIPE]
    won = {_cause(row) for row in rows if row["key"].startswith(reinstated_key(""))}
    rows = [row for row in rows if _cause(row) not in won]
    sign = {"credit_grant": 1, "credit_clawback": -1}
    subscription = await database["subscriptions"].find_one({"userId": client_id}) or {}
    return {
        "grants": sorted((row["key"], row["amount"]) for row in rows if row["kind"] == "credit_grant"),
        "taken for": sorted(_cause(row) for row in rows if row["kind"] == "credit_clawback"),
        "net": sum(sign[row["kind"]] * row["amount"] for row in rows),
        "tier": subscription.get("tier"),
        "status": subscription.get("status"),
        "period end": subscription.get("currentPeriodEnd"),
    }


def _cause(row: Row) -> str:
    """Stripe's id of what a row was written for."""
    return str(row["key"]).partition(":")[2]


async def _rows(database: Database, client_id: str) -> list[Row]:
    return await database["transactions"].find({"book": f"client:{client_id}"}).to_list()


async def _invoices(shop: Shop, customer_id: str) -> list[stripe.Invoice]:
    page = await shop.sdk.v1.invoices.list_async({"customer": customer_id, "limit": 100})
    return [invoice async for invoice in page.auto_paging_iter()]


# -- workers


async def check_pay(platform: Platform, payroll: Payroll) -> None:
    """Each accrual has one transfer at most, each ruling took its part once, and Stripe and the books agree."""
    database, shop = platform.database, payroll.shop
    page = await shop.sdk.v1.transfers.list_async({"limit": 100})
    transfers = [transfer async for transfer in page.auto_paging_iter()]
    names = Counter(transfer.metadata["payout_id"] for transfer in transfers)
    assert max(names.values(), default=1) == 1, names.most_common(3)
    sent: Counter[str] = Counter()
    for transfer in transfers:
        reversals = await shop.sdk.v1.transfers.reversals.list_async(transfer.id, {"limit": 100})
        acts = Counter(reversal.metadata["act"] for reversal in reversals.data if reversal.metadata)
        assert max(acts.values(), default=1) == 1, (transfer.id, acts)
        sent[str(transfer.destination)] += transfer.amount - transfer.amount_reversed
    for job_id in payroll.job_ids:
        await _check_job(database, job_id, payroll.rulings.get(job_id))
    for earner in payroll.earners:
        await _check_earner(database, shop, earner.person.id, sent)


async def _check_job(database: Database, job_id: str, share: int | None) -> None:
    job = await database["jobs"].find_one({"_id": job_id})
    assert job is not None
    assert (job["status"], job["phase"]) in ENDED, job_id
    rows = await database["transactions"].find({"jobId": job_id}).to_list()
    by_kind = {kind: [row for row in rows if row["kind"] == kind] for kind in {row["kind"] for row in rows}}
    earned = {row["key"]: row["amount"] for row in by_kind.get("worker_accrual", [])}
    assert set(earned) == {accrue_key(job_id, accrual["number"]) for accrual in job["accruals"]}, job_id
    statuses = {payout_of(job, accrual["number"]).get("status") for accrual in job["accruals"]}
    assert statuses <= SETTLED, (job_id, statuses)
    mine = [
        earned[accrue_key(job_id, each["number"])]
        for each in job["accruals"]
        if each["workerId"] == job["workerId"]
    ]
    whole = sum(mine)
    lost = whole - whole * share // 10_000 if share is not None else 0
    assert sum(row["amount"] for row in by_kind.get("earning_reversal", [])) == lost, (job_id, share)
    assert job["earnedUsdCents"] == sum(earned.values()) - lost, job_id


async def _check_earner(database: Database, shop: Shop, worker_id: str, sent: Counter[str]) -> None:
    """Earned, less what rulings took, is what was sent and kept, less what is owed back; the bank got it once."""
    balance = await Earnings(database).balance(worker_id)
    rows = await database["transactions"].find({"book": f"worker:{worker_id}"}).to_list()
    signs = {"worker_accrual": 1, "earning_reversal": -1}
    assert balance.payable == 0, worker_id
    assert balance.paid - balance.debt == sum(signs.get(row["kind"], 0) * row["amount"] for row in rows), (
        worker_id
    )
    user = await database["users"].find_one({"_id": worker_id})
    account = str((user or {})["workerProfile"]["stripeAccountId"])
    assert sent[account] == balance.paid, worker_id
    options: Any = {"stripe_account": account}
    page = await shop.sdk.v1.payouts.list_async({"limit": 100}, options)
    at_stripe = [payout async for payout in page.auto_paging_iter()]
    stored = {row["_id"]: row for row in await database["payouts"].find({"workerId": worker_id}).to_list()}
    made = Counter(payout.metadata["bank_payout_id"] for payout in at_stripe if payout.metadata)
    assert max(made.values(), default=1) == 1, made
    assert set(made) == {name for name, row in stored.items() if row["status"] != "refused"}, worker_id
    for payout in at_stripe:
        row = stored[payout.metadata["bank_payout_id"]] if payout.metadata else {}
        assert (row["stripePayoutId"], row["amountUsdCents"], row["status"]) == (
            payout.id,
            payout.amount,
            payout.status,
        )
    left = await shop.sdk.v1.balance.retrieve_async(options=options)
    to_bank = sum(payout.amount for payout in at_stripe if payout.status != "failed")
    held = sum(part.amount for part in left.available) + sum(part.amount for part in left.pending)
    assert held == sent[account] - to_bank, worker_id


# -- everybody


async def check_books(platform: Platform) -> None:
    """`nimmit ledger verify` and the nightly comparison find nothing."""
    found = await audit(platform.database)
    assert found.discrepancies == []
    assert found.open_holds == []
    assert await compare_with_jobs(platform.database, found.open_holds) == []
    at = utcnow() + timedelta(days=11)  # by when everything that is under way counts as stuck
    comparison = Comparison(platform.database, platform.payments, at=at, since=at - timedelta(days=35))
    report = await comparison.run(new_id())
    assert report.differences == []
    assert report.rows > 0


async def check_inbox(platform: Platform, event_ids: Iterable[str]) -> None:
    """Every event that Stripe had for us was taken once, and handled if its type is."""
    rows = {row["_id"]: row for row in await platform.database["webhook_events"].find({}).to_list()}
    missing = set(event_ids) - rows.keys()
    assert missing == set()
    assert {row["status"] for row in rows.values()} <= {"handled", "ignored"}
    handled = {row["status"] for row in rows.values() if row["type"] in HANDLED and row["reason"] is None}
    assert handled == {"handled"}


async def check_processes(platform: Platform) -> None:
    """No workflow has failed, or was ended by a time-out."""
    bad = [
        f"{each.id}: {each.status.name if each.status else None}"
        async for each in platform.temporal.list_workflows(
            'ExecutionStatus IN ("Failed", "TimedOut", "Terminated", "Canceled")'
        )
    ]
    assert bad == []
