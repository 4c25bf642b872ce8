"""What a ruling would do to whom, and which money it does not touch."""

from __future__ import annotations

from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from app.camel import CamelModel
from app.disputes.completed import divisible
from app.disputes.rulings import plan_ruling
from app.jobs.models import Job
from app.jobs.parts import StandingPart, standing_parts
from app.jobs.terms import ruling_terms, stake_of
from app.lifecycle import COMPLETION_DISPUTED, Action, Actor, State, cell_for
from app.money.credits import Credits
from app.money.earnings import Earnings


class RulingPreview(CamelModel):
    """The present part divided by a share, credits in hundredths and pay in USD cents; and the parts that stand."""

    client_pays: int
    client_gets_back: int
    worker_earns_usd_cents: int
    worker_loses_usd_cents: int
    standing: list[StandingPart]


async def ruling_preview(
    database: AsyncDatabase[dict[str, Any]],
    credits_: Credits,
    earnings: Earnings,
    job: Job,
    *,
    share_basis_points: int,
) -> RulingPreview:
    """What a ruling with this share for the worker would do now.

    Raises:
        ActNotAllowedError: there is nothing to rule on in the job's state.
    """
    state = State(job.status, job.phase)
    cell_for(state, Action.RULE, Actor.ADMIN)
    if state == COMPLETION_DISPUTED:
        spent, earned = await divisible(database, credits_, earnings, job.id)
        plan = plan_ruling(spent, earned, share_basis_points)
        back, lost = plan.credits_back, plan.pay_lost
        credits_in_all, pay = sum(item.credits for item in spent), sum(item.usd_cents for item in earned)
    else:
        terms = ruling_terms(stake_of(job, 0), share_basis_points)
        back, lost = terms.client_gets_back, job.pay_usd_cents - terms.worker_earns_usd_cents
        credits_in_all, pay = job.held_credits, job.pay_usd_cents
    return RulingPreview(
        client_pays=credits_in_all - back,
        client_gets_back=back,
        worker_earns_usd_cents=pay - lost,
        worker_loses_usd_cents=lost,
        standing=standing_parts(job.former_workers),
    )
