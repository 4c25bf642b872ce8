"""A worker's offers."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter

from api.openapi import AUTHENTICATED, problems
from api.routers.jobs import QueriesDep
from api.score_views import FactorView
from api.security import WorkerOnly
from api.types import EntityId, ResponseModel
from app.documents import utcnow

router = APIRouter(prefix="/offers", tags=["offers"])


class OfferView(ResponseModel):
    """An open offer: what is asked, what it pays, until when, and why it came to this worker."""

    job_id: EntityId
    number: int
    title: str
    description: str
    urgency: str
    category: str | None = None
    required_skills: list[str]
    pay_usd_cents: int | None = None
    hours_likely: float | None = None
    made_at: datetime
    expires_at: datetime
    seconds_left: int
    rank: int
    score: int
    factors: list[FactorView]


class OfferList(ResponseModel):
    """Open offers, the first to lapse first."""

    items: list[OfferView]


@router.get("", responses=problems(*AUTHENTICATED, "wrong-role"))
async def list_open(principal: WorkerOnly, queries: QueriesDep) -> OfferList:
    """The caller's open offers, each with their own score card."""
    offers = await queries.open_offers(principal.user_id)
    jobs = await queries.titles([offer.job_id for offer in offers])
    now = utcnow()
    items = []
    for offer in offers:
        job = jobs.get(offer.job_id)
        if job is None or offer.expires_at <= now:
            continue
        card = await queries.own_card(offer) or {}
        pricing = job.get("pricing") or {}
        items.append(
            OfferView(
                job_id=offer.job_id,
                number=offer.number,
                title=job["title"],
                description=job["description"],
                urgency=job["urgency"],
                category=job.get("category"),
                required_skills=job.get("requiredSkills", []),
                pay_usd_cents=job.get("payUsdCents") or pricing.get("payUsdCents"),
                hours_likely=pricing.get("hoursLikely"),
                made_at=offer.made_at,
                expires_at=offer.expires_at,
                seconds_left=max(0, int((offer.expires_at - now).total_seconds())),
                rank=offer.rank,
                score=offer.score,
                factors=[FactorView.model_validate(factor) for factor in card.get("factors", [])],
            )
        )
    return OfferList(items=items)
