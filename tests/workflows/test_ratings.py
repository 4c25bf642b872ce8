"""Ratings are blind until both are in or the window ends; then they are shown together and counted once."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from activities.archive import ArchiveActivities
from activities.ratings import RatingActivities
from app.documents import utcnow
from app.gateways.storage import Storage
from app.jobs.payouts import PayoutStatus
from app.lifecycle import Actor
from app.reviews.store import keep_rating, reveal_ratings
from app.settings import Settings
from devstack.stack import Stack
from tests.conftest import Database
from tests.support.time_skipping import skipping_server
from tests.workflows.followers_support import (
    history_of,
    insert_client,
    insert_job,
    insert_worker,
    job_of,
    notices_of,
    unique_queue,
    worker,
)
from workflows.archive import ArchiveWorkflow
from workflows.contracts import (
    ARCHIVE_WORKFLOW,
    RATINGS_WORKFLOW,
    STATE_QUERY,
    RatingResult,
    RatingsInput,
    SubmitRating,
    Update,
    archive_workflow_id,
    ratings_workflow_id,
)
from workflows.followers import ArchiveView, RatingsView
from workflows.ratings import RatingsWorkflow

WINDOW = 14 * 86_400
PRAISE, THANKS = "Quick and exact work", "A clear brief"


@dataclass
class Scene:
    """One completed job whose two sides may rate each other."""

    client: Client
    database: Database
    ratings: RatingsInput
    queue: str
    activities: list[Callable[..., Any]]

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[None]:
        """Works until the archive, which the ratings leave behind, has ended too."""
        async with worker(self.client, self.queue, [RatingsWorkflow, ArchiveWorkflow], self.activities):
            yield
            await self.archive().result()

    def archive(self) -> WorkflowHandle[Any, ArchiveView]:
        return self.client.get_workflow_handle(
            archive_workflow_id(self.ratings.job_id), result_type=ArchiveView
        )

    async def start(self) -> WorkflowHandle[Any, RatingsView]:
        return await self.client.start_workflow(
            RATINGS_WORKFLOW,
            self.ratings,
            id=ratings_workflow_id(self.ratings.job_id),
            task_queue=self.queue,
            result_type=RatingsView,
        )

    def act(self, by: Actor, rating: int, comment: str = "", *, actor_id: str | None = None) -> SubmitRating:
        own = self.ratings.client_id if by is Actor.CLIENT else self.ratings.worker_id
        return SubmitRating(
            actor=by, actor_id=actor_id or own, rating=rating, comment=comment, body_hash=f"{by}-{rating}"
        )

    async def rating_of(self, user_id: str, profile: str) -> tuple[int, int]:
        user = await self.database["users"].find_one({"_id": user_id})
        assert user is not None
        assert user.get("openRatingIds", []) == []
        rating = user[profile]["rating"]
        return rating["sum"], rating["count"]

    async def rated(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Sum and count of the worker, then of the client."""
        return (
            await self.rating_of(self.ratings.worker_id, "workerProfile"),
            await self.rating_of(self.ratings.client_id, "clientProfile"),
        )


@pytest_asyncio.fixture
async def time_skipping() -> AsyncIterator[WorkflowEnvironment]:
    async with skipping_server() as environment:
        yield environment


@pytest_asyncio.fixture
async def scene(
    stack: Stack, settings: Settings, database: Database, time_skipping: WorkflowEnvironment
) -> AsyncIterator[Scene]:
    stack.require("s3")
    client_id, worker_id = await insert_client(database), await insert_worker(database)
    payout = {"status": PayoutStatus.SENT, "at": utcnow()}
    job_id = await insert_job(database, client_id=client_id, worker_id=worker_id, payout=payout)
    storage = Storage(settings)
    ratings, archive = (
        RatingActivities(database),
        ArchiveActivities(database, storage, bucket=settings.s3_bucket_archive),
    )
    yield Scene(
        client=time_skipping.client,
        database=database,
        ratings=RatingsInput(
            job_id=job_id,
            client_id=client_id,
            worker_id=worker_id,
            window_seconds=WINDOW,
            seq=1,
            completed_at=await time_skipping.get_current_time(),
        ),
        queue=unique_queue(),
        activities=[
            ratings.store_rating,
            ratings.reveal_ratings,
            archive.write_archive,
            archive.mark_archived,
        ],
    )
    storage.close()


@pytest_asyncio.fixture
async def running(scene: Scene) -> AsyncIterator[WorkflowHandle[Any, RatingsView]]:
    async with scene.worker():
        yield await scene.start()


async def submit(handle: WorkflowHandle[Any, Any], act: SubmitRating) -> RatingResult:
    result: RatingResult = await handle.execute_update(Update.SUBMIT_RATING, act, result_type=RatingResult)
    return result


async def refused(handle: WorkflowHandle[Any, Any], act: SubmitRating) -> str | None:
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await submit(handle, act)
    assert isinstance(caught.value.cause, ApplicationError)
    return caught.value.cause.type


@pytest.mark.parametrize("first", [Actor.CLIENT, Actor.WORKER])
async def test_the_second_rating_reveals_both(
    scene: Scene, running: WorkflowHandle[Any, RatingsView], first: Actor
) -> None:
    acts = [scene.act(Actor.CLIENT, 5, PRAISE), scene.act(Actor.WORKER, 4, THANKS)]
    if first is Actor.WORKER:
        acts.reverse()
    job_id = scene.ratings.job_id

    one = await submit(running, acts[0])
    assert (one.revealed, one.body_hash) == (False, acts[0].body_hash)
    view = await running.query(STATE_QUERY, result_type=RatingsView)
    assert (view.given_by_client, view.given_by_worker) == (first is Actor.CLIENT, first is Actor.WORKER)
    assert view.revealed_at is None
    assert (await job_of(scene.database, job_id))["ratings"] is None
    assert await notices_of(scene.database, job_id) == []
    review = await scene.database["reviews"].find_one({"_id": f"{job_id}:{first.value}"})
    assert review is not None
    assert (review["rating"], review["revealedAt"]) == (acts[0].rating, None)

    two = await submit(running, acts[1])
    assert two.revealed
    job = await job_of(scene.database, job_id)
    assert (job["ratings"]["byClient"]["rating"], job["ratings"]["byClient"]["comment"]) == (5, PRAISE)
    assert (job["ratings"]["byWorker"]["rating"], job["ratings"]["byWorker"]["comment"]) == (4, THANKS)
    assert job["ratings"]["revealedAt"] is not None
    assert (await running.result()).revealed_at is not None
    assert await scene.rated() == ((5, 1), (4, 1))
    told = {("review.revealed", scene.ratings.client_id), ("review.revealed", scene.ratings.worker_id)}
    assert set(await notices_of(scene.database, job_id)) == told

    assert (await scene.archive().result()).settled
    assert (await scene.archive().describe()).workflow_type == ARCHIVE_WORKFLOW
    job = await job_of(scene.database, job_id)
    entries = [(entry["seq"], entry["action"], entry["actor"]) for entry in job["timeline"][1:]]
    second = Actor.WORKER if first is Actor.CLIENT else Actor.CLIENT
    assert entries == [
        (2, "review", first.value),
        (3, "review", second.value),
        (4, "archive", "system"),
    ]
    assert (job["status"], job["phase"], job["seq"]) == ("completed", "archived", 4)


async def test_the_window_ends_with_one_rating(
    scene: Scene, running: WorkflowHandle[Any, RatingsView]
) -> None:
    await submit(running, scene.act(Actor.CLIENT, 3))
    view = await running.result()
    assert view.revealed_at is not None
    assert view.revealed_at >= view.closes_at
    assert (view.given_by_client, view.given_by_worker) == (True, False)
    ratings = (await job_of(scene.database, scene.ratings.job_id))["ratings"]
    assert (ratings["byClient"]["rating"], ratings["byWorker"]) == (3, None)
    assert await scene.rated() == ((3, 1), (0, 0))
    told = await notices_of(scene.database, scene.ratings.job_id)
    assert told == [("review.revealed", scene.ratings.worker_id)]


async def test_the_window_ends_with_no_rating(
    scene: Scene, running: WorkflowHandle[Any, RatingsView]
) -> None:
    await running.result()
    ratings = (await job_of(scene.database, scene.ratings.job_id))["ratings"]
    assert (ratings["byClient"], ratings["byWorker"]) == (None, None)
    assert await scene.rated() == ((0, 0), (0, 0))
    assert await notices_of(scene.database, scene.ratings.job_id) == []


async def test_who_may_not_rate_is_told_why(scene: Scene, running: WorkflowHandle[Any, RatingsView]) -> None:
    await submit(running, scene.act(Actor.CLIENT, 2))
    assert await refused(running, scene.act(Actor.CLIENT, 5)) == "review-already-given"
    stranger = scene.act(Actor.WORKER, 1, actor_id=scene.ratings.client_id)
    assert await refused(running, stranger) == "not-a-party"
    assert await refused(running, scene.act(Actor.ADMIN, 1)) == "not-a-party"
    await running.result()
    assert await scene.rated() == ((2, 1), (0, 0))


async def test_a_rating_at_the_end_of_the_window_is_late(scene: Scene, temporal: Client) -> None:
    """The task queue's worker was away: the window has ended when it first sees the rating.

    On the real server: the other forgets a refusal that is fetched after the workflow has ended.
    """
    scene.client = temporal
    ended = utcnow() - timedelta(seconds=WINDOW)
    scene.ratings = scene.ratings.model_copy(update={"completed_at": ended})
    handle = await scene.start()
    late = asyncio.create_task(refused(handle, scene.act(Actor.WORKER, 5)))
    await asyncio.sleep(0.5)  # it is with the server now, and no worker is there
    async with scene.worker():
        assert await late == "rating-window-closed"
        await handle.result()
    assert await scene.rated() == ((0, 0), (0, 0))


async def test_the_comment_is_in_the_history_only_where_it_came_in(
    scene: Scene, running: WorkflowHandle[Any, RatingsView]
) -> None:
    await submit(running, scene.act(Actor.CLIENT, 5, PRAISE))
    await submit(running, scene.act(Actor.WORKER, 5, THANKS))
    await running.result()
    history = (await running.fetch_history()).to_json_dict()
    holders = {event["eventType"] for event in history["events"] if _contains(event, PRAISE)}
    assert holders == {"EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED"}
    assert "example.com" not in await history_of(running)


async def test_a_reveal_that_runs_again_counts_once(database: Database) -> None:
    client_id, worker_id = await insert_client(database), await insert_worker(database)
    job_id = await insert_job(database, client_id=client_id, worker_id=worker_id)
    for _ in range(2):
        await keep_rating(
            database,
            job_id=job_id,
            by=Actor.CLIENT,
            author_id=client_id,
            subject_id=worker_id,
            rating=4,
            comment="",
            at=utcnow(),
        )
    for _ in range(3):
        await reveal_ratings(database, job_id=job_id, client_id=client_id, worker_id=worker_id, at=utcnow())
    user = await database["users"].find_one({"_id": worker_id})
    assert user is not None
    assert user["workerProfile"]["rating"] == {"sum": 4, "count": 1}
    assert user["openRatingIds"] == []


def _contains(event: Any, text: str) -> bool:
    """Whether a payload of the event, which is base64 in its JSON form, holds the text."""
    if isinstance(event, dict):
        data = event.get("data")
        if isinstance(data, str):
            decoded = base64.b64decode(data, validate=False)
            if text.encode() in decoded:
                return True
        return any(_contains(value, text) for value in event.values())
    if isinstance(event, list):
        return any(_contains(value, text) for value in event)
    return isinstance(event, str) and text in event
