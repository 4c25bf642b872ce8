"""What an admin sees of a job in the Temporal UI: a status report in Markdown, and search attributes.

Ids, times and money only; no personal data and none of the brief's words.
"""

from __future__ import annotations

from typing import Any

from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    SearchAttributeUpdate,
    TypedSearchAttributes,
)

from app.lifecycle import Action
from app.money.text import credits_text, dollars_text
from workflows.contracts import CLIENT_ID, DEADLINE, JOB_STATUS, NEEDS_ADMIN, URGENCY, WORKER_ID
from workflows.job_state import JobState
from workflows.text import moment_text

_AT_DEADLINE = {
    Action.EXPIRE_CLARIFICATION: "the job goes on with the best reading of its brief",
    Action.EXPIRE_QUOTE: "the job ends without charge",
    Action.EXPIRE_PRICE: "the price stays, and the admins go on looking",
    Action.EXPIRE_REVISION_QUOTE: "there is no further revision, and the client looks at the work",
    Action.CLOSE_EVIDENCE: "the evidence is closed, and an admin rules",
    Action.EXPIRE_OFFER: "the offer goes to the next worker",
    Action.REMIND_ADMINS: "the admins are reminded",
    Action.AUTO_APPROVE: "the work is approved for the client",
}


def render(state: JobState) -> str:
    """The job as a status report."""
    projection = state.projection
    lines = [f"### {projection.status.value.replace('_', ' ').capitalize()} · {_words(projection.phase)}", ""]
    if projection.needs_admin:
        lines += [f"**Needs an admin:** {projection.needs_admin_reason}.", ""]
    for awaited in state.view().awaited:
        who = f"{awaited.actor.value} `{awaited.actor_id}`" if awaited.actor_id else awaited.actor.value
        lines.append(f"- Waits for the {who}: {', '.join(_words(action) for action in awaited.actions)}")
    if projection.deadline:
        then = _AT_DEADLINE.get(state.deadline_action, "") if state.deadline_action else ""
        lines.append(f"- If nobody acts, at {moment_text(projection.deadline)}: {then}")
    if projection.reminders:
        lines.append(f"- Reminders at {', '.join(moment_text(moment) for moment in projection.reminders)}")
    if projection.due_at:
        late = f", late {projection.overdue_count} times" if projection.overdue_count else ""
        lines.append(f"- The work is due at {moment_text(projection.due_at)}{late}")
    if projection.dispute:
        lines.append(
            f"- Dispute {projection.dispute.number}, opened by the {projection.dispute.opened_by}: "
            f"{projection.dispute.status}"
        )
    lines += _money(state) + _offers(state) + _work(state)
    return "\n".join(lines)


def _money(state: JobState) -> list[str]:
    projection = state.projection
    if projection.pricing is None:
        return []
    pricing, parsed = projection.pricing, projection.parsed
    lines = [
        f"- Price {credits_text(pricing.credits)} for {pricing.hours_likely:g} likely hours",
        f"- Held {credits_text(projection.held_credits)}, spent {credits_text(projection.spent_credits)}",
        f"- Pay {dollars_text(pricing.pay_usd_cents)}, earned {dollars_text(projection.earned_usd_cents)}",
    ]
    if parsed:
        skills = ", ".join(parsed.required_skills) or "none named"
        lines.append(f"- Read by {parsed.model or parsed.parser}: {parsed.complexity}; skills {skills}")
    return lines


def _offers(state: JobState) -> list[str]:
    if not state.offers:
        return []
    lines = ["", "| Offer | Round | Worker | Score | Status | Expires |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {offer.number} | {offer.round} | `{offer.worker_id}` | {offer.score} | {offer.status.value} "
        f"| {moment_text(offer.expires_at)} |"
        for offer in state.offers
    ]
    return lines


def _work(state: JobState) -> list[str]:
    projection = state.projection
    if not projection.deliveries:
        return []
    last = projection.deliveries[-1]
    return [
        "",
        f"- Delivery {last.number} at {moment_text(last.at)}, files: {len(last.file_ids)}",
        f"- Revisions {projection.revision_count} of {state.input.policy.revision_limit}",
    ]


def _words(value: str) -> str:
    return str(value).replace("_", " ")


def search_attributes(state: JobState) -> TypedSearchAttributes:
    """All that a run of the process begins with; those without a value are left out."""
    pairs: list[SearchAttributePair[Any]] = [
        SearchAttributePair(CLIENT_ID, state.input.client_id),
        SearchAttributePair(URGENCY, state.input.urgency.value),
        *(SearchAttributePair(key, value) for key, value in _attributes(state) if value is not None),
    ]
    return TypedSearchAttributes(pairs)


class Visibility:
    """Which search attributes have changed since they were last set; one batched upsert a change."""

    def __init__(self, carried: JobState | None = None) -> None:
        """Start from what the starter of the workflow has set, or the run before with `search_attributes`."""
        self._known: dict[str, object] = {NEEDS_ADMIN.name: False, WORKER_ID.name: None, DEADLINE.name: None}
        if carried:
            self._known = {key.name: value for key, value in _attributes(carried)}

    def updates(self, state: JobState) -> list[SearchAttributeUpdate[Any]]:
        """The updates that bring the attributes up to the state."""
        updates: list[SearchAttributeUpdate[Any]] = []
        for key, value in _attributes(state):
            if self._known.get(key.name, ...) != value:
                self._known[key.name] = value
                updates.append(key.value_unset() if value is None else key.value_set(value))
        return updates


def _attributes(state: JobState) -> list[tuple[SearchAttributeKey[Any], Any]]:
    projection = state.projection
    return [
        (JOB_STATUS, projection.status.value),
        (WORKER_ID, projection.worker_id),
        (NEEDS_ADMIN, projection.needs_admin),
        (DEADLINE, projection.deadline),
    ]
