"""Every kind of notice: what it says in the app and in the mail, by the role of the person who gets it.

The strings are Jinja templates. `name`, `job_title`, `job_url`, `portal_url` and `zone` are always there; what a
type may find in its context besides is named by `reads` and optional, unless `needs` has it.
"""

from __future__ import annotations

from app.notifications.entry import Entry, keys_of
from app.notifications.notices import MailType, NoticeType
from app.notifications.subscription_words import SUBSCRIPTION

Key = tuple[NoticeType | MailType, str]
ANYONE = "anyone"  # mails to an address that need not be a user's

_CLIENT: dict[NoticeType, Entry] = {
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
    "job.deadline_moved": Entry(
        title="A deadline of “{{ job_title }}” was moved",
        message=(
            "“{{ job_title }}” has more time"
            "{% if deadline is defined %}: until {{ deadline | when(zone) }}{% endif %}."
        ),
        reads=keys_of("deadline"),
    ),
    "job.worker_left": Entry(
        title="We are looking for another worker for “{{ job_title }}”",
        message="The worker of “{{ job_title }}” cannot go on. We are asking the next best one now.",
        more=("Your brief, files and messages are handed over. The price does not change.",),
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
    **SUBSCRIPTION,
}

_WORKER: dict[NoticeType, Entry] = {
    "job.revision_quoted": Entry(
        title="The client wants a further revision of “{{ job_title }}”",
        message=(
            "A further revision of “{{ job_title }}” was asked for"
            "{% if pay_usd_cents is defined %}; it would pay {{ pay_usd_cents | usd }}{% endif %}. "
            "The client decides on the price; you may name another."
        ),
        action="Name a price",
        reads=keys_of("pay_usd_cents"),
    ),
    "job.due_reminder": Entry(
        title="“{{ job_title }}” is due soon",
        message="“{{ job_title }}” is due{% if due_at is defined %} at {{ due_at | when(zone) }}{% endif %}.",
        reads=keys_of("due_at"),
    ),
    "job.overdue": Entry(
        title="“{{ job_title }}” is overdue",
        message=(
            "“{{ job_title }}” was due{% if due_at is defined %} at {{ due_at | when(zone) }}{% endif %}. "
            "Please hand it in, or ask our team for more time. The client may cancel without cost now."
        ),
        reads=keys_of("due_at"),
    ),
    "job.deadline_moved": Entry(
        title="A deadline of “{{ job_title }}” was moved",
        message=(
            "“{{ job_title }}” has more time"
            "{% if deadline is defined %}: until {{ deadline | when(zone) }}{% endif %}."
        ),
        reads=keys_of("deadline"),
    ),
    "job.withdrawn": Entry(
        title="You are released from “{{ job_title }}”",
        message=(
            "“{{ job_title }}” is not yours any more"
            "{% if earned_usd_cents is defined and earned_usd_cents %}; you are paid {{ earned_usd_cents | usd }} "
            "for what you did{% endif %}."
        ),
        reads=keys_of("earned_usd_cents"),
    ),
    "job.offer_withdrawn": Entry(
        title="The offer of “{{ job_title }}” is withdrawn",
        message="The client cancelled “{{ job_title }}” before anybody took it.",
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
    "job.offer": Entry(
        title="You have an offer: “{{ job_title }}”",
        message=(
            "You are offered “{{ job_title }}”"
            "{% if pay_usd_cents is defined %} for {{ pay_usd_cents | usd }}{% endif %}"
            "{% if expires_at is defined %}. Please answer by {{ expires_at | when(zone) }}{% endif %}."
        ),
        more=("After that the job is offered to the next worker. Declining costs you nothing.",),
        action="See the offer",
        reads=keys_of("pay_usd_cents", "expires_at"),
    ),
    "job.offer_expired": Entry(
        title="The offer of “{{ job_title }}” has expired",
        message=(
            "The offer of “{{ job_title }}” expired"
            "{% if expires_at is defined %} at {{ expires_at | when(zone) }}{% endif %} without an answer."
        ),
        more=("If you are not working now, set yourself to unavailable and no offers will come.",),
        reads=keys_of("expires_at"),
    ),
    "job.assigned": Entry(
        title="“{{ job_title }}” is yours",
        message=(
            "“{{ job_title }}” is assigned to you"
            "{% if pay_usd_cents is defined %} for {{ pay_usd_cents | usd }}{% endif %}. "
            "Start it when you are ready."
        ),
        reads=keys_of("pay_usd_cents"),
    ),
    "job.revision_requested": Entry(
        title="A revision is asked for: “{{ job_title }}”",
        message="The client asks for a revision of “{{ job_title }}”.",
        more=("{% if reason is defined and reason %}They say: {{ reason | truncate(500) }}{% endif %}",),
        action="Read the comments",
        reads=keys_of("reason"),
    ),
    "job.completed": Entry(
        title="“{{ job_title }}” is completed",
        message=(
            "Your work on “{{ job_title }}” is approved"
            "{% if earned_usd_cents is defined %}: you earned {{ earned_usd_cents | usd }}{% endif %}."
        ),
        more=("The payout follows by itself.",),
        reads=keys_of("earned_usd_cents"),
    ),
    "job.cancelled": Entry(
        title="“{{ job_title }}” was cancelled",
        message=(
            "“{{ job_title }}” was cancelled. Please stop working on it"
            "{% if earned_usd_cents is defined and earned_usd_cents %}; you are paid "
            "{{ earned_usd_cents | usd }} for what you did{% endif %}."
        ),
        reads=keys_of("earned_usd_cents"),
    ),
    "payout.sent": Entry(
        title="You have been paid for “{{ job_title }}”",
        message=(
            "{% if amount_usd_cents is defined %}{{ amount_usd_cents | usd }}{% else %}Your pay{% endif %} "
            "for “{{ job_title }}” is on its way to your account."
        ),
        reads=keys_of("amount_usd_cents"),
    ),
    "payout.held": Entry(
        title="Your pay for “{{ job_title }}” waits",
        message=(
            "{% if amount_usd_cents is defined %}{{ amount_usd_cents | usd }}{% else %}Your pay{% endif %} "
            "for “{{ job_title }}” is safe, but cannot be sent yet. Please check your payout account."
        ),
        action="Check the payout account",
        link="{{ portal_url }}/payouts",
        reads=keys_of("amount_usd_cents"),
    ),
    "payout.not_due": Entry(
        title="Nothing is sent for “{{ job_title }}”",
        message=(
            "Your pay for “{{ job_title }}” went to what you owed, or was taken back by a ruling, so nothing is sent."
        ),
        action="See your transactions",
        link="{{ portal_url }}/payouts",
    ),
    "payout.bank_sent": Entry(
        title="Your money is on its way to your bank",
        message=(
            "{% if amount_usd_cents is defined %}{{ amount_usd_cents | usd }}{% else %}Your balance{% endif %} "
            "is on its way to your bank"
            "{% if arrives_at is defined %} and should arrive by {{ arrives_at | when(zone) }}{% endif %}."
        ),
        action="See your payouts",
        link="{{ portal_url }}/payouts",
        reads=keys_of("amount_usd_cents", "arrives_at"),
    ),
    "payout.bank_failed": Entry(
        title="Your bank did not take your money",
        message=(
            "{% if amount_usd_cents is defined %}{{ amount_usd_cents | usd }}{% else %}Your balance{% endif %} "
            "could not be paid to your bank and is back on your account. Please check your bank details."
        ),
        more=("It is sent again with the next payout.",),
        action="Check your bank details",
        link="{{ portal_url }}/payouts",
        reads=keys_of("amount_usd_cents"),
    ),
    "review.invited": Entry(
        title="How was “{{ job_title }}”?",
        message=(
            "Please rate the client of “{{ job_title }}”"
            "{% if closes_at is defined %} by {{ closes_at | when(zone) }}{% endif %}."
        ),
        more=("Neither of you sees the other's rating before both are given or the time is over.",),
        action="Rate the client",
        reads=keys_of("closes_at"),
    ),
    "review.revealed": Entry(
        title="The ratings of “{{ job_title }}” are open",
        message="The client's rating of your work on “{{ job_title }}” can now be read.",
        action="Read the ratings",
    ),
    "time.idle_stopped": Entry(
        title="Your timer on “{{ job_title }}” was stopped",
        message=(
            "Nothing was heard from you for a while, so your timer on “{{ job_title }}” was stopped"
            "{% if stopped_at is defined %} as of {{ stopped_at | when(zone) }}{% endif %}."
        ),
        more=("If you are still at work, start it again.",),
        reads=keys_of("stopped_at"),
    ),
}

_ADMIN: dict[NoticeType, Entry] = {
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

_MAIL: dict[MailType, Entry] = {
    "auth.verify_email": Entry(
        title="Confirm your e-mail address",
        message="Welcome to Nimmit. Please confirm that this address is yours.",
        more=(
            "{% if expires_at is defined %}The link works until {{ expires_at | when(zone) }}.{% endif %}",
            "If you did not register, ignore this mail and nothing happens.",
        ),
        action="Confirm the address",
        link="{{ link }}",
        reads=keys_of("expires_at"),
        needs=keys_of("link"),
        secret=True,
    ),
    "auth.already_registered": Entry(
        title="You already have an account",
        message="Somebody, perhaps you, tried to register at Nimmit with this address, which has an account.",
        more=("If it was you, log in. If it was not, ignore this mail; your account is as it was.",),
        action="Log in",
        link="{{ portal_url }}/login",
    ),
}

CATALOGUE: dict[Key, Entry] = {
    **{(type_, "client"): entry for type_, entry in _CLIENT.items()},
    **{(type_, "worker"): entry for type_, entry in _WORKER.items()},
    **{(type_, "admin"): entry for type_, entry in _ADMIN.items()},
    **{(type_, ANYONE): entry for type_, entry in _MAIL.items()},
}


def holds_secret(template: str) -> bool:
    """Whether rows of this template carry a token in their context."""
    return any(entry.secret for (type_, _), entry in CATALOGUE.items() if type_ == template)
