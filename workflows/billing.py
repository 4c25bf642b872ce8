"""What the API, the subscription's workflow and its activities agree on, and how an event reaches the workflow."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, Field
from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from app.settings import Settings
from app.subscriptions import customers
from app.subscriptions.billing_state import BillingState
from app.subscriptions.customers import Database
from app.subscriptions.dunning import Dunning, DunningPolicy
from app.webhooks import inbox
from app.webhooks.models import EventFacts, EventStatus, WebhookEndpoint
from app.webhooks.types import Concern, concern_of
from workflows.contracts import CLIENT_ID, NEEDS_ADMIN, TaskQueue, task_queue

SUBSCRIPTION_WORKFLOW = "Subscription"
STRIPE_EVENT_WORKFLOW = "StripeEvent"
WEBHOOK_SWEEP_WORKFLOW = "WebhookSweep"
WEBHOOK_SWEEP_SCHEDULE_ID = "webhook-sweep"

BILLING_CHANGED_SIGNAL = "billing_changed"
"""To a subscription: something may have changed at Stripe. Carries a `BillingChanged`."""


class BillingActivity(StrEnum):
    """Names of the activities."""

    SETTLE_BILLING = "settle_billing"
    RECORD_DUNNING = "record_dunning"
    SUSPEND_SUBSCRIPTION = "suspend_subscription"
    ROUTE_EVENT = "route_event"
    RETRY_EVENTS = "retry_events"
    PULL_EVENTS = "pull_events"
    PULL_ACCOUNTS = "pull_accounts"
    TELL_OF_WEBHOOKS = "tell_of_webhooks"
    PURGE_EVENTS = "purge_events"


def subscription_workflow_id(client_id: str) -> str:
    """The workflow of a client's subscription."""
    return f"subscription-{client_id}"


def stripe_event_workflow_id(event_id: str) -> str:
    """The workflow that finds out whom an event concerns."""
    return f"stripe-event-{event_id}"


class BillingChanged(BaseModel):
    """Why to look again: an event of Stripe by its id, or (None) an act at the door."""

    event_id: str | None = None


class SubscriptionInput(BaseModel):
    """A client's subscription. What follows the limit is carried from run to run."""

    client_id: str
    dunning_policy: DunningPolicy = Field(default_factory=DunningPolicy)
    history_limit: int = Field(default=4_000, gt=0)  # events of one run; past them it continues as new
    events: list[str] = Field(default_factory=list)  # that are not settled yet
    dunning: Dunning | None = None
    runs: int = 1
    flagged: bool = False  # an admin is asked for
    billing: BillingState | None = None  # as it was found last
    settled_events: int = 0


class SettleBilling(BaseModel):
    """Read the client's billing from Stripe and settle it; then these events are handled."""

    client_id: str
    event_ids: list[str] = Field(default_factory=list)


class DunningNews(StrEnum):
    """What there is to tell of a missing payment."""

    FAILED = "failed"
    REMINDER = "reminder"


class RecordDunning(BaseModel):
    """Write that a payment is missing, and tell the client. `number` counts the reminders."""

    client_id: str
    invoice_id: str
    owed_cents: int
    since: datetime
    grace_until: datetime
    news: DunningNews
    number: int = 0


class SuspendSubscription(BaseModel):
    """End a subscription whose renewal was not paid within the grace period."""

    client_id: str
    subscription_id: str
    invoice_id: str


class Suspended(BaseModel):
    """Whether it was ended; it is not if it was paid at the last moment."""

    suspended: bool


class SubscriptionView(BaseModel):
    """The live state of a subscription: its query's answer and its workflow's result."""

    billing: BillingState
    dunning: Dunning | None = None
    next_look_at: datetime | None = None
    settled_events: int = 0
    runs: int = 1


class RoutedEvent(BaseModel):
    """Whom an event turned out to concern; None: nobody of ours."""

    client_id: str | None = None
    payouts: int = 0  # that were told to try again


class WebhookSweepInput(BaseModel):
    """What one sweep of the webhooks does. Events as young as the grace may still be on their way by themselves."""

    grace_seconds: int = 300
    accounts_every_seconds: int = 3_600  # the time from one pull of a connected account to the next


class PullEvents(BaseModel):
    """Pull the next page of what happened up to a moment, of the platform's own events."""

    at: datetime
    until: datetime


class Pulled(BaseModel):
    """What was pulled: never handed over before, known, of no consequence. `has_more`: there is another page."""

    new: int = 0
    known: int = 0
    ignored: int = 0
    has_more: bool = False

    def add(self, page: Pulled) -> None:
        """Count another page."""
        self.new += page.new
        self.known += page.known
        self.ignored += page.ignored
        self.has_more = page.has_more


class PullAccounts(PullEvents):
    """The same for the next connected accounts: those of the workers whose ids follow `after`."""

    every_seconds: int
    after: str = ""


class PulledAccounts(BaseModel):
    """What came of them. `last` is the last worker; None: there are no more. `gone` accounts have left us."""

    pulled: Pulled = Field(default_factory=Pulled)
    accounts: int = 0
    gone: int = 0
    last: str | None = None


class EventsRetried(BaseModel):
    """Events handed over again: never handed over before, handed and not handled; and for many times by now."""

    stuck: int = 0
    unhandled: int = 0
    hopeless: int = 0


class TellOfWebhooks(BaseModel):
    """Tell the admins, once a day, of events that did not come by themselves, and of some that nothing comes of."""

    at: datetime
    undelivered: int = 0
    unhandled: int = 0


class WebhookSweepResult(BaseModel):
    """What one sweep did. `unanswered`: Stripe did not answer, so the next sweep pulls it all."""

    retried: EventsRetried = Field(default_factory=EventsRetried)
    pulled: Pulled = Field(default_factory=Pulled)
    accounts: int = 0
    gone: int = 0
    unanswered: bool = False
    purged: int = 0


async def hand_to_client(client: Client, settings: Settings, client_id: str, event_id: str | None) -> None:
    """Tell the client's subscription to look again, starting its workflow if none runs.

    Raises:
        temporalio.service.RPCError: Temporal cannot be reached, or did not answer in time.
    """
    await client.start_workflow(
        SUBSCRIPTION_WORKFLOW,
        SubscriptionInput(
            client_id=client_id,
            dunning_policy=DunningPolicy(
                reminder_seconds=list(settings.dunning_reminder_seconds),
                grace_seconds=settings.dunning_grace_seconds,
            ),
        ),
        id=subscription_workflow_id(client_id),
        task_queue=task_queue(TaskQueue.BILLING, settings.task_queue_prefix),
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        start_signal=BILLING_CHANGED_SIGNAL,
        start_signal_args=[BillingChanged(event_id=event_id)],
        search_attributes=TypedSearchAttributes(
            [SearchAttributePair(CLIENT_ID, client_id), SearchAttributePair(NEEDS_ADMIN, value=False)]
        ),
        static_summary="A client's subscription",
        rpc_timeout=timedelta(seconds=settings.dependency_timeout_seconds),
    )


async def hand_to_router(
    client: Client, settings: Settings, facts: EventFacts, *, again: bool = False
) -> None:
    """Have it found out at Stripe whom the event concerns; once for each event, unless it is to be done again.

    Raises:
        temporalio.service.RPCError: Temporal cannot be reached, or did not answer in time.
    """
    try:
        await client.start_workflow(
            STRIPE_EVENT_WORKFLOW,
            facts,
            id=stripe_event_workflow_id(facts.id),
            task_queue=task_queue(TaskQueue.BILLING, settings.task_queue_prefix),
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE
            if again
            else WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            static_summary=facts.type,
            rpc_timeout=timedelta(seconds=settings.dependency_timeout_seconds),
        )
    except WorkflowAlreadyStartedError:
        return


async def hand_over(
    client: Client, settings: Settings, database: Database, facts: EventFacts, *, again: bool = False
) -> None:
    """Hand an event to whom it concerns: to the client's subscription if it is known whose it is, else to ask Stripe.

    `again`: it was handed over before, and nothing came of it.

    Raises:
        temporalio.service.RPCError: Temporal cannot be reached, or did not answer in time.
        pymongo.errors.PyMongoError: the store failed.
    """
    if concern_of(facts.type) is Concern.CLIENT and facts.customer_id is not None:
        client_id = await customers.client_of(database, facts.customer_id)
        if client_id is not None:
            await hand_to_client(client, settings, client_id, facts.id)
            return
    await hand_to_router(client, settings, facts, again=again)


async def receive(
    client: Client, settings: Settings, database: Database, facts: EventFacts, endpoint: WebhookEndpoint
) -> inbox.Kept:
    """Keep an event that Stripe delivered, or that was pulled, and hand it over; where it is now. Repeatable.

    Raises:
        temporalio.service.RPCError: Temporal cannot be reached, or did not answer in time; the event is kept.
        pymongo.errors.PyMongoError: the store failed.
    """
    kept = await inbox.take_in(database, facts, endpoint)
    if kept.status is not EventStatus.RECEIVED:
        return kept
    await hand_over(client, settings, database, facts)
    await inbox.mark_handed(database, facts.id)
    return kept._replace(status=EventStatus.HANDED)
