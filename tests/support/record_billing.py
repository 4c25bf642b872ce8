"""Records the histories of billing: `python -m tests.support.record_billing [name ...]`.

As `record_histories`, which has the jobs: run it when a branch is added, not to mend a replay that fails. What waits
for days is recorded in skipped time, with Stripe as a script; the rest on the real server, with the real parts.
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from app.documents import utcnow
from app.gateways.stripe_billing import StripeBilling
from app.ids import new_id
from app.process import leave
from app.settings import Settings
from app.subscriptions.customers import ensure_customer
from app.subscriptions.dunning import Dunning
from app.webhooks.models import EventFacts
from tests.support.histories import save
from tests.support.jobs import JobHarness
from tests.support.record_histories import SCENARIOS, record, scenario
from tests.support.scripted_billing import OWED, PAID, ScriptedBilling, scripted_billing
from tests.support.time_skipping import skipping_server
from tests.support.timers import pass_time
from tests.workflows.followers_support import insert_job
from workflows.billing import RoutedEvent, hand_to_router, stripe_event_workflow_id
from workflows.contracts import SWEEP_WORKFLOW, TaskQueue, task_queue
from workflows.followers import LEDGER_NIGHT_WORKFLOW, LedgerNight, SweepInput, SweepResult

Handles = dict[str, WorkflowHandle[Any, Any]]
Life = Callable[[ScriptedBilling, WorkflowEnvironment], Awaitable[None]]
SHORT = Settings(
    environment="test", dunning_reminder_seconds=[86_400, 2 * 86_400], dunning_grace_seconds=3 * 86_400
)
LIVES: dict[str, Life] = {}  # of subscriptions, in skipped time, by the name of the history


def life(name: str) -> Callable[[Life], Life]:
    """Register a life under the name of its history."""

    def register(run: Life) -> Life:
        LIVES[f"subscription-{name}"] = run
        return run

    return register


@life("started")
async def _started(script: ScriptedBilling, _env: WorkflowEnvironment) -> None:
    """By an event; then an act at the door."""
    await script.start()
    await script.hear("evt_checkout_completed")
    await script.looked(2)
    await script.hear()
    await script.looked(3)


@life("looked-by-itself")
async def _looked(script: ScriptedBilling, env: WorkflowEnvironment) -> None:
    """After a week, and after a renewal of which no event came."""
    script.fields["period_end"] = await env.get_current_time() + timedelta(days=10)
    await script.start()
    await script.looked(1)
    await pass_time(env, days=8)
    script.fields["period_end"] += timedelta(days=30)
    await pass_time(env, days=3)
    await script.looked(3)


@life("recovered")
async def _recovered(script: ScriptedBilling, env: WorkflowEnvironment) -> None:
    """Told, reminded, paid; then another invoice is owed."""
    script.fields |= OWED
    await script.start()
    await script.looked(1)
    await pass_time(env, days=1, hours=12)
    script.fields |= PAID
    await script.hear("evt_paid")
    await script.looked(3)
    script.fields |= OWED | {"owed_invoice_id": "in_2"}
    await script.hear("evt_failed")
    await script.looked(4)


@life("suspended")
async def _suspended(script: ScriptedBilling, _env: WorkflowEnvironment) -> None:
    """Nothing is paid to the end of the grace period."""
    script.fields |= OWED
    handle = await script.start()
    await handle.result()


@life("reminded-after-an-outage")
async def _outage(script: ScriptedBilling, env: WorkflowEnvironment) -> None:
    """Both reminders are due at once: one is sent."""
    script.fields |= OWED
    since = await env.get_current_time() - timedelta(days=2, hours=12)
    handle = await script.start(dunning=Dunning(invoice_id="in_1", since=since))
    await handle.result()
    if [(one.news.value, one.number) for one in script.told] != [("reminder", 2)]:
        raise RuntimeError("not as planned")


@life("paid-at-the-last-moment")
async def _last_moment(script: ScriptedBilling, env: WorkflowEnvironment) -> None:
    """Asked to end it, Stripe finds it paid."""
    script.fields |= OWED
    script.ends_on_suspension = False
    await script.start()
    await script.looked(1)
    await pass_time(env, days=2, hours=22)

    async def pay() -> None:
        script.fields |= PAID

    script.before_answer = pay
    await pass_time(env, hours=3)
    await script.looked(len(script.looks))
    if (len(script.suspensions), (await script.view()).dunning) != (1, None):
        raise RuntimeError("not as planned")


@life("ended")
async def _ended(script: ScriptedBilling, _env: WorkflowEnvironment) -> None:
    """Cancelled, and deleted."""
    await script.start()
    await script.looked(1)
    script.fields |= {"cancel_at_period_end": True}
    await script.hear()
    await script.looked(2)
    script.fields |= {"status": "canceled"}
    await script.hear("evt_deleted")
    await script.handle.result()


@life("needed-an-admin")
async def _flagged(script: ScriptedBilling, _env: WorkflowEnvironment) -> None:
    """Something does not fit, and is mended."""
    script.fields["faults"] = ["sub_2: a second subscription of the same client"]
    await script.start()
    await script.looked(1)
    script.fields["faults"] = []
    await script.hear()
    await script.looked(2)


@life("many-events")
async def _many(script: ScriptedBilling, _env: WorkflowEnvironment) -> None:
    """More than one look is for."""
    await script.start(events=[f"evt_{number}" for number in range(70)])
    await script.looked(2)


@scenario
async def subscription_continued(jobs: JobHarness) -> Handles:
    """A life of many runs: the first, and one that was begun with events and a dunning, and ended."""
    client, limit = jobs.resources.client, 12
    async with scripted_billing(client, jobs.resources.settings) as script:
        script.fields |= OWED | {"faults": ["sub_2: a second subscription of the same client"]}
        events = [f"evt_{number}" for number in range(160)]
        started = await script.start(history_limit=limit, events=events)
        await script.looked(4)
        script.fields |= PAID | {"status": "canceled", "faults": []}
        await script.hear("evt_deleted")
        last = client.get_workflow_handle(started.id)
        view = await started.result()
        if view.runs < 3 or script.settled != [*events, "evt_deleted"]:
            raise RuntimeError(f"not as planned: {view}")
        first = client.get_workflow_handle(started.id, run_id=started.first_execution_run_id)
        described = await last.describe()
        last = client.get_workflow_handle(started.id, run_id=described.run_id)
        # read now: the worker ends with this block, the histories do not
        return {"subscription-continued-first-run": first, "subscription-continued-last-run": last}


@scenario
async def stripe_events(jobs: JobHarness) -> Handles:
    """Events whose own text does not say whose they are: a client's by the customer, nobody's, an account's."""
    resources = jobs.resources
    client_id = await jobs.add_client()
    billing = StripeBilling.from_settings(resources.settings)
    customer = await ensure_customer(jobs.database, billing, client_id, f"{client_id}@client.example")
    await billing.close()
    facts = {
        "stripe-event-of-a-client": ("charge.refunded", {"customer_id": customer}),
        "stripe-event-of-nobody": ("charge.refunded", {"customer_id": "cus_nobody"}),
        "stripe-event-of-an-account": ("account.updated", {"account": "acct_nobody"}),
    }
    handles: Handles = {}
    for name, (kind, more) in facts.items():
        event = EventFacts(id=f"evt_{new_id()}", type=kind, created_at=utcnow(), object_id="x_1", **more)
        await hand_to_router(resources.client, resources.settings, event)
        handle = resources.client.get_workflow_handle(
            stripe_event_workflow_id(event.id), result_type=RoutedEvent
        )
        routed = await handle.result()
        if (routed.client_id == client_id) != (name == "stripe-event-of-a-client"):
            raise RuntimeError(f"{name}: {routed}")
        handles[name] = handle
    return handles


@scenario
async def nights(jobs: JobHarness) -> Handles:
    """The ledger's night: over sound books, and over a job that holds what nobody holds."""
    handles: Handles = {}
    for name in ("ledger-night", "ledger-night-that-disagrees"):
        if name != "ledger-night":
            client_id = await jobs.add_client()
            job = await insert_job(jobs.database, client_id=client_id)
            await jobs.database["jobs"].update_one(
                {"_id": job}, {"$set": {"heldCredits": 200, "status": "in_progress", "phase": "working"}}
            )
        handles[name] = await _run(jobs, LEDGER_NIGHT_WORKFLOW, name, TaskQueue.NOTIFY, LedgerNight)
        night: LedgerNight = await handles[name].result()
        if bool(night.audited.discrepancies) != (name != "ledger-night"):
            raise RuntimeError(f"{name}: {night}")
    return handles


@scenario
async def sweeps(jobs: JobHarness) -> Handles:
    """The sweep: of a minute in which expired records are removed, and of one in which they are not."""
    handles: Handles = {}
    for name, every in (("sweep-with-purge", 1), ("sweep-without-purge", 1_000)):
        handles[name] = await _run(
            jobs, SWEEP_WORKFLOW, name, TaskQueue.NOTIFY, SweepResult, SweepInput(purge_every_minutes=every)
        )
        swept: SweepResult = await handles[name].result()
        if (swept.purged is not None) != (every == 1):
            raise RuntimeError(f"{name}: {swept}")  # the first minute of an hour: once more
    return handles


async def _run(
    jobs: JobHarness, workflow: str, name: str, queue: TaskQueue, result: type[Any], *given: Any
) -> WorkflowHandle[Any, Any]:
    resources = jobs.resources
    return await resources.client.start_workflow(
        workflow,
        args=given,
        id=f"{name}-{uuid.uuid4().hex}",
        task_queue=task_queue(queue, resources.settings.task_queue_prefix),
        result_type=result,
    )


async def record_lives(names: list[str]) -> None:
    """Record the subscriptions of these names, or all, each on a server of its own."""
    for name in names:
        async with skipping_server() as env, scripted_billing(env, SHORT) as script:
            await LIVES[name](script, env)
            handle = env.client.get_workflow_handle(script.handle.id)
            history = await handle.fetch_history()
            print(f"{save(name, history).name}: {len(history.events)} events")  # noqa: T201  # a command's output


if __name__ == "__main__":
    own = [name for name, run in SCENARIOS.items() if run.__module__ == __name__]
    asked = sys.argv[1:]
    asyncio.run(record_lives([name for name in LIVES if not asked or name in asked]))
    if real := [name for name in own if not asked or name in asked]:
        asyncio.run(record(real))
    leave(0)
