"""What both sides of a job are told in the same words. Part of the catalogue."""

from __future__ import annotations

from app.notifications.entry import Entry, keys_of
from app.notifications.notices import NoticeType

PARTY: dict[NoticeType, Entry] = {
    "job.deadline_moved": Entry(
        title="A deadline of “{{ job_title }}” was moved",
        message=(
            "“{{ job_title }}” has more time"
            "{% if deadline is defined %}: until {{ deadline | when(zone) }}{% endif %}."
        ),
        reads=keys_of("deadline"),
    ),
    "job.dispute_opened": Entry(
        title="A dispute about “{{ job_title }}”",
        message=(
            "“{{ job_title }}” is in dispute, and all its deadlines stand still"
            "{% if evidence_until is defined %}. You can add what we should know until "
            "{{ evidence_until | when(zone) }}{% endif %}."
        ),
        action="Add evidence",
        reads=keys_of("evidence_until"),
    ),
    "job.dispute_closed": Entry(
        title="The dispute about “{{ job_title }}” is closed",
        message=(
            "The dispute about “{{ job_title }}” was {{ outcome | default('closed', true) }}"
            "{% if reason is defined and reason %} ({{ reason | truncate(400) }}){% endif %}."
        ),
        reads=keys_of("outcome", "reason"),
    ),
}
