"""What a job's workflow has done for it in the stores. Thin: each activity calls `app`, and may run again."""

from __future__ import annotations

from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError
from temporalio import activity

from app.jobs.change import JobChange
from app.jobs.models import ranking_id
from app.jobs.projection import store_change
from app.jobs.settlement import settle
from app.matching.candidates import find_candidates
from app.matching.models import Ranking
from app.matching.rank import rank
from app.money.credits import Credits
from app.money.earnings import Earnings
from app.money.keys import hold_key
from app.users import workload
from workflows.contracts import (
    Activity,
    AssignWorker,
    AssignWorkerResult,
    CompleteJob,
    HoldCredits,
    HoldCreditsResult,
    RankedWorker,
    RankWorkers,
    RankWorkersResult,
)


class JobActivities:
    """Local activities on MongoDB: short, repeatable writes."""

    def __init__(
        self, database: AsyncDatabase[dict[str, Any]], credits_: Credits, earnings: Earnings
    ) -> None:
        """Share one database and one journal among all jobs of the process."""
        self._database, self._credits, self._earnings = database, credits_, earnings

    @activity.defn(name=Activity.RECORD_CHANGE)
    async def record_change(self, change: JobChange) -> None:
        """Store the projection, the offers and the notices of a change."""
        await store_change(self._database, change)

    @activity.defn(name=Activity.HOLD_CREDITS)
    async def hold_credits(self, hold: HoldCredits) -> HoldCreditsResult:
        """Hold the job's price on the client's book."""
        outcome = await self._credits.hold(
            hold.client_id, hold.job_id, hold.credits, key=hold_key(hold.job_id)
        )
        return HoldCreditsResult(held=outcome.outcome == "held", available=outcome.available)

    @activity.defn(name=Activity.RANK_WORKERS)
    async def rank_workers(self, request: RankWorkers) -> RankWorkersResult:
        """Rank everybody, keep the whole score card, and answer with the best.

        The first ranking of a round stands: a worker may have been told of an offer made by it before a crash.
        """
        candidates = await find_candidates(
            self._database, client_id=request.client_id, at=request.at, job_id=request.job_id
        )
        ranking = rank(
            candidates,
            request.required_skills,
            exclude=dict.fromkeys(request.excluded, "asked before"),
            now=request.at,
            widened=request.widened,
            urgent=request.urgent,
            salt=request.job_id,
        )
        record = {
            "jobId": request.job_id,
            "round": request.round,
            "version": ranking.version,
            "widened": request.widened,
            "at": request.at,
            "requiredSkills": request.required_skills,
            "cards": [card.model_dump(by_alias=True) for card in ranking.cards],
        }
        key = ranking_id(request.job_id, request.round)
        try:
            await self._database["rankings"].insert_one({"_id": key, **record})
        except DuplicateKeyError:
            ranking = Ranking.model_validate(await self._database["rankings"].find_one({"_id": key}))
        eligible = [card for card in ranking.cards if card.eligible]
        return RankWorkersResult(
            candidates=[
                RankedWorker(worker_id=card.worker_id, rank=position, score=card.score)
                for position, card in enumerate(eligible[: request.limit], start=1)
            ],
            considered=len(ranking.cards),
            passed_over=len(ranking.cards) - len(eligible),
        )

    @activity.defn(name=Activity.ASSIGN_WORKER)
    async def assign_worker(self, request: AssignWorker) -> AssignWorkerResult:
        """Take a place of the worker's capacity, then store the change; without a place, nothing."""
        worker_id, job_id = request.worker_id, request.change.job_id
        taken, capacity = await workload.take_place(self._database, worker_id, job_id)
        if taken and not await store_change(self._database, request.change):
            await self._release_if_anothers(worker_id, job_id)
        return AssignWorkerResult(assigned=taken, capacity=capacity)

    async def _release_if_anothers(self, worker_id: str, job_id: str) -> None:
        """This attempt ran late, after the job had moved on: it keeps the place only if the job is the worker's."""
        job = await self._database["jobs"].find_one({"_id": job_id}, {"workerId": 1})
        if job and job.get("workerId") != worker_id:
            await workload.release_place(self._database, worker_id, job_id, completed=False)

    @activity.defn(name=Activity.COMPLETE_JOB)
    async def complete_job(self, request: CompleteJob) -> None:
        """Settle the money, then store the change, so that a completed job is a paid one."""
        change = request.change
        await settle(
            self._database,
            self._credits,
            self._earnings,
            job_id=change.job_id,
            client_id=change.client_id,
            worker_id=request.worker_id,
            price=request.credits,
            pay_usd_cents=request.pay_usd_cents,
            at=change.timeline[-1].at,
        )
        await store_change(self._database, change)
