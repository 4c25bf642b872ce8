"""What admins are told. Part of the catalogue."""

from __future__ import annotations

from app.notifications.entry import Entry, keys_of
from app.notifications.notices import NoticeType

ADMIN: dict[NoticeType, Entry] = {
    "job.overdue": Entry(
        title="A job is late: “{{ job_title }}”",
        message=(
            "The work on “{{ job_title }}” was due"
            "{% if due_at is defined %} at {{ due_at | when(zone) }}{% endif %}."
        ),
        link="{{ portal_url }}/admin/jobs/{{ job_id }}",
        reads=keys_of("due_at"),
    ),
    "job.worker_left": Entry(
        title="A worker left “{{ job_title }}”",
        message="The worker of “{{ job_title }}” left or was replaced; the next is being asked.",
        link="{{ portal_url }}/admin/jobs/{{ job_id }}",
    ),
    "job.dispute_opened": Entry(
        title="A dispute: “{{ job_title }}”",
        message=(
            "“{{ job_title }}” is in dispute"
            "{% if evidence_until is defined %}; evidence is taken until {{ evidence_until | when(zone) }}{% endif %}."
        ),
        link="{{ portal_url }}/admin/jobs/{{ job_id }}",
        reads=keys_of("evidence_until"),
    ),
    "job.dispute_reminder": Entry(
        title="A dispute waits for your ruling: “{{ job_title }}”",
        message="The evidence about “{{ job_title }}” is in. Please rule on the dispute, or dismiss it.",
        action="Rule on it",
        link="{{ portal_url }}/admin/jobs/{{ job_id }}",
    ),
    "job.rescue": Entry(
        title="A job needs you: “{{ job_title }}”",
        message=(
            "No worker took “{{ job_title }}”{% if rounds is defined %} in {{ rounds }} rounds{% endif %}. "
            "Please assign one by hand."
        ),
        action="Assign a worker",
        link="{{ portal_url }}/admin/jobs/{{ job_id }}",
        reads=keys_of("rounds"),
    ),
    "job.rescue_reminder": Entry(
        title="A job still needs you: “{{ job_title }}”",
        message=(
            "“{{ job_title }}” has been without a worker"
            "{% if since is defined %} since {{ since | when(zone) }}{% endif %}. Please assign one by hand."
        ),
        action="Assign a worker",
        link="{{ portal_url }}/admin/jobs/{{ job_id }}",
        reads=keys_of("since"),
    ),
    "payout.held": Entry(
        title="A payout is held: “{{ job_title }}”",
        message=(
            "The payout{% if amount_usd_cents is defined %} of {{ amount_usd_cents | usd }}{% endif %} "
            "for “{{ job_title }}” could not be sent."
        ),
        link="{{ portal_url }}/admin/jobs/{{ job_id }}",
        reads=keys_of("amount_usd_cents"),
    ),
    "billing.fault": Entry(
        title="A payment needs you",
        message=(
            "Something at Stripe does not fit what we sell"
            "{% if reason is defined and reason %}: {{ reason | truncate(200) }}{% endif %}."
        ),
        action="Look at it",
        link="{{ portal_url }}/admin/payments",
        reads=keys_of("reason"),
    ),
    "billing.disputed": Entry(
        title="A client's bank disputes a payment",
        message=(
            "A payment{% if amount_usd_cents is defined %} of {{ amount_usd_cents | usd }}{% endif %} is disputed"
            "{% if reason is defined and reason %} ({{ reason | truncate(40) }}){% endif %}."
        ),
        more=(
            (
                "{% if deadline is defined %}Evidence is taken until {{ deadline | when(zone) }}; without it the "
                "dispute is lost.{% endif %}"
            ),
        ),
        action="Answer it",
        link="{{ portal_url }}/admin/payments/disputes",
        reads=keys_of("amount_usd_cents", "reason", "deadline"),
    ),
    "billing.webhooks": Entry(
        title="Stripe's events need you",
        message=(
            "Some of Stripe's events did not come or end as they should"
            "{% if undelivered is defined and undelivered %}: {{ undelivered }} were not delivered, "
            "and were fetched{% endif %}"
            "{% if unhandled is defined and unhandled %}; {{ unhandled }} wait after many tries{% endif %}."
        ),
        more=("See in Stripe's dashboard whether the webhook endpoint is disabled, or fails.",),
        action="Look at it",
        link="{{ portal_url }}/admin/payments",
        reads=keys_of("undelivered", "unhandled"),
    ),
    "ledger.differences": Entry(
        title="The books do not agree",
        message=(
            "The night's comparison of ledger, Stripe and jobs found"
            "{% if differences is defined %} {{ differences }}{% else %} some{% endif %} differences"
            "{% if discrepancies is defined and discrepancies %}, and the journal itself "
            "{{ discrepancies }}{% endif %}."
        ),
        more=("Each comes with a proposed repair.",),
        action="See the report",
        link="{{ portal_url }}/admin/reconciliations",
        reads=keys_of("differences", "discrepancies"),
    ),
}
