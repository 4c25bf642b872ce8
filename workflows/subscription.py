"""A client's subscription: it lives as long as the client pays, and looks at Stripe whenever something may have moved.

An event tells it to look, never what to believe. It settles everything it finds (`app.subscriptions.settlement`), so
lost, repeated and late events make no difference; and it looks by itself now and then, in case all were lost.
"""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.billing import BillingActivities
    from app.money.text import dollars_text
    from app.subscriptions.billing_state import BillingState
    from app.subscriptions.dunning import Dunning
    from app.webhooks.models import EventFacts
    from workflows import job_options
    from workflows.billing import (
        BILLING_CHANGED_SIGNAL,
        STRIPE_EVENT_WORKFLOW,
        SUBSCRIPTION_WORKFLOW,
        BillingChanged,
        DunningNews,
        RecordDunning,
        RoutedEvent,
        SettleBilling,
        SubscriptionInput,
        SubscriptionView,
        SuspendSubscription,
    )
    from workflows.contracts import NEEDS_ADMIN, STATE_QUERY
    from workflows.runs import is_long

# A client's whole billing is some requests, each with a time-out of its own.
_TIMEOUT = timedelta(minutes=3)
_RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=5))
_LOOK_AT_LEAST = timedelta(days=7)
_LOOK_WHILE_OWING = timedelta(days=1)
_AFTER_RENEWAL = timedelta(hours=2)  # a renewal's invoice is a draft for an hour
_EVENTS_AT_ONCE = 50
_WITH_EVENTS = "continue-with-events"  # before it, a run that events never let rest grew without an end
_LAST_REMINDER = "last-reminder-due"


@workflow.defn(name=SUBSCRIPTION_WORKFLOW)
class SubscriptionWorkflow:
    """One client's subscription. It ends when there is none any more; the next event starts it again."""

    @workflow.init
    def __init__(self, subscription: SubscriptionInput) -> None:
        """Make the state before a signal can arrive."""
        self._input = subscription
        self._events = list(subscription.events)
        self._looks_due = 1
        self._dunning = subscription.dunning
        self._view = SubscriptionView(
            billing=subscription.billing or BillingState(client_id=subscription.client_id),
            dunning=subscription.dunning,
            settled_events=subscription.settled_events,
            runs=subscription.runs,
        )
        self._flagged = subscription.flagged

    @workflow.run
    async def run(self, _subscription: SubscriptionInput) -> SubscriptionView:
        """Look, settle, remind; wait; look again."""
        while True:
            await self._settle()
            await self._collect()
            if self._looks_due or self._events:
                if is_long(self._input.history_limit) and workflow.patched(_WITH_EVENTS):
                    workflow.continue_as_new(self._carried())
                continue
            if not self._view.billing.is_alive:
                break
            if is_long(self._input.history_limit):
                workflow.continue_as_new(self._carried())
            await self._wait()
        return self._view

    @workflow.signal(name=BILLING_CHANGED_SIGNAL)
    def billing_changed(self, change: BillingChanged) -> None:
        """Something may have changed at Stripe: look again."""
        if change.event_id is None:
            self._looks_due += 1
        elif change.event_id not in self._events:
            self._events.append(change.event_id)

    @workflow.query(name=STATE_QUERY)
    def state(self) -> SubscriptionView:
        """What was found at the last look, and when the next is."""
        return self._view

    async def _settle(self) -> None:
        """Whatever comes while it looks is for the next look."""
        self._looks_due = 0
        events, self._events = self._events[:_EVENTS_AT_ONCE], self._events[_EVENTS_AT_ONCE:]
        self._view.billing = await workflow.execute_activity_method(
            BillingActivities.settle_billing,
            SettleBilling(client_id=self._input.client_id, event_ids=events),
            start_to_close_timeout=_TIMEOUT,
            heartbeat_timeout=job_options.HEARTBEAT,
            retry_policy=_RETRY,
            summary=f"Read from Stripe and settle, for {len(events)} events",
        )
        self._view.settled_events += len(events)
        if self._flagged != bool(self._view.billing.faults):
            self._flagged = not self._flagged
            workflow.upsert_search_attributes([NEEDS_ADMIN.value_set(self._flagged)])
        self._publish()

    async def _collect(self) -> None:
        """Tell the client of a missing payment, remind, and end the subscription when the grace period is over."""
        billing, policy = self._view.billing, self._input.dunning_policy
        if not billing.is_owing or billing.owed_invoice_id is None:
            self._dunning = None
        elif self._dunning is None or self._dunning.invoice_id != billing.owed_invoice_id:
            self._dunning = Dunning(invoice_id=billing.owed_invoice_id, since=workflow.now())
            await self._tell(self._dunning, DunningNews.FAILED)
        elif workflow.now() >= self._dunning.grace_until(policy):
            await self._suspend(self._dunning)
        elif (at := self._dunning.next_reminder(policy)) is not None and workflow.now() >= at:
            number = self._next_reminder(self._dunning)
            self._dunning = self._dunning.model_copy(update={"reminded": number})
            await self._tell(self._dunning, DunningNews.REMINDER)
        self._view.dunning = self._dunning
        self._publish()

    def _next_reminder(self, dunning: Dunning) -> int:
        """Its number. After an outage it is the last one that is due; before, they all went out at once."""
        due = dunning.reminders_due(self._input.dunning_policy, workflow.now())
        missed = due > dunning.reminded + 1 and workflow.patched(_LAST_REMINDER)
        return due if missed else dunning.reminded + 1

    async def _tell(self, dunning: Dunning, news: DunningNews) -> None:
        await workflow.execute_activity_method(
            BillingActivities.record_dunning,
            RecordDunning(
                client_id=self._input.client_id,
                invoice_id=dunning.invoice_id,
                owed_cents=self._view.billing.owed_cents,
                since=dunning.since,
                grace_until=dunning.grace_until(self._input.dunning_policy),
                news=news,
                number=dunning.reminded,
            ),
            start_to_close_timeout=timedelta(seconds=30),
            retry_policy=_RETRY,
            summary=f"Tell of the missing payment: {news.value} {dunning.reminded or ''}".strip(),
        )

    async def _suspend(self, dunning: Dunning) -> None:
        await workflow.execute_activity_method(
            BillingActivities.suspend_subscription,
            SuspendSubscription(
                client_id=self._input.client_id,
                subscription_id=self._view.billing.subscription_id or "",
                invoice_id=dunning.invoice_id,
            ),
            start_to_close_timeout=_TIMEOUT,
            heartbeat_timeout=job_options.HEARTBEAT,
            retry_policy=_RETRY,
            summary="End the subscription: the grace period is over",
        )
        self._looks_due += 1

    async def _wait(self) -> None:
        """Until something is heard, or there is something to do by the clock."""
        now = workflow.now()
        self._view.next_look_at = self._next_look(now)
        self._publish()
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: bool(self._events or self._looks_due),
                timeout=self._view.next_look_at - now,
                timeout_summary="Look at Stripe without being told to",
            )

    def _next_look(self, now: datetime) -> datetime:
        if self._dunning is not None:
            due = self._dunning.next_wake(self._input.dunning_policy)
            return max(now + timedelta(seconds=1), min(due, now + _LOOK_WHILE_OWING))
        at = now + _LOOK_AT_LEAST
        renewal = self._view.billing.period_end
        if renewal is not None and now < renewal + _AFTER_RENEWAL < at:
            at = renewal + _AFTER_RENEWAL
        return at

    def _carried(self) -> SubscriptionInput:
        return self._input.model_copy(
            update={
                "events": list(self._events),
                "dunning": self._dunning,
                "runs": self._input.runs + 1,
                "flagged": self._flagged,
                "billing": self._view.billing,
                "settled_events": self._view.settled_events,
            }
        )

    def _publish(self) -> None:
        workflow.set_current_details(render(self._view))


@workflow.defn(name=STRIPE_EVENT_WORKFLOW)
class StripeEventWorkflow:
    """One event whose client its own text does not tell: ask Stripe whom it concerns, then hand it on."""

    @workflow.run
    async def run(self, facts: EventFacts) -> RoutedEvent:
        """Find out, and hand it on."""
        return await workflow.execute_activity_method(
            BillingActivities.route_event,
            facts,
            start_to_close_timeout=_TIMEOUT,
            heartbeat_timeout=job_options.HEARTBEAT,
            retry_policy=_RETRY,
            summary=facts.type,
        )


def render(view: SubscriptionView) -> str:
    """The subscription as a status report in Markdown: ids and money, no personal data."""
    billing = view.billing
    status = (billing.status or "no subscription").replace("_", " ")
    lines = [
        f"### Subscription · {status}",
        "",
        f"- Client `{billing.client_id}`, tier {billing.tier or '–'}",
    ]
    if billing.period_end:
        what = "ends" if billing.cancel_at_period_end else "renews"
        lines.append(f"- The period {what} at {_at(billing.period_end)}")
    if view.dunning:
        lines.append(
            f"- {dollars_text(billing.owed_cents)} owed since {_at(view.dunning.since)}; "
            f"reminders sent: {view.dunning.reminded}"
        )
    if billing.debt:
        lines.append(f"- In debt: {billing.debt / 100:g} credits")
    lines += [f"- Needs an admin: {fault}" for fault in billing.faults]
    if view.next_look_at:
        lines.append(f"- Looks again at {_at(view.next_look_at)}, or when told")
    return "\n".join(lines)


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
