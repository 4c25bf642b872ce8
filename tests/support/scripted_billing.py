"""Subscriptions whose Stripe is a script: what each look finds is set by the test, and what was told is noted."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from app.documents import utcnow
from app.ids import new_id
from app.settings import Settings
from app.subscriptions.billing_state import BillingState
from app.subscriptions.dunning import DunningPolicy
from tests.workflows.followers_support import until
from worker.sandbox import QuietSandbox
from workflows.billing import (
    BILLING_CHANGED_SIGNAL,
    SUBSCRIPTION_WORKFLOW,
    BillingActivity,
    BillingChanged,
    RecordDunning,
    SettleBilling,
    SubscriptionInput,
    SubscriptionView,
    Suspended,
    SuspendSubscription,
    subscription_workflow_id,
)
from workflows.contracts import CLIENT_ID, NEEDS_ADMIN, STATE_QUERY, TaskQueue, task_queue
from workflows.subscription import SubscriptionWorkflow

Handle = WorkflowHandle[Any, SubscriptionView]
OWED = {"status": "past_due", "owed_invoice_id": "in_1", "owed_cents": 9_900}
PAID = {"status": "active", "owed_invoice_id": None, "owed_cents": 0}


@dataclass
class ScriptedBilling:
    """One client's subscription over a script. `fields` are what the next look finds."""

    client: Client
    settings: Settings
    now: Callable[[], Awaitable[datetime]]
    client_id: str = field(default_factory=new_id)
    fields: dict[str, Any] = field(default_factory=lambda: {"subscription_id": "sub_1", **PAID})
    looks: list[tuple[datetime, list[str]]] = field(default_factory=list)  # when, and for which events
    told: list[RecordDunning] = field(default_factory=list)
    told_at: list[datetime] = field(default_factory=list)
    suspensions: list[SuspendSubscription] = field(default_factory=list)
    ends_on_suspension: bool = True
    before_answer: Callable[[], Awaitable[None]] | None = None  # while a look is under way
    started: Handle | None = None

    @activity.defn(name=BillingActivity.SETTLE_BILLING)
    async def settle_billing(self, request: SettleBilling) -> BillingState:
        self.looks.append((await self.now(), request.event_ids))
        found = BillingState(client_id=request.client_id, **self.fields)
        if self.before_answer is not None:
            await self.before_answer()
        return found

    @activity.defn(name=BillingActivity.RECORD_DUNNING)
    async def record_dunning(self, request: RecordDunning) -> None:
        self.told.append(request)
        self.told_at.append(await self.now())

    @activity.defn(name=BillingActivity.SUSPEND_SUBSCRIPTION)
    async def suspend_subscription(self, request: SuspendSubscription) -> Suspended:
        self.suspensions.append(request)
        if self.ends_on_suspension:
            self.fields |= PAID | {"status": "canceled"}
        return Suspended(suspended=self.ends_on_suspension)

    # -- what a test does

    async def start(self, **given: Any) -> Handle:
        """Start it as an event does, with an input of the test's own."""
        policy = DunningPolicy(
            reminder_seconds=self.settings.dunning_reminder_seconds,
            grace_seconds=self.settings.dunning_grace_seconds,
        )
        self.started = await self.client.start_workflow(
            SUBSCRIPTION_WORKFLOW,
            SubscriptionInput(client_id=self.client_id, dunning_policy=policy, **given),
            id=subscription_workflow_id(self.client_id),
            task_queue=task_queue(TaskQueue.BILLING, self.settings.task_queue_prefix),
            result_type=SubscriptionView,
            search_attributes=TypedSearchAttributes(
                [
                    SearchAttributePair(CLIENT_ID, self.client_id),
                    SearchAttributePair(NEEDS_ADMIN, value=False),
                ]
            ),
        )
        return self.handle

    @property
    def handle(self) -> Handle:
        """Of the latest run. In skipped time only the one that was given at the start lets time pass for a result."""
        return self.started or self.client.get_workflow_handle(
            subscription_workflow_id(self.client_id), result_type=SubscriptionView
        )

    async def hear(self, event_id: str | None = None) -> None:
        """An event, or an act at the door."""
        await self.handle.signal(BILLING_CHANGED_SIGNAL, BillingChanged(event_id=event_id))

    async def view(self) -> SubscriptionView:
        found: SubscriptionView = await self.handle.query(STATE_QUERY, result_type=SubscriptionView)
        return found

    async def looked(self, times: int) -> SubscriptionView:
        """Once it has looked so often and waits again."""

        async def waits() -> bool:
            if len(self.looks) < times:
                return False
            return (await self.view()).next_look_at is not None

        await until(waits)
        return await self.view()

    async def needs_admin(self) -> bool | None:
        """What a search for those that need an admin goes by."""
        return (await self.handle.describe()).typed_search_attributes.get(NEEDS_ADMIN)

    @property
    def settled(self) -> list[str]:
        """Every event that a look was for, in order."""
        return [event_id for _, events in self.looks for event_id in events]

    def days(self, start: datetime) -> list[int]:
        """On which day after `start` each look was."""
        return [round((at - start) / timedelta(days=1)) for at, _ in self.looks]


@asynccontextmanager
async def scripted_billing(
    server: Client | WorkflowEnvironment, settings: Settings, *, cached: bool = False, **script: Any
) -> AsyncIterator[ScriptedBilling]:
    """A worker on a queue of its own, and a script of one client. What is left running is ended with it."""
    own = settings.model_copy(update={"task_queue_prefix": f"t{uuid.uuid4().hex[:8]}-"})
    if isinstance(server, WorkflowEnvironment):
        scripted = ScriptedBilling(server.client, own, server.get_current_time, **script)
    else:
        scripted = ScriptedBilling(server, own, _real_time, **script)
    async with Worker(
        scripted.client,
        task_queue=task_queue(TaskQueue.BILLING, own.task_queue_prefix),
        workflows=[SubscriptionWorkflow],
        activities=[scripted.settle_billing, scripted.record_dunning, scripted.suspend_subscription],
        workflow_runner=QuietSandbox(),
        max_cached_workflows=100 if cached else 0,
    ):
        yield scripted
        with contextlib.suppress(RPCError):  # it has ended
            await scripted.handle.terminate("the test is over")


async def _real_time() -> datetime:
    return utcnow()
