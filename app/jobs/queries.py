"""Reads of jobs and offers. Who may see a job is part of each query, never checked afterwards."""

from __future__ import annotations

from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from app.errors import NotFoundError
from app.jobs.change import OfferStatus
from app.jobs.models import Job, Offer, RankingRecord, offer_id, ranking_id
from app.users.models import Role

Database = AsyncDatabase[dict[str, Any]]


class JobQueries:
    """What callers may read."""

    def __init__(self, database: Database) -> None:
        """Read from this database."""
        self.database = database
        self._jobs, self._offers, self._rankings = database["jobs"], database["offers"], database["rankings"]

    async def get(self, job_id: str, *, role: Role, user_id: str) -> Job:
        """One job, if the caller is its client, its worker, a worker it is offered to, or an admin.

        Raises:
            NotFoundError: there is none, or it is not the caller's.
        """
        found = await self._jobs.find_one({"_id": job_id} | visible_to(role, user_id))
        if found is None:
            raise NotFoundError("There is no such job.")
        job: Job = Job.model_validate(found)
        return job

    async def find(self, job_id: str) -> Job | None:
        """One job by its id alone, for code that has no caller."""
        found = await self._jobs.find_one({"_id": job_id})
        return Job.model_validate(found) if found else None

    async def last_offer(self, job: Job, worker_id: str) -> Offer | None:
        """The last offer of the job to the worker, whatever became of it; fetched by `_id`."""
        own = [offer for offer in await self.offers_of(job) if offer.worker_id == worker_id]
        return own[-1] if own else None

    async def open_offers(self, worker_id: str) -> list[Offer]:
        """The worker's open offers, the first to lapse first."""
        query = {"workerId": worker_id, "status": OfferStatus.OPEN.value}
        found = await self._offers.find(query).sort("expiresAt", 1).limit(100).to_list()
        return [Offer.model_validate(offer) for offer in found]

    async def offers_of(self, job: Job) -> list[Offer]:
        """Every offer of a job, in order; fetched by `_id`."""
        keys = [offer_id(job.id, number) for number in range(1, job.offer_number + 1)]
        found = await self._offers.find({"_id": {"$in": keys}}).to_list() if keys else []
        return sorted((Offer.model_validate(offer) for offer in found), key=lambda offer: offer.number)

    async def rankings_of(self, job: Job) -> list[RankingRecord]:
        """The score card of every round; fetched by `_id`."""
        keys = [ranking_id(job.id, number) for number in range(1, job.round + 1)]
        found = await self._rankings.find({"_id": {"$in": keys}}).to_list() if keys else []
        return sorted(
            (RankingRecord.model_validate(record) for record in found), key=lambda record: record.round
        )

    async def own_card(self, offer: Offer) -> dict[str, Any] | None:
        """The offered worker's own score card, and nobody else's."""
        record = await self._rankings.find_one({"_id": ranking_id(offer.job_id, offer.round)})
        if record is None:
            return None
        return next((card for card in record["cards"] if card.get("workerId") == offer.worker_id), None)

    async def titles(self, job_ids: list[str]) -> dict[str, dict[str, Any]]:
        """What an offered worker sees of each job."""
        fields = {
            "title": 1,
            "description": 1,
            "urgency": 1,
            "requiredSkills": 1,
            "category": 1,
            "pricing": 1,
            "payUsdCents": 1,
        }
        found = await self._jobs.find({"_id": {"$in": job_ids}}, fields).to_list()
        return {job["_id"]: job for job in found}


def visible_to(role: Role, user_id: str) -> dict[str, Any]:
    """The filter for what a role may see."""
    if role is Role.ADMIN:
        return {}
    if role is Role.CLIENT:
        return {"clientId": user_id}
    return {"$or": [{"workerId": user_id}, {"offeredWorkerId": user_id}]}
