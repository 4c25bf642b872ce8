"""What a job costs: the brief made clear, the quote answered, the price raised, a further revision agreed to."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import ConfigDict, Field, StringConstraints

from api.act_ids import stay_of, times
from api.job_desk import ACT, ActView, DeskDep, Reason
from api.openapi import WITH_BODY, problems
from api.security import ClientOnly, WorkerOnly
from api.types import CreditsIn, PathId, RequestModel
from app.lifecycle import Action
from workflows.contracts import Act, AgreePrice, Clarify, QuoteRevision, RaisePrice, Update

router = APIRouter(prefix="/jobs", tags=["jobs"])

_REPRICE = (*ACT, "insufficient-credits")
_AGREE = (*_REPRICE, *WITH_BODY, "price-changed")


class ClarifyBody(RequestModel):
    """The answer to the question about the brief."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"answer": "Two pages in Figma, from our texts"}]}
    )
    answer: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=5_000)]


class PriceBody(RequestModel):
    """The whole price that you offer now, in credits."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"credits": 12.5}]})
    credits: Annotated[CreditsIn, Field(gt=0)]


class AgreeBody(RequestModel):
    """What you agree to pay more, in credits: the `extraCredits` of the job's `proposal`. Another price is refused."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"extraCredits": 1.5}]})
    extra_credits: Annotated[CreditsIn, Field(gt=0)]


class RevisionQuoteBody(RequestModel):
    """What the further revision costs, in credits, and why."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"credits": 1.5, "reason": "A new page"}]})
    credits: Annotated[CreditsIn, Field(gt=0)]
    reason: Reason


@router.post("/{job_id}/clarify", responses=problems(*ACT, *WITH_BODY, "idempotency-key-reused"))
async def clarify(job_id: PathId, body: ClarifyBody, principal: ClientOnly, desk: DeskDep) -> ActView:
    """Answer the one question about an unclear brief; it is read again with the answer."""
    job = await desk.job(job_id, principal)
    act = Clarify(**desk.fields(principal, body), answer=body.answer)
    return await desk.hand_over(job, Update.CLARIFY, Update.CLARIFY, act)


@router.post("/{job_id}/quote/approve", responses=problems(*ACT, "insufficient-credits"))
async def approve_quote(
    job_id: PathId,
    principal: ClientOnly,
    desk: DeskDep,
) -> ActView:
    """Agree to a price above `maxCredits`; the credits are held and workers are asked."""
    job = await desk.job(job_id, principal)
    act = Act(**desk.fields(principal))
    return await desk.hand_over(job, Update.APPROVE_QUOTE, f"{Update.APPROVE_QUOTE}:{job.refusals}", act)


@router.post("/{job_id}/quote/decline", responses=problems(*ACT))
async def decline_quote(
    job_id: PathId,
    principal: ClientOnly,
    desk: DeskDep,
) -> ActView:
    """Say no to the price; the job ends without charge."""
    job = await desk.job(job_id, principal)
    act = Act(**desk.fields(principal))
    return await desk.hand_over(job, Update.DECLINE_QUOTE, Update.DECLINE_QUOTE, act)


@router.post("/{job_id}/raise-price", responses=problems(*_REPRICE, *WITH_BODY, "price-not-higher"))
async def raise_price(job_id: PathId, body: PriceBody, principal: ClientOnly, desk: DeskDep) -> ActView:
    """Offer more for a job that nobody took; what is more is held, and everybody is asked again."""
    job = await desk.job(job_id, principal)
    act = RaisePrice(**desk.fields(principal, body), credits=body.credits)
    stay = stay_of(job, act.actor, Action.RAISE_PRICE)
    update_id = f"{Update.RAISE_PRICE}:{stay}:{body.credits}:{job.refusals}"
    return await desk.hand_over(job, Update.RAISE_PRICE, update_id, act)


@router.post("/{job_id}/price/approve", responses=problems(*_AGREE))
async def approve_price(job_id: PathId, body: AgreeBody, principal: ClientOnly, desk: DeskDep) -> ActView:
    """Agree to the higher price that we propose, and that you have seen."""
    job = await desk.job(job_id, principal)
    act = AgreePrice(**desk.fields(principal, body), extra_credits=body.extra_credits)
    stay = stay_of(job, act.actor, Action.APPROVE_PRICE)
    update_id = f"{Update.APPROVE_PRICE}:{stay}:{body.extra_credits}:{job.refusals}"
    return await desk.hand_over(job, Update.APPROVE_PRICE, update_id, act)


@router.post("/{job_id}/price/decline", responses=problems(*ACT))
async def decline_price(job_id: PathId, principal: ClientOnly, desk: DeskDep) -> ActView:
    """Keep the price; our team goes on looking."""
    job = await desk.job(job_id, principal)
    act = Act(**desk.fields(principal))
    update_id = f"{Update.DECLINE_PRICE}:{stay_of(job, act.actor, Action.DECLINE_PRICE)}"
    return await desk.hand_over(job, Update.DECLINE_PRICE, update_id, act)


@router.post("/{job_id}/revision-quote", responses=problems(*ACT, *WITH_BODY, "idempotency-key-reused"))
async def quote_revision(
    job_id: PathId, body: RevisionQuoteBody, principal: WorkerOnly, desk: DeskDep
) -> ActView:
    """Say what the further revision costs that the client has asked for; the client decides."""
    job = await desk.job(job_id, principal)
    act = QuoteRevision(**desk.fields(principal, body), credits=body.credits, reason=body.reason)
    asked = job.proposal
    repeated = asked is not None and (asked.by, asked.extra_credits) == (act.actor, act.credits)
    number = times(job, Action.QUOTE_REVISION) + (0 if repeated else 1)
    update_id = f"{Update.QUOTE_REVISION}:{stay_of(job, act.actor, Action.QUOTE_REVISION)}:{number}"
    return await desk.hand_over(job, Update.QUOTE_REVISION, update_id, act)


@router.post("/{job_id}/revision-quote/approve", responses=problems(*_AGREE))
async def approve_revision_quote(
    job_id: PathId, body: AgreeBody, principal: ClientOnly, desk: DeskDep
) -> ActView:
    """Agree to what the further revision costs, as you have seen it; it is held, and the work goes back."""
    job = await desk.job(job_id, principal)
    act = AgreePrice(**desk.fields(principal, body), extra_credits=body.extra_credits)
    stay = stay_of(job, act.actor, Action.APPROVE_REVISION_QUOTE)
    update_id = f"{Update.APPROVE_REVISION_QUOTE}:{stay}:{body.extra_credits}:{job.refusals}"
    return await desk.hand_over(job, Update.APPROVE_REVISION_QUOTE, update_id, act)


@router.post("/{job_id}/revision-quote/decline", responses=problems(*ACT))
async def decline_revision_quote(job_id: PathId, principal: ClientOnly, desk: DeskDep) -> ActView:
    """Do without the further revision; you look at the work again."""
    job = await desk.job(job_id, principal)
    act = Act(**desk.fields(principal))
    update_id = f"{Update.DECLINE_REVISION_QUOTE}:{stay_of(job, act.actor, Action.DECLINE_REVISION_QUOTE)}"
    return await desk.hand_over(job, Update.DECLINE_REVISION_QUOTE, update_id, act)
