"""When a run has grown so long that the process goes on in a new one, and what that one is given."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field
from temporalio import workflow

from app.jobs.change import Dispute
from app.lifecycle import Action
from workflows.contracts import ActResult
from workflows.followers import TakeBack


def is_long(history_limit: int) -> bool:
    """Whether the history has more events than the limit, or the server suggests a new run."""
    info = workflow.info()
    return info.get_current_history_length() > history_limit or info.is_continue_as_new_suggested()


class DisputeState(BaseModel):
    """What the process of disputes carries from run to run."""

    runs: int = 1
    moves: int = 0
    reminders: int = 0
    dispute: Dispute | None = None
    deadline: datetime | None = None
    deadline_action: Action | None = None
    closings: list[tuple[int, TakeBack | None]] = Field(
        default_factory=list
    )  # which payout is to hear of what
    answers: dict[str, ActResult] = Field(default_factory=dict)  # by the update's id, for a repeat
