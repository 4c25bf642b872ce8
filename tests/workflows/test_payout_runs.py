"""A payout that is held for many runs, the limit of a history lowered: told of once, and sent once in the end."""

from __future__ import annotations

from typing import Any

from app.jobs.payouts import HoldReason, PayoutStatus
from tests.workflows.followers_support import notices_of, unique_queue, until, worker
from tests.workflows.test_payout import Scene, activities, scene, stripe_sandbox, time_skipping
from workflows.contracts import NEEDS_ADMIN, STATE_QUERY, WORKER_ID
from workflows.followers import PayoutView
from workflows.payout import PayoutWorkflow

__all__ = ["scene", "stripe_sandbox", "time_skipping"]


async def test_a_hold_of_many_runs_is_told_of_once_and_ends_in_one_transfer(scene: Scene) -> None:
    scene.job = scene.job.model_copy(update={"history_limit": 20})
    account = await scene.open_account(onboarded=False)
    await scene.fund()
    queue = unique_queue("billing")
    async with worker(scene.env.client, queue, [PayoutWorkflow], activities(scene)):
        handle = await scene.start(queue)
        await until(lambda: scene.held(HoldReason.ACCOUNT_CANNOT_RECEIVE))
        await scene.env.sleep(6 * 86_400)
        latest: Any = scene.env.client.get_workflow_handle(handle.id)
        view = await latest.query(STATE_QUERY, result_type=PayoutView)
        assert (view.status, view.reason) == (PayoutStatus.HELD, HoldReason.ACCOUNT_CANNOT_RECEIVE)
        assert view.tries >= 6, "each refusal spent its key, in whichever run"
        described = await latest.describe()
        assert described.run_id != handle.first_execution_run_id
        assert described.typed_search_attributes.get(NEEDS_ADMIN) is False
        assert described.typed_search_attributes.get(WORKER_ID) == scene.job.worker_id
        told = await notices_of(scene.database, scene.job.job_id)
        assert told == [("payout.held", scene.job.worker_id)]
        await scene.control.complete_onboarding(account)
        assert (await handle.result()).status is PayoutStatus.SENT
    await scene.assert_paid_once()
