"""What the Temporal UI is told of a job: ids, times and money; nothing that anybody wrote."""

from __future__ import annotations

from datetime import UTC, datetime

from app.jobs.change import (
    Clarification,
    Delivery,
    Dispute,
    FormerWorker,
    JobProjection,
    OfferRecord,
    OfferStatus,
    PriceProposal,
)
from app.jobs.pricing import Quote
from app.lifecycle import REVIEW_DISPUTED, Actor
from app.parsing.models import ParsedBrief
from workflows import dispute_base, job_details
from workflows.contracts import JobInput
from workflows.followers import CompletedDisputeView
from workflows.job_state import JobState

SAID = "call me at +855 12 345 678"
NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
DISPUTE = Dispute(
    number=1,
    opened_by=Actor.CLIENT,
    opened_by_id="c" * 24,
    reason=SAID,
    opened_at=NOW,
    evidence_until=NOW,
    ruling_reason=SAID,
)


def test_neither_details_nor_search_attributes_repeat_what_people_wrote() -> None:
    projection = JobProjection(
        status=REVIEW_DISPUTED.status,
        phase=REVIEW_DISPUTED.phase,
        worker_id="b" * 24,
        parsed=ParsedBrief(summary=SAID, hours_likely=2),
        pricing=Quote(
            credits=200, pay_usd_cents=3_000, hours_likely=2, rate=100, urgency_basis_points=10_000
        ),
        proposal=PriceProposal(extra_credits=50, extra_pay_usd_cents=100, by=Actor.WORKER, reason=SAID),
        clarification=Clarification(question="Which?", asked_at=NOW, answer=SAID, answered_at=NOW),
        deliveries=[Delivery(number=1, at=NOW, file_ids=["f" * 24], note=SAID)],
        former_workers=[FormerWorker(worker_id="d" * 24, assignment=1, left_at=NOW, reason=SAID)],
        dispute=DISPUTE,
        deadline=NOW,
        needs_admin=True,
        needs_admin_reason="a dispute to rule on",
    )
    offer = OfferRecord(
        number=1,
        worker_id="d" * 24,
        status=OfferStatus.DECLINED,
        round=1,
        rank=1,
        score=9_000,
        made_at=NOW,
        expires_at=NOW,
        reason=SAID,
    )
    job = JobInput(job_id="a" * 24, client_id="c" * 24, rate=100, posted_at=NOW)
    state = JobState(input=job, projection=projection, offers=[offer])
    assert SAID in state.model_dump_json()
    shown = job_details.render(state)
    assert "Dispute 1" in shown
    assert SAID not in shown
    attributes = [str(pair.value) for pair in job_details.search_attributes(state)]
    assert job.client_id in attributes
    assert not any(SAID in value for value in attributes)


def test_nor_do_the_details_of_a_dispute_over_a_completed_job() -> None:
    shown = dispute_base.render(CompletedDisputeView(job_id="a" * 24, dispute=DISPUTE, deadline=NOW))
    assert "opened by the client" in shown
    assert SAID not in shown
