"""What must be true of jobs in the end, read from the stores themselves: nothing happened twice, nothing is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import httpx2
from temporalio.client import WorkflowExecutionStatus

from app.gateways.mail import message_id_of
from app.jobs.payouts import payout_of
from app.lifecycle import ARCHIVED, CANCELLED, INITIAL, RATING, Action, Actor, State, Status, cell_for
from app.money.earnings import Earnings
from app.money.journal import ledger_collection
from app.money.verify import audit
from tests.e2e.platform import Database, Platform
from tests.support.http import Json, mails, until
from workflows.contracts import job_workflow_id, payout_workflow_id

# The journal's rows of a completed job, each written once.
_KINDS = ("credit_hold", "hold_resolution", "worker_accrual", "worker_transfer")
ENDED = {(state.status.value, state.phase.value) for state in (RATING, ARCHIVED, CANCELLED)}


async def settled(platform: Platform, job_ids: Sequence[str], *, seconds: float = 90) -> None:
    """Wait until the jobs have ended, their pay has gone out, and every notice is delivered."""

    async def open_ends() -> list[str]:
        found = [f"{job_id}: {why}" for job_id in job_ids if (why := await _open_end(platform, job_id))]
        waiting = await platform.database["outbox"].find({}, {"lastError": 1, "deadAt": 1}).to_list()
        return found + [f"outbox: {row}" for row in waiting]

    await until(open_ends, lambda found: not found, "the jobs' ends", seconds=seconds, every=0.3)


async def _open_end(platform: Platform, job_id: str) -> str | None:
    job = await job_of(platform.database, job_id)
    if (job["status"], job["phase"]) not in ENDED:
        return f"{job['status']}/{job['phase']}"
    payouts = [payout_of(job, accrual["number"]).get("status") for accrual in job.get("accruals", [])]
    if any(status != "sent" for status in payouts):
        return f"payouts {payouts}"
    description = await platform.temporal.get_workflow_handle(job_workflow_id(job_id)).describe()
    return None if description.status is WorkflowExecutionStatus.COMPLETED else str(description.status)


async def job_of(database: Database, job_id: str) -> Json:
    """A job's document."""
    job = await database["jobs"].find_one({"_id": job_id})
    assert job is not None, job_id
    return job


async def check_all(platform: Platform, job_ids: Sequence[str], *, mail_may_repeat: bool = False) -> None:
    """Every check over these jobs, which have ended, and over everybody who took part.

    `mail_may_repeat`: a worker was killed; a mail may then leave twice, under the same Message-ID (decision 5).
    """
    database = platform.database
    jobs = [await job_of(database, job_id) for job_id in job_ids]
    for job in jobs:
        check_timeline(job)
        await _check_offers(database, job)
    await _check_money(platform, jobs)
    await _check_notices(platform, jobs)
    await check_mails(platform, job_ids, repeats=mail_may_repeat)
    await _check_workers(database)


def check_timeline(job: Json) -> None:
    """Contiguous from 1 to the job's own number, and each entry an allowed step from the one before."""
    timeline = job["timeline"]
    seqs = [entry["seq"] for entry in timeline]
    assert seqs == list(range(1, job["seq"] + 1)), (job["_id"], job["seq"], seqs)
    state = INITIAL
    for entry in timeline:
        state = cell_for(state, Action(entry["action"]), Actor(entry["actor"])).to
        assert (entry["status"], entry["phase"]) == (state.status, state.phase), (job["_id"], entry)
    assert state == State(Status(job["status"]), job["phase"]), job["_id"]


async def _check_offers(database: Database, job: Json) -> None:
    """Each offer has the answer that the timeline tells of, and at most one was accepted."""
    offers = await database["offers"].find({"jobId": job["_id"]}).to_list()
    told = Counter(entry["action"] for entry in job["timeline"])
    kept = Counter(offer["status"] for offer in offers)
    assert sorted(offer["number"] for offer in offers) == list(range(1, told["make_offer"] + 1)), job["_id"]
    assert kept["open"] == 0
    assert kept["accepted"] == told["accept_offer"] <= 1
    assert (kept["declined"], kept["expired"]) == (told["decline_offer"], told["expire_offer"]), job["_id"]
    if kept["accepted"]:
        (accepted,) = (offer for offer in offers if offer["status"] == "accepted")
        assert accepted["workerId"] == job["workerId"]


async def _check_money(platform: Platform, jobs: Sequence[Json]) -> None:
    """The journal is sound, nothing is held, and each completed job was held, posted, earned and paid once."""
    found = await audit(platform.database)
    ids = {job["_id"] for job in jobs}
    assert found.discrepancies == []
    assert [hold for hold in found.open_holds if hold.job_id in ids] == []
    transfers = await transfers_of(platform)
    for job in jobs:
        job_id, held = job["_id"], "hold_credits" in actions(job) or "approve_quote" in actions(job)
        rows = await ledger_collection(platform.database).find({"jobId": job_id}).to_list()
        paid = [transfer for transfer in transfers if transfer["metadata"].get("job_id") == job_id]
        if job["status"] != Status.COMPLETED:
            assert not held
            assert (rows, paid) == ([], [])
            continue
        kinds = Counter(row["kind"] for row in rows)
        assert kinds == dict.fromkeys(
            ("credit_hold", "hold_resolution", "worker_accrual", "worker_transfer"), 1
        ), (job_id, kinds)
        price, pay = job["pricing"]["credits"], job["pricing"]["payUsdCents"]
        assert (job["heldCredits"], job["spentCredits"], job["earnedUsdCents"]) == (0, price, pay)
        assert [transfer["amount"] for transfer in paid] == [pay], job_id
    await _check_paid(platform.database, jobs)


async def _check_paid(database: Database, jobs: Sequence[Json]) -> None:
    """What a worker has been paid is at least the pay of these jobs (there may be others), and nothing is owed."""
    for worker_id in {job["workerId"] for job in jobs if job["status"] == Status.COMPLETED}:
        pay = sum(job["earnedUsdCents"] for job in jobs if job["workerId"] == worker_id)
        balance = await Earnings(database).balance(worker_id)
        assert balance.payable == 0
        assert balance.paid >= pay


async def transfers_of(platform: Platform) -> list[Json]:
    """Every transfer at Stripe, read without the platform's own code."""
    found: list[Json] = []
    key = platform.settings.stripe_api_key.get_secret_value()
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(base_url=platform.settings.stripe_api_base, headers=headers) as stripe:
        while True:
            query = {"limit": "100"} | ({"starting_after": found[-1]["id"]} if found else {})
            page = (await stripe.get("/v1/transfers", params=query)).raise_for_status().json()
            found += page["data"]
            if not page["has_more"]:
                return found


# Who hears of an act: the roles, with the type of notice. `admins` is every admin.
_TOLD: dict[str, tuple[tuple[str, str], ...]] = {
    "make_offer": (("offered", "job.offer"),),
    "expire_offer": (("offered", "job.offer_expired"),),
    "accept_offer": (("client", "job.assigned"), ("worker", "job.assigned")),
    "assign": (("client", "job.assigned"), ("worker", "job.assigned")),
    "start": (("client", "job.started"),),
    "submit": (("client", "job.submitted"),),
    "request_revision": (("worker", "job.revision_requested"),),
    "expire_quote": (("client", "job.cancelled"),),
    "escalate": (("client", "job.rescue"), ("admins", "job.rescue")),
    "remind_admins": (("admins", "job.rescue_reminder"),),
}
_COMPLETED = tuple(
    (who, what) for who in ("client", "worker") for what in ("job.completed", "review.invited")
)


async def _check_notices(platform: Platform, jobs: Sequence[Json]) -> None:
    """Everybody heard of everything that concerns them, once."""
    database = platform.database
    admins = [row["_id"] for row in await database["users"].find({"role": "admin"}, {"_id": 1}).to_list()]
    for job in jobs:
        stored = await database["notifications"].find({"jobId": job["_id"]}).to_list()
        found = Counter((row["type"], row["userId"]) for row in stored)
        expected = await _expected_notices(database, job, admins)
        assert found == expected, (job["_id"], actions(job), found - expected, expected - found)


async def _expected_notices(database: Database, job: Json, admins: Iterable[str]) -> Counter[tuple[str, str]]:
    offers = await database["offers"].find({"jobId": job["_id"]}).to_list()
    offered = {offer["number"]: offer["workerId"] for offer in offers}
    people = {"client": [job["clientId"]], "worker": [job.get("workerId")], "admins": list(admins)}
    expected: Counter[tuple[str, str]] = Counter()
    number = 0
    for entry in job["timeline"]:
        action = entry["action"]
        number += action == "make_offer"
        if action == "request_consent":
            short = entry.get("reason") == "insufficient-credits"
            told: Sequence[tuple[str, str]] = [
                ("client", "job.insufficient_credits" if short else "job.quote")
            ]
        else:
            told = _COMPLETED if action in ("approve", "auto_approve") else _TOLD.get(action, ())
        for who, what in told:
            for person in [offered[number]] if who == "offered" else people[who]:
                expected[what, str(person)] += 1
    if job["status"] == Status.COMPLETED:
        expected["payout.sent", job["workerId"]] += 1
    ratings = job.get("ratings") or {}
    for by, to in (("byClient", "workerId"), ("byWorker", "clientId")):
        if ratings.get(by):
            expected["review.revealed", job[to]] += 1
    return expected


async def check_mails(platform: Platform, job_ids: Sequence[str], *, repeats: bool) -> None:
    """Each notification of these jobs was mailed, to its person, once."""
    users = {row["_id"]: row["email"] async for row in platform.database["users"].find({}, {"email": 1})}
    rows = await platform.database["notifications"].find({"jobId": {"$in": list(job_ids)}}).to_list()
    expected = {(message_id_of(row["_id"]), users[row["userId"]]) for row in rows}
    taken = await mails(platform.mail_url)
    sent = Counter((mail["headers"]["Message-ID"], mail["recipients"][0]) for mail in taken)
    assert expected <= set(sent), f"never mailed: {sorted(expected - set(sent))[:5]}"
    if not repeats:
        assert {mail: sent[mail] for mail in expected if sent[mail] > 1} == {}


async def _check_workers(database: Database) -> None:
    """Counters agree with what was done: places, offers, completed jobs, and stars."""
    jobs = await database["jobs"].find({}, {"timeline": 0, "files": 0}).to_list()
    offers = await database["offers"].find({}).to_list()
    for user in await database["users"].find({"role": "worker"}).to_list():
        profile, worker_id = user["workerProfile"], user["_id"]
        mine = [job for job in jobs if job.get("workerId") == worker_id]
        running = {job["_id"] for job in mine if (job["status"], job["phase"]) not in ENDED}
        assert set(profile["activeJobIds"]) == running, (worker_id, profile["activeJobIds"], running)
        assert profile["activeJobs"] == len(running)
        assert profile["completedJobs"] == sum(job["status"] == Status.COMPLETED for job in mine)
        outcomes = Counter(offer["status"] for offer in offers if offer["workerId"] == worker_id)
        assert len(profile["openOfferIds"]) == outcomes["open"]
        counted = profile["offers"]
        assert counted["offered"] == outcomes.total(), (worker_id, counted, outcomes)
        for outcome in ("accepted", "declined", "expired", "withdrawn"):
            assert counted[outcome] == outcomes[outcome], (worker_id, counted, outcomes)
        stars = [
            job["ratings"]["byClient"]["rating"] for job in mine if (job.get("ratings") or {}).get("byClient")
        ]
        assert (profile["rating"]["sum"], profile["rating"]["count"]) == (sum(stars), len(stars))


def actions(job: Json) -> list[str]:
    """What was done to a job, in order."""
    return [entry["action"] for entry in job["timeline"]]


async def history_length(platform: Platform, job_id: str) -> int:
    """How many events the job's history has."""
    description = await platform.temporal.get_workflow_handle(job_workflow_id(job_id)).describe()
    return description.history_length


async def payout_ended(platform: Platform, job_id: str) -> bool:
    """Whether the payout's workflow is done."""
    handle = platform.temporal.get_workflow_handle(payout_workflow_id(job_id))
    return (await handle.describe()).status is WorkflowExecutionStatus.COMPLETED


async def everything(database: Database, *, without: Iterable[str] = ()) -> dict[str, list[dict[str, Any]]]:
    """Every document of every collection, to compare before and after."""
    names = sorted(set(await database.list_collection_names()) - set(without))
    return {name: await database[name].find({}).sort("_id", 1).to_list() for name in names}
