"""The archive of a job: its whole record into the archive bucket, then the note on the job.

A payout may be held longer than the ratings take. The job is archived all the same, and the record is written once
more when the money is settled, so that the last word of it is true.
"""

from __future__ import annotations

import contextlib
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.archive import ArchiveActivities
    from workflows import job_options
    from workflows.contracts import ARCHIVE_WORKFLOW, STATE_QUERY, ArchiveInput
    from workflows.followers import (
        PAYOUT_SETTLED_SIGNAL,
        ArchiveView,
        ArchiveWritten,
        MarkArchived,
        WriteArchive,
    )
    from workflows.runs import is_long
    from workflows.text import moment_text

_START_TO_CLOSE = timedelta(seconds=120)
_RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=10))
# Most payouts settle within seconds; a held one tells when it is sent, unless that signal came before this began.
_RECHECKS = (timedelta(minutes=1), timedelta(minutes=15), timedelta(hours=3))
_LAST_RECHECK = timedelta(days=1)
_CONTINUES = "archive-continues"  # before it, one that waited for a payout for years was one run


@workflow.defn(name=ARCHIVE_WORKFLOW)
class ArchiveWorkflow:
    """One finished job's archive."""

    @workflow.init
    def __init__(self, archive: ArchiveInput) -> None:
        """Make the state before a signal can arrive."""
        self._input = archive
        self._signals = 0
        self._view = ArchiveView.model_validate(archive.carried or {"job_id": archive.job_id})
        self._publish()

    @workflow.run
    async def run(self, archive: ArchiveInput) -> ArchiveView:
        """Write the record, note it on the job, and write it again once its money is settled."""
        signals, checks = self._signals, 0
        if archive.carried is None:
            await self._archive()
        else:
            signals, checks = 0, len(_RECHECKS)
        while not self._view.settled:
            await self._wait_for_payout(signals, checks)
            signals, checks = self._signals, checks + 1
            await self._write()
            self._continue_if_long(signals, checks)
        return self._view

    async def _archive(self) -> None:
        archive = self._input
        if archive.not_before and (left := archive.not_before - workflow.now()) > timedelta(0):
            await workflow.sleep(left, summary="The time to open a dispute ends")
        written = await self._write()
        at = workflow.now()
        await workflow.execute_local_activity_method(
            ArchiveActivities.mark_archived,
            MarkArchived(
                job_id=archive.job_id,
                status=written.status,
                at=at,
                correlation_id=archive.correlation_id,
            ),
            **job_options.STORE,
            summary="Note that the job is archived",
        )
        self._view.archived_at = at
        self._publish()

    def _continue_if_long(self, signals: int, checks: int) -> None:
        """Wait for the payout in a new run, once the short distances are behind and nothing new was heard."""
        if self._view.settled or self._signals != signals or checks < len(_RECHECKS):
            return
        if is_long(self._input.history_limit) and workflow.patched(_CONTINUES):
            self._view.runs += 1
            workflow.continue_as_new(
                self._input.model_copy(update={"carried": self._view.model_dump(mode="json")})
            )

    @workflow.signal(name=PAYOUT_SETTLED_SIGNAL)
    def payout_settled(self) -> None:
        """The held payout is sent: the record can be completed."""
        self._signals += 1

    @workflow.query(name=STATE_QUERY)
    def state(self) -> ArchiveView:
        """Where the record is, and whether it is complete."""
        return self._view

    async def _write(self) -> ArchiveWritten:
        written = await workflow.execute_activity_method(
            ArchiveActivities.write_archive,
            WriteArchive(job_id=self._input.job_id, at=workflow.now()),
            start_to_close_timeout=_START_TO_CLOSE,
            retry_policy=_RETRY,
            summary="Write the job's record to the archive",
        )
        self._view.key, self._view.size, self._view.settled = written.key, written.size, written.settled
        self._publish()
        return written

    async def _wait_for_payout(self, signals: int, checks: int) -> None:
        delay = _RECHECKS[checks] if checks < len(_RECHECKS) else _LAST_RECHECK
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._signals != signals, timeout=delay, timeout_summary="Look for the payout again"
            )

    def _publish(self) -> None:
        workflow.set_current_details(render(self._view))


def render(view: ArchiveView) -> str:
    """The archive as a status report in Markdown."""
    state = "archived" if view.archived_at else "being written"
    lines = [f"### Archive · {state}", "", f"- Job `{view.job_id}`"]
    if view.key:
        lines.append(f"- Record `{view.key}`, {view.size} bytes")
    if view.archived_at:
        lines.append(f"- Archived at {moment_text(view.archived_at)}")
        if not view.settled:
            lines.append("- The payout is not settled yet: the record is written again when it is")
    return "\n".join(lines)
