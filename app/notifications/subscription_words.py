"""What clients are told of their subscription. Part of the catalogue."""

from __future__ import annotations

from app.notifications.entry import Entry, keys_of
from app.notifications.notices import NoticeType

SUBSCRIPTION: dict[NoticeType, Entry] = {
    "subscription.credits_granted": Entry(
        title="You have new credits",
        message=(
            "{% if granted_credits is defined %}{{ granted_credits | credits }}{% else %}Your credits{% endif %} "
            "are in your account{% if expires_at is defined %}, to be used until {{ expires_at | when(zone) }}"
            "{% endif %}."
        ),
        action="See your credits",
        link="{{ portal_url }}/subscription",
        reads=keys_of("granted_credits", "expires_at"),
    ),
    "subscription.credits_taken_back": Entry(
        title="Credits were taken back",
        message=(
            "A payment was given back or charged back, so "
            "{% if taken_credits is defined %}{{ taken_credits | credits }}{% else %}its credits{% endif %} "
            "left your account{% if debt_credits is defined %}. You owe {{ debt_credits | credits }} that were spent; "
            "new jobs can begin when they are paid{% endif %}."
        ),
        action="See your credits",
        link="{{ portal_url }}/subscription",
        reads=keys_of("taken_credits", "debt_credits"),
    ),
    "subscription.ending": Entry(
        title="Your subscription will end",
        message=(
            "Your subscription ends{% if deadline is defined %} at {{ deadline | when(zone) }}{% endif %} "
            "and will not renew."
        ),
        more=("Until then you can keep it with one click.",),
        action="Keep it",
        link="{{ portal_url }}/subscription",
        reads=keys_of("deadline"),
    ),
    "subscription.ended": Entry(
        title="Your subscription has ended",
        message="Your subscription has ended. Credits that you have paid for stay until they lapse.",
        action="Subscribe again",
        link="{{ portal_url }}/subscription",
    ),
    "subscription.payment_failed": Entry(
        title="Your payment did not go through",
        message=(
            "We could not collect{% if amount_usd_cents is defined %} {{ amount_usd_cents | usd }}{% endif %} "
            "for your subscription."
        ),
        more=(
            (
                "Please check your card.{% if deadline is defined %} Without a payment by "
                "{{ deadline | when(zone) }} the subscription ends.{% endif %}"
            ),
        ),
        action="Check the card",
        link="{{ portal_url }}/subscription",
        reads=keys_of("amount_usd_cents", "deadline"),
    ),
    "subscription.payment_reminder": Entry(
        title="Your subscription is still not paid",
        message=(
            "{% if amount_usd_cents is defined %}{{ amount_usd_cents | usd }} is{% else %}Your payment is{% endif %} "
            "still missing{% if deadline is defined %}. Without it the subscription ends at "
            "{{ deadline | when(zone) }}{% endif %}."
        ),
        action="Check the card",
        link="{{ portal_url }}/subscription",
        reads=keys_of("amount_usd_cents", "deadline"),
    ),
    "subscription.suspended": Entry(
        title="Your subscription has ended for want of payment",
        message="Your last payment did not come, so your subscription has ended and new jobs cannot begin.",
        action="Subscribe again",
        link="{{ portal_url }}/subscription",
    ),
}
