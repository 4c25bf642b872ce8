"""Names acts, so that a repeat gets the first answer and a later act of the same kind one of its own.

The name is the id of a Temporal update, and the server keeps the answer under it for ever, a refusal too. So an act is
named by the stay in a state that it belongs to. Who was refused because a dispute was quicker, and acts again once it
is dismissed, is in another stay; who repeats what was done is still in the stay that the act has ended.
"""

from __future__ import annotations

from app.jobs.models import Job
from app.lifecycle import INITIAL, Action, Actor, State, allowed_actions


def stay_of(job: Job, actor: Actor, *actions: Action, by: str | None = None) -> int:
    """The number of the timeline entry that began the stay: the present one where an act is possible in it.

    Otherwise the stay in which such an act was done last; the present one if it never was. With `by` it is only asked
    what that person has done.
    """
    here, began, done = INITIAL, 0, None
    for entry in job.timeline:
        if entry.actor is actor and entry.action in actions and by in (None, entry.actor_id):
            done = began
        to = State(entry.status, entry.phase)
        if to != here:
            here, began = to, entry.seq
    possible = by is None and not allowed_actions(here, actor).isdisjoint(actions)
    return began if possible or done is None else done


def times(job: Job, *actions: Action) -> int:
    """How often one of these was done to the job."""
    return sum(entry.action in actions for entry in job.timeline)
