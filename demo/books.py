"""The demo's own audit: from the journal, the sandbox and the accounts, not from what the API said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

from app.jobs.models import Job
from app.lifecycle import Status
from app.money.books import STRIPE_CLEARING, client_book
from app.money.credits import Credits
from app.money.earnings import Earnings
from app.money.errors import LedgerCorrupted
from app.money.journal import ledger_collection
from app.money.keys import invoice_grant_key
from app.money.models import Kind
from app.money.verify import audit
from app.settings import Settings
from app.webhooks.models import EventStatus
from demo.house import Database


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what was looked at, what was found, and what disagrees (empty: nothing)."""

    name: str
    found: str
    faults: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing disagrees."""
        return not self.faults


async def check_books(
    database: Database, settings: Settings, job_ids: Sequence[str], branches: Sequence[str] = ()
) -> list[Check]:
    """Every check over the demo's jobs: those of the main road, and those that went another way."""
    jobs, others = await _jobs(database, job_ids), await _jobs(database, branches)
    transfers = await _transfers(settings)
    return [
        _jobs_done(job_ids, jobs),
        *([_branches_settled(branches, others, transfers)] if branches else []),
        *await _journal(database, [*job_ids, *branches]),
        await _credits_paid_for(database, settings),
        await _credits_spent(database, jobs, others),
        _one_transfer_each(jobs, transfers),
        await _workers_paid(database, [*jobs, *others]),
        await _places_free(database),
        await _events_settled(database),
        await _outbox_empty(database),
    ]


async def _jobs(database: Database, job_ids: Sequence[str]) -> list[Job]:
    rows = [await database["jobs"].find_one({"_id": job_id}) for job_id in job_ids]
    return [Job.model_validate(row) for row in rows if row is not None]


def _branches_settled(
    job_ids: Sequence[str], jobs: Sequence[Job], transfers: Sequence[dict[str, Any]]
) -> Check:
    """Each has ended, with a transfer for just what each of its workers earned."""
    faults = [f"job {job_id} is not in the database" for job_id in set(job_ids) - {job.id for job in jobs}]
    for job in jobs:
        if job.status not in (Status.COMPLETED, Status.CANCELLED):
            faults.append(f"job {job.id} is {job.status}/{job.phase}")
        sent = sorted(item["amount"] for item in transfers if item["metadata"].get("job_id") == job.id)
        earned = sorted(accrual.usd_cents for accrual in job.accruals)
        if sent != earned:
            faults.append(f"job {job.id}: {sent} cents were transferred, {earned} were earned")
    ended = Counter(job.status.value for job in jobs)
    found = ", ".join(f"{count} {status}" for status, count in sorted(ended.items()))
    return Check("side roads settled", found, tuple(faults))


def _jobs_done(job_ids: Sequence[str], jobs: Sequence[Job]) -> Check:
    faults = [f"job {job.id} is {job.status}/{job.phase}" for job in jobs if job.status != Status.COMPLETED]
    if len(jobs) != len(job_ids):
        faults.append(f"{len(job_ids) - len(jobs)} jobs are not in the database")
    done = sum(job.status == Status.COMPLETED for job in jobs)
    return Check("jobs completed", f"{done} of {len(job_ids)}", tuple(faults))


async def _journal(database: Database, job_ids: Sequence[str]) -> list[Check]:
    found = await audit(database)
    faults = [
        f"{item.check} {item.transaction_id or item.book}: {item.detail}" for item in found.discrepancies
    ]
    ours = set(job_ids)
    held = [item for item in found.open_holds if item.job_id in ours]
    return [
        Check(
            "journal balanced",
            f"{found.transactions} transactions in {found.books} books, every chain, leg and balance recomputed",
            tuple(faults),
        ),
        Check(
            "nothing held",
            f"{len(held)} open holds",
            tuple(f"job {item.job_id} still holds {item.amount / 100:.2f} credits" for item in held),
        ),
    ]


async def _credits_paid_for(database: Database, settings: Settings) -> Check:
    """Stripe's own list: each paid invoice has granted once, and what was paid stands in the grant."""
    paid = {
        invoice_grant_key(invoice["id"]): int(invoice["amount_paid"])
        for invoice in await _every(settings, "/v1/invoices", status="paid")
    }
    rows = await ledger_collection(database).find({"kind": Kind.CREDIT_GRANT.value}).to_list()
    granted = Counter(row["key"] for row in rows if row["key"].startswith(invoice_grant_key("")))
    faults = [f"{key} is paid, and granted {granted[key]} times" for key in paid if granted[key] != 1]
    faults += [f"{key} is granted, and no such invoice is paid" for key in granted if key not in paid]
    for row in rows:
        booked = sum(leg["amount"] for leg in row["legs"] if leg["account"] == STRIPE_CLEARING)
        if row["key"] in paid and booked != paid[row["key"]]:
            faults.append(f"{row['key']}: {paid[row['key']]} cents were paid, {booked} are booked")
    found = f"{len(paid)} invoices, ${sum(paid.values()) / 100:,.2f} in the Stripe sandbox"
    return Check("credits paid for", found, tuple(faults))


async def _credits_spent(database: Database, jobs: Sequence[Job], others: Sequence[Job]) -> Check:
    """Each client has spent the prices of their jobs, and has the rest of what was granted."""
    credits_ = Credits(database)
    faults: list[str] = []
    spent = Counter[str]()
    for job in jobs:
        spent[job.client_id] += job.spent_credits
        price = job.pricing.credits if job.pricing else 0
        if job.status == Status.COMPLETED and job.spent_credits != price:
            faults.append(
                f"job {job.id} cost {job.spent_credits}, its price is {price} (hundredths of a credit)"
            )
    for job in others:
        spent[job.client_id] += job.spent_credits
    for client_id, amount in spent.items():
        granted = await _granted(database, client_id)
        try:
            balance = await credits_.balance(client_id)
        except LedgerCorrupted as error:
            faults.append(str(error))
            continue
        if balance.held or granted - amount != balance.available:
            faults.append(
                f"client {client_id}: granted {granted}, spent {amount}, but {balance.available} available "
                f"and {balance.held} held (hundredths of a credit)"
            )
    return Check("credits posted", f"{sum(spent.values()) / 100:.2f} credits spent", tuple(faults))


async def _granted(database: Database, client_id: str) -> int:
    rows = await ledger_collection(database).find({"book": client_book(client_id).name}).to_list()
    return sum(int(row["lot"]["amount"]) for row in rows if row.get("lot"))


def _one_transfer_each(jobs: Sequence[Job], transfers: Sequence[dict[str, Any]]) -> Check:
    """Stripe's own list, read without the platform's code: one transfer of the right amount for each job."""
    faults: list[str] = []
    by_job = Counter(transfer["metadata"].get("job_id") for transfer in transfers)
    amounts = {transfer["metadata"].get("job_id"): transfer["amount"] for transfer in transfers}
    for job in jobs:
        pay = job.pricing.pay_usd_cents if job.pricing else 0
        if by_job[job.id] != 1:
            faults.append(f"job {job.id} has {by_job[job.id]} transfers")
        elif amounts[job.id] != pay:
            faults.append(f"job {job.id}: {amounts[job.id]} cents were transferred, the pay is {pay}")
    found = sum(by_job[job.id] for job in jobs)
    return Check("one transfer for each job", f"{found} in the Stripe sandbox", tuple(faults))


async def _workers_paid(database: Database, jobs: Sequence[Job]) -> Check:
    earnings = Earnings(database)
    owed = Counter[str]()
    for job in jobs:
        for accrual in job.accruals:
            owed[accrual.worker_id] += accrual.usd_cents
        if job.worker_id and not job.accruals:
            owed[job.worker_id] += job.pricing.pay_usd_cents if job.pricing else 0
    faults: list[str] = []
    for worker_id, amount in owed.items():
        try:
            balance = await earnings.balance(worker_id)
        except LedgerCorrupted as error:
            faults.append(str(error))
            continue
        if (balance.payable, balance.paid) != (0, amount):
            faults.append(
                f"worker {worker_id}: {balance.paid} cents paid and {balance.payable} owed; "
                f"the jobs' pay is {amount}"
            )
    return Check("workers paid", f"${sum(owed.values()) / 100:,.2f} to {len(owed)}", tuple(faults))


async def _places_free(database: Database) -> Check:
    """No worker keeps a place or an open offer of a job that is done."""
    fields = {"workerProfile.activeJobs": 1, "workerProfile.activeJobIds": 1, "workerProfile.openOfferIds": 1}
    workers = await database["users"].find({"role": "worker"}, fields).to_list()
    faults = [
        f"worker {worker['_id']} still has {profile['activeJobs']} active jobs ({profile['activeJobIds']}) "
        f"and the open offers {profile['openOfferIds']}"
        for worker in workers
        if (profile := worker["workerProfile"])["activeJobs"]
        or profile["activeJobIds"]
        or profile["openOfferIds"]
    ]
    return Check("workers' places free", f"{len(workers)} workers", tuple(faults))


async def _events_settled(database: Database) -> Check:
    """What Stripe told is in the books: no event waits in the inbox."""
    events = await database["webhook_events"].find({}, {"type": 1, "status": 1}).to_list()
    faults = [
        f"event {event['_id']} ({event['type']}) is only {event['status']}"
        for event in events
        if event["status"] not in (EventStatus.HANDLED, EventStatus.IGNORED)
    ]
    return Check("Stripe's events settled", f"{len(events)} in the inbox", tuple(faults))


async def _outbox_empty(database: Database) -> Check:
    waiting = await database["outbox"].count_documents({})
    faults = (f"{waiting} notices were not delivered",) if waiting else ()
    return Check("notices delivered", f"{waiting} left in the outbox", faults)


async def _transfers(settings: Settings) -> list[dict[str, Any]]:
    """Every transfer that the platform ever made, newest first."""
    return await _every(settings, "/v1/transfers")


async def _every(settings: Settings, path: str, **filters: str) -> list[dict[str, Any]]:
    """A whole list of Stripe's, newest first."""
    found: list[dict[str, Any]] = []
    key = settings.stripe_api_key.get_secret_value()
    async with httpx2.AsyncClient(
        base_url=settings.stripe_api_base, headers={"Authorization": f"Bearer {key}"}, timeout=20
    ) as stripe:
        while True:
            query = filters | {"limit": "100"} | ({"starting_after": found[-1]["id"]} if found else {})
            answer = await stripe.get(path, params=query)
            answer.raise_for_status()
            page = answer.json()
            found += page["data"]
            if not page["has_more"]:
                return found
