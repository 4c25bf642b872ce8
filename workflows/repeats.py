"""A repeated update gets its first answer also where the process has begun a new run since.

The server knows the updates of one run alone, and a job that has just grown too long continues as new with the very
act whose answer may be lost on its way. So the state carries the last answers, and a repeat finds its own there.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from temporalio import workflow
from temporalio.worker import (
    HandleUpdateInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

with workflow.unsafe.imports_passed_through():
    from workflows.contracts import ActResult


@runtime_checkable
class Remembering(Protocol):
    """A workflow that carries its answers. By its shape, since the sandbox has classes of its own."""

    def remember(self, update_id: str, answer: ActResult) -> None:
        """Keep an answer."""

    def first_answer(self, update_id: str) -> ActResult | None:
        """The answer that was kept, if there is one."""


class RepeatedUpdates(Interceptor):
    """Answers an update that an earlier run of the job has answered."""

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002, ARG002  # the base class names it so
    ) -> type[WorkflowInboundInterceptor]:
        """The part that runs beside each workflow."""
        return _Answers


class _Answers(WorkflowInboundInterceptor):
    def handle_update_validator(self, input: HandleUpdateInput) -> None:  # noqa: A002
        """A repeat is no longer allowed by the state that it has led to, and still answered."""
        if _first_answer(input.id) is None:
            super().handle_update_validator(input)

    async def handle_update_handler(self, input: HandleUpdateInput) -> Any:  # noqa: A002
        """The first answer, or the act and its answer."""
        first = _first_answer(input.id)
        if first is not None:
            return first
        answer = await super().handle_update_handler(input)
        job = workflow.instance()
        if isinstance(job, Remembering) and isinstance(answer, ActResult):
            job.remember(input.id, answer)
        return answer


def _first_answer(update_id: str) -> ActResult | None:
    job = workflow.instance()
    return job.first_answer(update_id) if isinstance(job, Remembering) else None
