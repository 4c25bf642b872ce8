"""`kill -9` in mid-offer and mid-completion: the job ends the same, and nothing happens twice.

First by luck: every process in turn, at a random instant of several acts in flight. Then by design: a worker that
dies right after a chosen write. A caller without an answer repeats the same request, as the API tells them to.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Iterable
from random import Random

import httpx2
import pytest

from app.money.verify import open_holds
from tests.e2e.checks import actions, check_all, job_of, settled
from tests.e2e.platform import Platform
from tests.e2e.play import Board, watching, work
from tests.support.http import Json, Person, RefusedError, until

JOBS = 4
OFFER_WINDOW_SECONDS, WORKERS, CAPACITY = 120, 4, 10
pytestmark = pytest.mark.usefixtures("mended")


async def killed_meanwhile(
    platform: Platform, victim: str, delay: float, acts: Iterable[Awaitable[object]]
) -> None:
    """Kill while the acts are in flight, start again, and let everybody get their answer."""
    running = [asyncio.ensure_future(act) for act in acts]
    await asyncio.sleep(delay)
    await platform.kill(victim)
    await platform.revive(victim)
    await asyncio.gather(*running)


@pytest.mark.parametrize("victim", ["worker", "api", "temporal", "mongodb"])
async def test_a_kill_in_mid_offer_and_in_mid_completion(
    platform: Platform, client: Person, workers: list[Person], victim: str
) -> None:
    random = Random(f"crash:{victim}")
    async with watching(workers) as board:
        job_ids = [str((await client.post_job())["id"]) for _ in range(JOBS)]
        offered = [await board.offer(job_id, 1) for job_id in job_ids]
    accepts = [who.act(job_id, "offer/accept") for who, job_id in zip(offered, job_ids, strict=True)]
    await killed_meanwhile(platform, victim, random.uniform(0, 0.15), accepts)
    for who, job_id in zip(offered, job_ids, strict=True):
        await who.act(job_id, "start")
        await who.upload(job_id)
        await who.act(job_id, "submit", {"note": "done"})
    approvals = [client.act(job_id, "approve") for job_id in job_ids]
    await killed_meanwhile(platform, victim, random.uniform(0, 0.15), approvals)
    await settled(platform, job_ids)
    for job_id in job_ids:
        expected = [
            "start_parsing",
            "hold_credits",
            "make_offer",
            "accept_offer",
            "start",
            "submit",
            "approve",
        ]
        assert actions(await job_of(platform.database, job_id)) == expected
    await check_all(platform, job_ids, mail_may_repeat=True)


async def refusal(act: Awaitable[object]) -> str | None:
    """The code of a definite no; None for a yes."""
    try:
        await act
    except RefusedError as refused:
        return refused.code
    return None


async def offered_job(client: Person, board: Board) -> tuple[str, Person]:
    """A job with an open offer, and to whom."""
    job_id = str((await client.post_job())["id"])
    return job_id, await board.offer(job_id, 1)


LONG = pytest.mark.chaos


@pytest.mark.parametrize(
    ("accepting", "settling"),
    [(2, 3), *(pytest.param(*writes, marks=LONG) for writes in ((1, 1), (3, 2), (4, 4), (5, 5), (5, 6)))],
)
async def test_the_worker_dies_between_two_writes(
    platform: Platform, client: Person, workers: list[Person], accepting: int, settling: int
) -> None:
    """After the n-th write of an acceptance, and again after the n-th of the settlement."""
    async with watching(workers) as board:
        job_id, worker = await offered_job(client, board)
    assert (await through_a_death(platform, worker, job_id, "offer/accept", accepting))["phase"] == "ready"
    await worker.act(job_id, "start")
    await worker.upload(job_id)
    await worker.act(job_id, "submit", {})
    assert (await through_a_death(platform, client, job_id, "approve", settling))["phase"] == "rating"
    await settled(platform, [job_id])
    await check_all(platform, [job_id], mail_may_repeat=True)


async def through_a_death(platform: Platform, person: Person, job_id: str, act: str, writes: int) -> Json:
    """Act, and repeat until it is answered, while the worker dies of it and another takes over."""
    activity = {"offer/accept": "assign_worker", "approve": "settle_job"}[act]
    await platform.work(dying_in=activity, after_writes=writes)
    answer = asyncio.ensure_future(person.act(job_id, act))
    await platform.death("worker")
    await platform.work()
    return await answer


@pytest.mark.parametrize("writes", [5, pytest.param(1, marks=LONG)])
async def test_the_worker_dies_in_an_accept_and_the_offer_lapses_before_another_takes_over(
    platform: Platform, client: Person, workers: list[Person], writes: int
) -> None:
    """The accept was in time or it was not; nobody's place, count, mail or record says another thing."""
    await platform.serve(NIMMIT_OFFER_WINDOW_SECONDS="9")
    async with watching(workers) as board:
        await platform.work(dying_in="assign_worker", after_writes=writes)
        job_id, worker = await offered_job(client, board)
        accept = asyncio.ensure_future(worker.act(job_id, "offer/accept"))
        await platform.death("worker")
        await asyncio.sleep(9)
        await platform.work()
        if await refusal(accept) == "offer-expired":
            worker = await board.offer(job_id, 2)
            await worker.act(job_id, "offer/accept")
    await work(job_id, client, worker)
    await settled(platform, [job_id])
    await check_all(platform, [job_id], mail_may_repeat=True)
    await platform.serve(NIMMIT_OFFER_WINDOW_SECONDS="120")


async def test_an_offer_that_is_on_record_before_its_process_knows_it(
    platform: Platform, client: Person, workers: list[Person]
) -> None:
    """The worker died after it had written the offer: whoever accepts meanwhile is not told that there is none."""
    await platform.work(dying_in="make_offer", after_writes=4)
    posting = asyncio.ensure_future(client.post_job())
    await platform.death("worker")
    job_id = str((await posting)["id"])
    async with watching(workers) as board:
        worker = await board.offer(job_id, 1)
        accepting = asyncio.ensure_future(worker.act(job_id, "offer/accept"))
        await platform.work()
        assert (await accepting)["phase"] == "ready"
    await work(job_id, client, worker)
    await settled(platform, [job_id])
    await check_all(platform, [job_id], mail_may_repeat=True)


async def lose_act(
    platform: Platform, person: Person, path: str, activity: str, *, after_writes: int = 1
) -> None:
    """Send an act whose effects are written by a worker that dies of it, on a server that dies with it.

    If its decision was not in the history by then, nobody remembers the act, and the caller does not repeat it.
    """
    await platform.work(dying_in=activity, after_writes=after_writes)
    sent = asyncio.ensure_future(person.call("POST", path))
    await platform.death("worker")
    await platform.kill("temporal")
    with contextlib.suppress(httpx2.TransportError):
        assert (await sent).status_code == 503
    await platform.revive("temporal")
    await platform.work()


async def test_a_quote_declined_after_a_lost_approval_holds_nothing(
    platform: Platform, client: Person
) -> None:
    job_id = str((await client.post_job(maxCredits=0.01))["id"])
    job = f"/jobs/{job_id}"
    await until(lambda: client.get(job), lambda found: bool(found["phase"] == "quoting"), "a quote")
    await lose_act(platform, client, f"{job}/quote/approve", "hold_credits")
    if await refusal(client.act(job_id, "quote/decline")) is None:
        await settled(platform, [job_id])
    held = [hold.job_id for hold in await open_holds(platform.database)]
    stored = await job_of(platform.database, job_id)
    assert (job_id in held) == ("approve_quote" in actions(stored))


async def test_a_revision_asked_for_after_a_lost_approval(
    platform: Platform, client: Person, workers: list[Person]
) -> None:
    """Either the approval stands and the revision is refused, or nothing of the approval is left."""
    async with watching(workers) as board:
        job_id, worker = await offered_job(client, board)
    await worker.act(job_id, "offer/accept")
    await worker.act(job_id, "start")
    await worker.upload(job_id)
    await worker.act(job_id, "submit", {})
    await lose_act(platform, client, f"/jobs/{job_id}/approve", "settle_job", after_writes=6)
    revision = {"reason": "the second chart is missing"}
    if await refusal(client.act(job_id, "request-revision", revision)) is None:
        await work(job_id, client, worker)
    await settled(platform, [job_id])
    await check_all(platform, [job_id], mail_may_repeat=True)
