"""The ratings of a job: two sides, each blind to the other, shown together or when the window ends.

The workflow knows who has rated, and when; never what. The stars and the comment pass through an update to a local
activity, whose input is not part of the history, and on to the collection `reviews`.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.ratings import RatingActivities
    from app.jobs.errors import JobErrorCode
    from app.lifecycle import Actor
    from workflows import job_options
    from workflows.contracts import (
        ARCHIVE_WORKFLOW,
        RATINGS_WORKFLOW,
        STATE_QUERY,
        ArchiveInput,
        RatingResult,
        RatingsInput,
        SubmitRating,
        Update,
        archive_workflow_id,
    )
    from workflows.followers import RatingsView, RevealRatings, StoreRating
    from workflows.job_acts import refusal
    from workflows.text import moment_text


@workflow.defn(name=RATINGS_WORKFLOW)
class RatingsWorkflow:
    """Collects at most one rating from each side; ends with the reveal and hands over to the archive."""

    @workflow.init
    def __init__(self, ratings: RatingsInput) -> None:
        """Make the state before any update can arrive."""
        self._input = ratings
        self._lock = asyncio.Lock()
        self._view = RatingsView(
            job_id=ratings.job_id,
            closes_at=ratings.completed_at + timedelta(seconds=ratings.window_seconds),
        )
        self._publish()

    @workflow.run
    async def run(self, ratings: RatingsInput) -> RatingsView:  # noqa: ARG002  # read by __init__
        """Wait for both sides, or for the end of the window; reveal; start the archive."""
        left = self._view.closes_at - workflow.now()
        if left > timedelta(0):
            with contextlib.suppress(TimeoutError):
                await workflow.wait_condition(
                    self._is_complete, timeout=left, timeout_summary="The rating window ends"
                )
        async with self._lock:  # the last rating may still be stored
            await self._reveal()
        await workflow.wait_condition(workflow.all_handlers_finished)
        await self._start_archive()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._view

    @workflow.query(name=STATE_QUERY)
    def state(self) -> RatingsView:
        """Who has rated and until when one may; what was given is shown to nobody here."""
        return self._view

    @workflow.update(name=Update.SUBMIT_RATING)
    async def submit_rating(self, act: SubmitRating) -> RatingResult:
        """One side rates the other; the second of the two reveals both."""
        async with self._lock:
            self._check(act)
            if act.actor is Actor.CLIENT:
                self._view.given_by_client, subject_id = True, self._input.worker_id
            else:
                self._view.given_by_worker, subject_id = True, self._input.client_id
            await workflow.execute_local_activity_method(
                RatingActivities.store_rating,
                StoreRating(
                    job_id=self._input.job_id,
                    by=act.actor,
                    author_id=act.actor_id,
                    subject_id=subject_id,
                    rating=act.rating,
                    comment=act.comment,
                    at=workflow.now(),
                    correlation_id=act.correlation_id or self._input.correlation_id,
                ),
                **job_options.STORE,
                summary=f"Keep the {act.actor.value}'s rating unseen",
            )
            if self._is_complete():
                await self._reveal()
            self._publish()
            return RatingResult(
                job_id=self._input.job_id,
                revealed=self._view.revealed_at is not None,
                closes_at=self._view.closes_at,
                body_hash=act.body_hash,
            )

    @submit_rating.validator
    def _validate_submit_rating(self, act: SubmitRating) -> None:
        self._check(act)

    def _check(self, act: SubmitRating) -> None:
        """The actor is a side of the job, has not rated yet, and the window is open by the workflow's clock.

        Raises:
            ApplicationError: `not-a-party`, `review-already-given` or `rating-window-closed`.
        """
        parties = {
            Actor.CLIENT: (self._input.client_id, self._view.given_by_client),
            Actor.WORKER: (self._input.worker_id, self._view.given_by_worker),
        }
        party_id, given = parties.get(act.actor, (None, False))
        if party_id is None or party_id != act.actor_id:
            raise refusal(JobErrorCode.NOT_A_PARTY, f"You are not the {act.actor} of this job.")
        if given:
            raise refusal(JobErrorCode.REVIEW_ALREADY_GIVEN, "You have rated this job already.")
        if self._view.revealed_at is not None or workflow.now() >= self._view.closes_at:
            closed_at = self._view.closes_at
            raise refusal(
                JobErrorCode.RATING_WINDOW_CLOSED,
                f"The time to rate this job ended at {moment_text(closed_at)}.",
                closes_at=closed_at.isoformat(),
            )

    def _is_complete(self) -> bool:
        return self._view.given_by_client and self._view.given_by_worker

    async def _reveal(self) -> None:
        """Show and count what was given; whoever holds the lock first does it."""
        if self._view.revealed_at is not None:
            return
        self._view.revealed_at = workflow.now()
        await workflow.execute_local_activity_method(
            RatingActivities.reveal_ratings,
            RevealRatings(
                job_id=self._input.job_id,
                client_id=self._input.client_id,
                worker_id=self._input.worker_id,
                at=self._view.revealed_at,
                correlation_id=self._input.correlation_id,
            ),
            **job_options.STORE,
            summary="Reveal the ratings",
        )
        self._publish()

    async def _start_archive(self) -> None:
        """Leave the archive to a workflow of its own; its id keeps it single, also if this one is reset."""
        with contextlib.suppress(WorkflowAlreadyStartedError):
            await workflow.start_child_workflow(
                ARCHIVE_WORKFLOW,
                ArchiveInput(
                    job_id=self._input.job_id,
                    client_id=self._input.client_id,
                    not_before=self._input.completed_at
                    + timedelta(seconds=self._input.dispute_window_seconds),
                    correlation_id=self._input.correlation_id,
                ),
                id=archive_workflow_id(self._input.job_id),
                task_queue=workflow.info().task_queue,
                parent_close_policy=ParentClosePolicy.ABANDON,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            )

    def _publish(self) -> None:
        workflow.set_current_details(render(self._view))


def render(view: RatingsView) -> str:
    """The ratings as a status report in Markdown: who has rated, not what."""
    revealed = view.revealed_at is not None
    lines = [
        f"### Ratings · {'revealed' if revealed else 'open'}",
        "",
        f"- Job `{view.job_id}`",
        f"- Client: {'given' if view.given_by_client else 'not given'}",
        f"- Worker: {'given' if view.given_by_worker else 'not given'}",
    ]
    if view.revealed_at is None:
        lines.append(f"- Revealed when both are in, at the latest at {moment_text(view.closes_at)}")
    else:
        lines.append(f"- Revealed at {moment_text(view.revealed_at)}")
    return "\n".join(lines)
