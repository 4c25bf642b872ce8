"""What must be true of jobs that have ended, whatever happened to them: books, places, offers, and who was told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.jobs.change import TimelineEntry
from app.jobs.models import Job
from app.jobs.payouts import SETTLED
from app.jobs.policy import JobPolicy
from app.lifecycle import WORK_IS_DUE, Action, Phase, State, Status
from app.money.earnings import Earnings
from app.money.verify import audit, compare_with_jobs
from tests.support.jobs import Database

Row = dict[str, Any]

# Who hears of an act, and what; `worker` is whoever held the job or was offered it at that moment.
_BOTH, _ALL = ("client", "worker"), ("client", "worker", "admins")
_TOLD: dict[str, dict[str, tuple[str, ...]]] = {
    "request_clarification": {"job.clarification": ("client",)},
    "expire_quote": {"job.cancelled": ("client",)},
    "make_offer": {"job.offer": ("worker",)},
    "expire_offer": {"job.offer_expired": ("worker",)},
    "accept_offer": {"job.assigned": _BOTH},
    "assign": {"job.assigned": _BOTH},
    "escalate": {"job.rescue": ("client", "admins")},
    "propose_price": {"job.price_proposed": ("client",)},
    "start": {"job.started": ("client",)},
    "submit": {"job.submitted": ("client",)},
    "remind_worker": {"job.due_reminder": ("worker",)},
    "remind_client": {"job.review_reminder": ("client",)},
    "extend_review": {"job.deadline_moved": ("worker",)},
    "request_revision": {"job.revision_requested": ("worker",)},
    "request_extra_revision": {"job.revision_quoted": _BOTH},
    "quote_revision": {"job.revision_quoted": ("client",)},
    "approve_revision_quote": {"job.revision_requested": ("worker",)},
    "withdraw": {"job.worker_left": ("client", "admins"), "job.withdrawn": ("worker",)},
    "reassign": {"job.worker_left": ("client", "admins"), "job.withdrawn": ("worker",)},
    "open_dispute": {"job.dispute_opened": _ALL},
    "close_evidence": {"job.dispute_reminder": ("admins",)},
    "withdraw_dispute": {"job.dispute_closed": _BOTH},
    "dismiss_dispute": {"job.dispute_closed": _BOTH},
    "rule_refund": {"job.dispute_closed": _BOTH},
    "rule": {"job.dispute_closed": _BOTH, "job.completed": _BOTH, "review.invited": _BOTH},
    "approve": {"job.completed": _BOTH, "review.invited": _BOTH},
    "auto_approve": {"job.completed": _BOTH, "review.invited": _BOTH},
}


async def check_books(database: Database, jobs: list[Job]) -> None:
    """The journal is sound, nothing is held, and what was earned was paid out, or went to a debt."""
    found = await audit(database)
    assert found.discrepancies == []
    assert found.open_holds == []
    assert await compare_with_jobs(database, found.open_holds) == []
    corrections = {"kind": {"$in": ["earning_reversal", "transfer_reversal"]}}
    ruled_on = {row["workerId"] async for row in database["transactions"].find(corrections, {"workerId": 1})}
    earned: Counter[str] = Counter()
    for job in jobs:
        assert job.held_credits == 0
        assert job.holds == []
        pay = await _check_rows(database, job, ruled_on)
        assert pay == job.earned_usd_cents, job.id
        for accrual in job.accruals:
            earned[accrual.worker_id] += accrual.usd_cents
    for worker_id, pay in earned.items():
        balance = await Earnings(database).balance(worker_id)
        if worker_id not in ruled_on:
            assert balance.debt == 0, worker_id
        assert (balance.payable, balance.paid - balance.debt) == (0, pay), worker_id


async def _check_rows(database: Database, job: Job, ruled_on: set[str]) -> int:
    """The job's rows say what it says itself; its pay in USD cents, after rulings.

    Of a worker from whom pay was taken back, another job may have paid the debt, so there only the worker's whole
    balance can be compared with what was sent.
    """
    sums: Counter[str] = Counter()
    for row in await database["transactions"].find({"jobId": job.id}).to_list():
        sums[row["kind"]] += row["amount"]
        for name, part in (row.get("resolution") or {}).items():
            sums[name] += part if isinstance(part, int) else 0
    spent = sums["posted"] - sums["credit_refund"]
    held = sums["posted"] + sums["released"]
    assert (spent, held) == (job.spent_credits, sums["credit_hold"]), job.id
    pay = sum(accrual.usd_cents for accrual in job.accruals)
    assert sums["worker_accrual"] - sums["earning_reversal"] == pay, job.id
    if ruled_on.isdisjoint(accrual.worker_id for accrual in job.accruals):
        assert sums["worker_transfer"] == pay, job.id
    return pay


async def check_workers(database: Database, jobs: list[Job]) -> None:
    """Nobody's capacity is leaked, no timer runs, and the counters say what was done."""
    assert await database["running_timers"].find({}).to_list() == []
    for user in await database["users"].find({"role": "worker"}).to_list():
        profile, worker_id = user["workerProfile"], user["_id"]
        leaked = {
            name: profile[name] for name in ("activeJobs", "activeJobIds", "openOfferIds") if profile[name]
        }
        assert leaked == {}, worker_id
        completed = sum(job.worker_id == worker_id and job.status is Status.COMPLETED for job in jobs)
        assert profile.get("completedJobs", 0) == completed, worker_id
        offers = await database["offers"].find({"workerId": worker_id}).to_list()
        outcomes = Counter(offer["status"] for offer in offers)
        counted = dict(profile.get("offers", {}))
        assert counted.pop("offered", 0) == len(offers), worker_id
        assert {name: count for name, count in counted.items() if count} == outcomes, worker_id


async def check_offers(database: Database, jobs: list[Job]) -> None:
    """Each offer is answered as the timeline tells."""
    for job in jobs:
        told = Counter(entry.action.value for entry in job.timeline)
        offers = await database["offers"].find({"jobId": job.id}).to_list()
        kept = Counter(offer["status"] for offer in offers)
        assert sorted(offer["number"] for offer in offers) == list(range(1, told["make_offer"] + 1)), job.id
        assert kept["open"] == 0
        answers = [(kept[name], told[f"{act}_offer"]) for name, act in _ANSWERS.items()]
        assert all(stored == entries for stored, entries in answers), (job.id, kept, told)


_ANSWERS = {"accepted": "accept", "declined": "decline", "expired": "expire"}


def check_notices(
    jobs: list[Job],
    notices: Sequence[Row],
    reviews: Sequence[Row],
    idle: Sequence[Row] = (),
    admins: Sequence[str] = (),
) -> None:
    """Of each fact everybody concerned is told once: as many notices of a kind as the timeline has of their cause.

    Args:
        notices: with `type`, `userId` (None: the admins) and `jobId`.
        idle: entries of time that silence has stopped, of which the worker is told.
        admins: who they are, where each of them has a notice of their own.
    """
    for job in jobs:
        found = Counter(
            (row["type"], _role(row["userId"], job, admins)) for row in notices if row["jobId"] == job.id
        )
        expected = _expected(job, len(admins) or 1)
        expected["time.idle_stopped", "worker"] += sum(entry["jobId"] == job.id for entry in idle)
        expected.update(
            ("review.revealed", _role(review["subjectId"], job))
            for review in reviews
            if review["jobId"] == job.id and review["revealedAt"]
        )
        told = [entry.action.value for entry in job.timeline]
        assert found == +expected, (job.id, found - expected, expected - found, told)


def _expected(job: Job, admins: int) -> Counter[tuple[str, str]]:
    expected: Counter[tuple[str, str]] = Counter()
    hearers = _Hearers()
    for entry in job.timeline:
        for template, people in hearers.entry(entry).items():
            for who in people:
                expected[template, who] += admins if who == "admins" else 1
    for accrual in job.accruals:
        payout = job.payout if accrual.number == 1 else job.further_payouts.get(str(accrual.number))
        assert payout is not None, job.id
        assert payout.status in SETTLED, (job.id, payout)
        expected[f"payout.{payout.status}", "worker"] += 1
    return expected


_DUE_ANEW = {
    Action.ACCEPT_OFFER,
    Action.ASSIGN,
    Action.REQUEST_REVISION,
    Action.APPROVE_REVISION_QUOTE,
}


@dataclass
class _Hearers:
    """Who hears of each entry of a timeline, one after another."""

    reminders: int = 0
    overdue: int = 0
    offered: bool = False
    held: bool = False
    completed: bool = False

    def entry(self, entry: TimelineEntry) -> dict[str, tuple[str, ...]]:
        if entry.action in (Action.ESCALATE, Action.CLOSE_EVIDENCE):  # a new count of reminders to the admins
            self.reminders = 0
        told = self._told(entry)
        if entry.action in _DUE_ANEW or (
            entry.action is Action.EXTEND_DEADLINE and State(entry.status, entry.phase) in WORK_IS_DUE
        ):
            self.overdue = 0
        self.offered = entry.phase is Phase.OFFERING
        self.completed = entry.status is Status.COMPLETED
        self.held = entry.status in (Status.ASSIGNED, Status.IN_PROGRESS, Status.REVIEW, Status.REVISION)
        return told

    def _told(self, entry: TimelineEntry) -> dict[str, tuple[str, ...]]:
        match entry.action:
            case Action.REQUEST_CONSENT:
                short = entry.reason == "insufficient-credits"
                return {"job.insufficient_credits" if short else "job.quote": ("client",)}
            case Action.REMIND_ADMINS:
                return self._reminded(entry)
            case Action.MARK_OVERDUE:
                self.overdue += 1
                return {"job.overdue": _ALL if self.overdue == 1 else ("admins",)}
            case Action.EXTEND_DEADLINE:
                both = self.offered or self.held or self.completed
                return {"job.deadline_moved": _BOTH if both else ("client",)}
            case Action.CANCEL:
                withdrawn = {"job.offer_withdrawn": ("worker",)} if self.offered else {}
                return {"job.cancelled": _BOTH if self.held else ("client",), **withdrawn}
        told = _TOLD.get(entry.action.value, {})
        return {"job.dispute_closed": _BOTH} if self.completed and entry.action is Action.RULE else told

    def _reminded(self, entry: TimelineEntry) -> dict[str, tuple[str, ...]]:
        self.reminders += 1
        if entry.phase is Phase.DISPUTED:
            return {"job.dispute_reminder": ("admins",)}
        escalated = self.reminders == JobPolicy().rescue_escalation_reminders
        return {"job.rescue_reminder": ("admins", "client") if escalated else ("admins",)}


def _role(user_id: str | None, job: Job, admins: Sequence[str] = ()) -> str:
    if user_id is None or user_id in admins:
        return "admins"
    return "client" if user_id == job.client_id else "worker"
