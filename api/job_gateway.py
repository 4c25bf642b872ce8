"""Hands the acts of callers to a job's workflow, and brings back a definite answer or an honest unknown.

The update's id is the business act, so a repeat gets the first result. The server does not compare bodies, so the
first body's hash comes back with the result and is compared here.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
    WorkflowUpdateFailedError,
)
from temporalio.common import QueryRejectCondition, WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from app.errors import DependencyUnavailableError, DomainError, OutcomeUnknownError
from app.idempotency import IdempotencyKeyReusedError
from app.jobs.errors import JobErrorCode
from app.settings import Settings
from workflows.contracts import (
    DISPUTE_WORKFLOW,
    STATE_QUERY,
    Act,
    ActResult,
    DisputeInput,
    JobStateView,
    RatingResult,
    Reasoned,
    TaskQueue,
    Update,
    dispute_workflow_id,
    job_workflow_id,
    task_queue,
)

Result = TypeVar("Result", ActResult, RatingResult)
T = TypeVar("T")
View = TypeVar("View", bound=BaseModel)

_PROBE_SECONDS = 0.4


class ActRefusedError(DomainError):
    """The job's process refused the act; the code says why."""

    def __init__(self, code: str, message: str, **fields: Any) -> None:
        super().__init__(message, **fields)
        self.code = code  # type: ignore[misc]  # one class carries every code of JobErrorCode


class WorkflowEndedError(Exception):
    """The workflow is no longer there to answer; the projection has the last word."""


def body_hash(body: BaseModel | None) -> str:
    """A digest of what was asked for, to tell a repeat from a clash."""
    fields = body.model_dump(mode="json") if body is not None else None
    return hashlib.sha256(orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


class JobGateway:
    """The way from the door to the workflows of jobs."""

    def __init__(self, client: Client, settings: Settings) -> None:
        """Talk through one client, within the settings' time limits."""
        self._client, self._settings = client, settings

    async def act(
        self, workflow_id: str, update: str, update_id: str, act: Act, result: type[Result]
    ) -> Result:
        """Execute an update and wait for its result.

        Raises:
            ActRefusedError: the process refused it, and says why.
            WorkflowEndedError: there is no running workflow, and it did not take this act before it ended.
            IdempotencyKeyReusedError: the same act was taken before with another body.
            OutcomeUnknownError: no answer in time; repeating is safe.
        """
        handle = self._client.get_workflow_handle(workflow_id)
        call = handle.execute_update(update, act, id=update_id, result_type=result)
        return await self._answer_of(call, workflow_id, act)

    async def open_completed_dispute(self, dispute: DisputeInput, update_id: str, act: Reasoned) -> ActResult:
        """Start the process of a dispute over a completed job, if it does not run, and let it decide.

        Raises:
            ActRefusedError: the process refused it, and says why.
            IdempotencyKeyReusedError: the same act was taken before with another body.
            OutcomeUnknownError: no answer in time; repeating is safe.
        """
        workflow_id = dispute_workflow_id(dispute.job_id)
        start: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
            DISPUTE_WORKFLOW,
            dispute,
            id=workflow_id,
            task_queue=task_queue(TaskQueue.JOBS, self._settings.task_queue_prefix),
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary="dispute over a completed job",
        )
        call = self._client.execute_update_with_start_workflow(
            Update.OPEN_DISPUTE, act, start_workflow_operation=start, id=update_id, result_type=ActResult
        )
        try:
            return await self._answer_of(call, workflow_id, act)
        except WorkflowEndedError:  # it ended between the look and the act: the next try starts it anew
            raise OutcomeUnknownError from None

    async def _answer_of(self, call: Awaitable[Result], workflow_id: str, act: Act) -> Result:
        try:
            answer = await self._in_time(call, workflow_id)
        except WorkflowUpdateFailedError as error:
            raise refused(error) from error
        except RPCError as error:
            raise _ended_or_unknown(error) from error
        if answer.body_hash != act.body_hash:
            raise IdempotencyKeyReusedError
        return answer

    async def state(self, job_id: str) -> JobStateView:
        """The live state of a job.

        An ended workflow would still answer, with its last state; what came after it, such as the archive, only
        the record knows.

        Raises:
            WorkflowEndedError: no running workflow answers for it.
        """
        return await self._query(job_workflow_id(job_id), JobStateView)

    async def look(self, workflow_id: str, kind: type[View]) -> View | None:
        """The live state of one of a job's workflows; None when it does not run, or cannot be asked now."""
        try:
            return await self._query(workflow_id, kind)
        except (WorkflowEndedError, DependencyUnavailableError, RPCError, RuntimeError):
            return None

    async def _query(self, workflow_id: str, kind: type[View]) -> View:
        handle = self._client.get_workflow_handle(workflow_id)
        try:
            # The client tries again by itself, and a try that began in time may end after it.
            async with asyncio.timeout(self._settings.dependency_timeout_seconds):
                view: View = await handle.query(
                    STATE_QUERY, result_type=kind, reject_condition=QueryRejectCondition.NOT_OPEN
                )
        except TimeoutError:
            raise DependencyUnavailableError("temporal") from None
        except (WorkflowQueryFailedError, WorkflowQueryRejectedError) as error:
            raise WorkflowEndedError from error
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise WorkflowEndedError from error
            raise
        return view

    async def _in_time(self, call: Awaitable[T], workflow_id: str) -> T:
        """Wait for the answer while Temporal is there; when it is not, say so within the dependency's time."""
        task = asyncio.ensure_future(call)
        try:
            quick = self._settings.dependency_timeout_seconds
            done, _ = await asyncio.wait({task}, timeout=quick)
            if not done and await self._answers(workflow_id):
                done, _ = await asyncio.wait({task}, timeout=self._settings.update_timeout_seconds - quick)
            if not done:
                raise OutcomeUnknownError
            return task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _answers(self, workflow_id: str) -> bool:
        """Whether Temporal itself is up, so that waiting longer for a busy worker makes sense."""
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                await self._client.get_workflow_handle(workflow_id).describe()
        except RPCError as error:
            return error.status is RPCStatusCode.NOT_FOUND  # it is up, and is just starting that workflow
        except (RuntimeError, TimeoutError):
            return False
        return True


def refused(error: WorkflowUpdateFailedError) -> Exception:
    """The domain's error behind a failed update."""
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.type in set(JobErrorCode):
        details = cause.details[0] if cause.details and isinstance(cause.details[0], dict) else {}
        return ActRefusedError(
            cause.type, cause.message, **{_camel(name): value for name, value in details.items()}
        )
    if isinstance(cause, ApplicationError) and cause.type == "AcceptedUpdateCompletedWorkflow":
        return WorkflowEndedError()
    return error


def _ended_or_unknown(error: RPCError) -> Exception:
    if error.status is RPCStatusCode.NOT_FOUND:
        return WorkflowEndedError()
    # The call may have reached the workflow before the line went dead.
    return OutcomeUnknownError()


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)
