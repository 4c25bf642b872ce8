"""What clients are told of their jobs. Part of the catalogue."""

from __future__ import annotations

from app.notifications.entry import Entry, keys_of
from app.notifications.notices import NoticeType

CLIENT: dict[NoticeType, Entry] = {
    "job.clarification": Entry(
        title="A question about “{{ job_title }}”",
        message="{{ question | truncate(400) }}",
        more=(
            "{% if expires_at is defined %}Without an answer by {{ expires_at | when(zone) }} we go on.{% endif %}",
        ),
        action="Answer",
        reads=keys_of("expires_at"),
        needs=keys_of("question"),
    ),
    "job.price_proposed": Entry(
        title="A higher price for “{{ job_title }}”?",
        message=(
            "No worker took “{{ job_title }}” at its price. Our team proposes"
            "{% if price_credits is defined %} {{ price_credits | credits }}{% else %} a higher one{% endif %}"
            "{% if reason is defined and reason %} ({{ reason | truncate(200) }}){% endif %}."
        ),
        more=(
            "{% if expires_at is defined %}The proposal stands until {{ expires_at | when(zone) }}.{% endif %}",
            "Nothing more is held until you agree; without your answer the price stays as it is.",
        ),
        action="See the price",
        reads=keys_of("price_credits", "expires_at", "reason"),
    ),
    "job.revision_quoted": Entry(
        title="What a further revision of “{{ job_title }}” costs",
        message=(
            "A further revision of “{{ job_title }}”"
            "{% if extra_credits is defined %} costs {{ extra_credits | credits }}{% endif %}"
            "{% if reason is defined and reason %} ({{ reason | truncate(200) }}){% endif %}."
        ),
        more=(
            "{% if expires_at is defined %}The price stands until {{ expires_at | when(zone) }}.{% endif %}",
        ),
        action="Accept or decline",
        reads=keys_of("extra_credits", "expires_at", "reason"),
    ),
    "job.review_reminder": Entry(
        title="“{{ job_title }}” waits for your review",
        message=(
            "The work on “{{ job_title }}” waits for you"
            "{% if deadline is defined %}. Without an answer by {{ deadline | when(zone) }} it is approved{% endif %}."
        ),
        action="Review the work",
        reads=keys_of("deadline"),
    ),
    "job.overdue": Entry(
        title="“{{ job_title }}” is late",
        message=(
            "The work on “{{ job_title }}” was due"
            "{% if due_at is defined %} at {{ due_at | when(zone) }}{% endif %} and has not come."
        ),
        more=(
            "Our team has been told. From now on you may cancel without cost; nothing is cancelled by itself.",
        ),
        reads=keys_of("due_at"),
    ),
    "job.worker_left": Entry(
        title="We are looking for another worker for “{{ job_title }}”",
        message="The worker of “{{ job_title }}” cannot go on. We are asking the next best one now.",
        more=("Your brief, files and messages are handed over. The price does not change.",),
    ),
    "job.assigned": Entry(
        title="A worker has taken “{{ job_title }}”",
        message="A worker accepted “{{ job_title }}” and will start soon.",
        more=("You can follow the work and write to the worker on the job's page.",),
    ),
    "job.started": Entry(
        title="Work on “{{ job_title }}” has begun",
        message="The worker has started “{{ job_title }}”.",
    ),
    "job.submitted": Entry(
        title="“{{ job_title }}” is ready for your review",
        message=(
            "The worker handed in “{{ job_title }}”. Please look at it, then approve it or ask for a revision"
            "{% if deadline is defined %} by {{ deadline | when(zone) }}{% endif %}."
        ),
        more=("{% if deadline is defined %}Without an answer by then, the work is approved.{% endif %}",),
        action="Review the work",
        reads=keys_of("deadline"),
    ),
    "job.completed": Entry(
        title="“{{ job_title }}” is completed",
        message=(
            "“{{ job_title }}” is completed"
            "{% if spent_credits is defined %} for {{ spent_credits | credits }}{% endif %}."
        ),
        more=("The files stay on the job's page. Thank you for working with Nimmit.",),
        reads=keys_of("spent_credits"),
    ),
    "job.rescue": Entry(
        title="Still looking for a worker for “{{ job_title }}”",
        message="We have not found a worker for “{{ job_title }}” yet. Our team is now looking for one by hand.",
        more=("You need not do anything. Your credits stay held for this job; if you cancel, they return.",),
    ),
    "job.rescue_reminder": Entry(
        title="Still looking for a worker for “{{ job_title }}”",
        message="Our team is still looking for a worker for “{{ job_title }}”.",
    ),
    "job.quote": Entry(
        title="“{{ job_title }}” needs your yes",
        message=(
            "“{{ job_title }}” costs more than you agreed to beforehand"
            "{% if price_credits is defined %}: {{ price_credits | credits }}"
            "{% if max_credits is defined %} against {{ max_credits | credits }}{% endif %}{% endif %}. "
            "Please accept the price or cancel the job."
        ),
        more=(
            "{% if expires_at is defined %}The price stands until {{ expires_at | when(zone) }}.{% endif %}",
            "Nothing is held until you accept.",
        ),
        action="See the price",
        reads=keys_of("price_credits", "max_credits", "expires_at"),
    ),
    "job.insufficient_credits": Entry(
        title="Not enough credits for “{{ job_title }}”",
        message=(
            "“{{ job_title }}” waits for credits"
            "{% if price_credits is defined %}: it costs {{ price_credits | credits }}"
            "{% if shortfall_credits is defined %} and {{ shortfall_credits | credits }} are missing{% endif %}"
            "{% endif %}."
        ),
        action="Open the job",
        reads=keys_of("price_credits", "shortfall_credits"),
    ),
    "job.cancelled": Entry(
        title="“{{ job_title }}” was cancelled",
        message=(
            "“{{ job_title }}” was cancelled{% if reason is defined and reason %} ({{ reason | truncate(200) }})"
            "{% endif %}{% if released_credits is defined and released_credits %}; {{ released_credits | credits }} "
            "are free again{% endif %}."
        ),
        reads=keys_of("reason", "released_credits"),
    ),
    "review.invited": Entry(
        title="How was “{{ job_title }}”?",
        message=(
            "Please rate the work on “{{ job_title }}”"
            "{% if closes_at is defined %} by {{ closes_at | when(zone) }}{% endif %}."
        ),
        more=("Neither of you sees the other's rating before both are given or the time is over.",),
        action="Rate the work",
        reads=keys_of("closes_at"),
    ),
    "review.revealed": Entry(
        title="The ratings of “{{ job_title }}” are open",
        message="The worker's rating of “{{ job_title }}” can now be read.",
        action="Read the ratings",
    ),
}
