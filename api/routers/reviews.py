"""Ratings of a finished job, both ways and double-blind."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import ConfigDict, Field, StrictInt, StringConstraints

from api.job_desk import DeskDep, wrong_state
from api.job_gateway import ActRefusedError, WorkflowEndedError
from api.openapi import AUTHENTICATED, WITH_BODY, problems
from api.security import ClientOrWorker
from api.types import EntityId, PathId, RequestModel, ResponseModel
from app.errors import OutcomeUnknownError
from app.jobs.errors import JobErrorCode
from app.jobs.models import Job
from app.lifecycle import Status
from workflows.contracts import RatingResult, SubmitRating, Update, ratings_workflow_id

router = APIRouter(prefix="/jobs", tags=["reviews"])


# A job is completed a moment before the workflow that holds its ratings has started.
_TRIES, _PAUSE_SECONDS = 8, 0.2


class ReviewBody(RequestModel):
    """From 1 (poor) to 5 (excellent), with a comment if there is something to say."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"rating": 5, "comment": "Quick and exact"}]})
    rating: Annotated[StrictInt, Field(ge=1, le=5)]
    comment: Annotated[str, StringConstraints(strip_whitespace=True, max_length=1_000)] = ""


class ReviewView(ResponseModel):
    """Whether both sides' ratings are shown now, and when they will be at the latest."""

    job_id: EntityId
    revealed: bool
    closes_at: datetime


@router.post(
    "/{job_id}/reviews",
    status_code=201,
    responses=problems(
        *AUTHENTICATED,
        *WITH_BODY,
        "wrong-role",
        "not-found",
        "wrong-state",
        "review-already-given",
        "rating-window-closed",
        "idempotency-key-reused",
        "outcome-unknown",
    ),
)
async def review(job_id: PathId, body: ReviewBody, principal: ClientOrWorker, desk: DeskDep) -> ReviewView:
    """Rate the other side. Neither sees the other's rating until both are in, or the window has ended.

    Repeating the same rating gets the same answer; a rating cannot be changed.
    """
    job = await desk.job(job_id, principal)
    if job.status is not Status.COMPLETED or job.worker_id is None:
        raise _not_completed(job)
    fields = desk.fields(principal, body)
    act = SubmitRating(**fields, rating=body.rating, comment=body.comment)
    update_id = f"{Update.SUBMIT_RATING}:{principal.role}"
    for _ in range(_TRIES):
        try:
            answer = await desk.gateway.act(
                ratings_workflow_id(job.id), Update.SUBMIT_RATING, update_id, act, RatingResult
            )
        except WorkflowEndedError:
            job = await desk.job(job_id, principal)
            if job.ratings and job.ratings.revealed_at:
                raise ActRefusedError(
                    JobErrorCode.RATING_WINDOW_CLOSED, "The time to rate this job has ended."
                ) from None
            await asyncio.sleep(_PAUSE_SECONDS)
        else:
            return ReviewView.model_validate(answer, from_attributes=True)
    raise OutcomeUnknownError


def _not_completed(job: Job) -> ActRefusedError:
    return wrong_state(job, "A job can be reviewed once it is completed.")
