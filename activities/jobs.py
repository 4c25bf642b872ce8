"""What a job's workflow has done for it in the stores. Thin: each activity calls `app`, and may run again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError
from temporalio import activity

from app.jobs.change import JobChange, expiring
from app.jobs.models import ranking_id
from app.jobs.projection import store_change
from app.jobs.settlement import settle
from app.matching.candidates import find_candidates
from app.matching.models import Ranking
from app.matching.rank import rank
from app.money.credits import Credits
from app.money.earnings import Earnings
from app.money.keys import hold_key
from app.offers.clock import offer_expiry
from app.timetracking.service import note_actual, stop_for_job, tracked_seconds
from app.users import workload
from workflows.messages import (
    Activity,
    AssignWorker,
    AssignWorkerResult,
    HoldCredits,
    HoldCreditsResult,
    MakeOffer,
    MakeOfferResult,
    RankedWorker,
    RankWorkers,
    RankWorkersResult,
    SettleJob,
    TrackedTime,
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
        """Store the projection, the offers and the notices of a change; end tracked time that ends with it."""
        if change.stop_timer_of and change.decided_at:
            await stop_for_job(self._database, change.job_id, change.stop_timer_of, change.decided_at)
        await store_change(self._database, change)

    @activity.defn(name=Activity.MAKE_OFFER)
    async def make_offer(self, request: MakeOffer) -> MakeOfferResult:
        """Work out when the offer lapses by the worker's hours, then store the change with that instant."""
        worker = await self._database["users"].find_one(
            {"_id": request.worker_id}, {"workerProfile.workingHours": 1, "workerProfile.timezone": 1}
        )
        pause = request.pause_limit_seconds
        expires_at = offer_expiry(
            (worker or {}).get("workerProfile") or {},
            request.at,
            window=timedelta(seconds=request.window_seconds),
            pause_limit=None if pause is None else timedelta(seconds=pause),
        )
        await store_change(self._database, expiring(request.change, expires_at))
        return MakeOfferResult(expires_at=expires_at)

    @activity.defn(name=Activity.TRACKED_TIME)
    async def tracked_time(self, request: TrackedTime) -> int:
        """The seconds that a worker has tracked on a job."""
        return await tracked_seconds(self._database, request.job_id, request.worker_id, request.at)

    @activity.defn(name=Activity.HOLD_CREDITS)
    async def hold_credits(self, hold: HoldCredits) -> HoldCreditsResult:
        """Hold the job's price on the client's book."""
        key = hold_key(hold.job_id, hold.number)
        outcome = await self._credits.hold(hold.client_id, hold.job_id, hold.credits, key=key)
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

    @activity.defn(name=Activity.SETTLE_JOB)
    async def settle_job(self, request: SettleJob) -> None:
        """Settle the money, then store the change, so that a completed job is a paid one."""
        change = request.change
        at = change.timeline[-1].at
        if change.stop_timer_of:
            await stop_for_job(self._database, change.job_id, change.stop_timer_of, at)
        await settle(
            self._database,
            self._credits,
            self._earnings,
            job_id=change.job_id,
            client_id=change.client_id,
            worker_id=request.worker_id,
            resolutions=request.resolutions,
            accrual=request.accrual,
            completed=request.completed,
            at=at,
        )
        await store_change(self._database, change)
        if request.completed:
            await note_actual(self._database, change.job_id)
