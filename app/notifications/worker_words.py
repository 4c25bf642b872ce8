"""What workers are told. Part of the catalogue."""

from __future__ import annotations

from app.notifications.entry import Entry, keys_of
from app.notifications.notices import NoticeType

WORKER: dict[NoticeType, Entry] = {
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
