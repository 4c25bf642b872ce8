"""The side roads of a job's life over HTTP on the real services: left, cancelled, priced anew, disputed."""

from __future__ import annotations

from datetime import timedelta

import httpx2
import pytest
import pytest_asyncio

from app.documents import utcnow
from app.ids import new_id
from app.money.credits import Credits
from app.money.verify import audit
from app.timetracking.models import StoppedBy, TimeEntry
from tests.e2e.checks import actions, check_timeline, job_of, settled, transfers_of
from tests.e2e.platform import Platform
from tests.e2e.play import Board, watching, work
from tests.support.http import Json, Person, RefusedError, until

OFFER_WINDOW_SECONDS, WORKERS, CAPACITY = 120, 2, 3


@pytest_asyncio.fixture(scope="module", autouse=True)
async def admin(platform: Platform) -> Person:
    """Somebody who hears what admins are told."""
    return await platform.admin()


async def accepted(client: Person, board: Board) -> tuple[str, Person]:
    """A job that its first worker has taken."""
    job_id = str((await client.post_job())["id"])
    worker = await board.offer(job_id, 1)
    await worker.act(job_id, "offer/accept")
    return job_id, worker


async def delivered(client: Person, board: Board) -> tuple[str, Person]:
    """A job whose first delivery awaits the client."""
    job_id, worker = await accepted(client, board)
    await deliver(job_id, worker)
    return job_id, worker


async def deliver(job_id: str, worker: Person) -> None:
    await worker.act(job_id, "start")
    await worker.upload(job_id)
    await worker.act(job_id, "submit", {})


async def track(platform: Platform, job_id: str, worker: Person, share: float) -> None:
    """Time that the worker has tracked: a share of the likely hours, as no test can wait for it."""
    job = await job_of(platform.database, job_id)
    seconds = int(job["pricing"]["hoursLikely"] * 3600 * share)
    now = utcnow()
    entry = TimeEntry(
        id=new_id(),
        job_id=job_id,
        worker_id=worker.id,
        started_at=now - timedelta(seconds=seconds),
        stopped_at=now,
        seconds=seconds,
        stopped_by=StoppedBy.WORKER,
    )
    await platform.database["time_entries"].insert_one(entry.model_dump(by_alias=True))


async def check_books(platform: Platform, job_id: str) -> Json:
    """The timeline is whole, the journal is sound, nothing is held, and nobody's place is taken by the job."""
    job = await job_of(platform.database, job_id)
    check_timeline(job)
    found = await audit(platform.database)
    assert found.discrepancies == []
    assert [hold for hold in found.open_holds if hold.job_id == job_id] == []
    assert job["heldCredits"] == 0
    assert await platform.database["users"].find_one({"workerProfile.activeJobIds": job_id}) is None
    return job


async def sent(platform: Platform, job_id: str, cents: list[int]) -> None:
    """Stripe has made just these transfers for the job."""

    async def amounts() -> list[int]:
        found = await transfers_of(platform)
        return sorted(item["amount"] for item in found if item["metadata"].get("job_id") == job_id)

    await until(amounts, lambda found: found == sorted(cents), f"transfers of {cents}")


async def available(platform: Platform, client: Person) -> int:
    return (await Credits(platform.database).balance(client.id)).available


async def test_a_job_that_is_left_after_a_delivery_is_finished_by_another(
    platform: Platform, client: Person, workers: list[Person]
) -> None:
    async with watching(workers) as board:
        job_id, first = await delivered(client, board)
        await track(platform, job_id, first, 0.4)
        preview = await first.get(f"/jobs/{job_id}/withdraw-preview")
        await first.act(job_id, "withdraw", {"reason": "I am ill"})
        again = await first.act(job_id, "withdraw", {"reason": "I am ill"})  # the same answer
        assert again["status"] == "matching"
        second = await board.offer(job_id, 2)
        assert second.id != first.id
        offer = next(item for item in (await second.get("/offers"))["items"] if item["jobId"] == job_id)
        await second.act(job_id, "offer/accept")
        (handed,) = [
            file
            for file in (await second.get(f"/jobs/{job_id}/files"))["items"]
            if file["purpose"] == "deliverable"
        ]
        download = await second.get(f"/jobs/{job_id}/files/{handed['fileId']}/download-url")
        assert download["url"]
        await second.act(job_id, "start")
        with pytest.raises(RefusedError) as refused:  # another's file is not this worker's to deliver
            await second.act(job_id, "submit", {})
        assert refused.value.code == "no-deliverable"
        await second.upload(job_id)
        await second.act(job_id, "submit", {})
        await client.act(job_id, "approve")
    job = await job_of(platform.database, job_id)
    part, whole = preview["workerEarnsUsdCents"], job["pricing"]["payUsdCents"]
    assert 0 < part < whole
    assert offer["payUsdCents"] == whole - part
    await sent(platform, job_id, [part, whole - part])
    await settled(platform, [job_id])
    job = await check_books(platform, job_id)
    assert job["spentCredits"] == job["pricing"]["credits"]
    assert job["earnedUsdCents"] == whole
    with pytest.raises(RefusedError):
        await first.get(f"/jobs/{job_id}")


async def test_a_cancel_costs_what_its_preview_said_and_no_other_terms_are_taken(
    platform: Platform, client: Person, workers: list[Person]
) -> None:
    before = await available(platform, client)
    async with watching(workers) as board:
        job_id, worker = await accepted(client, board)
        early = await client.get(f"/jobs/{job_id}/cancel-preview")
        await worker.act(job_id, "start")
        with pytest.raises(RefusedError) as refused:
            await client.act(
                job_id, "cancel", {"previewVersion": early["version"], "reason": "no longer needed"}
            )
        assert refused.value.code == "stale-preview"
        await worker.act(job_id, "time/start")
        preview = await client.get(f"/jobs/{job_id}/cancel-preview")
        assert preview["clientPays"] > early["clientPays"] > 0
        body = {"previewVersion": preview["version"], "reason": "no longer needed"}
        for _ in range(2):  # a repeat gets the same answer
            assert (await client.act(job_id, "cancel", body))["status"] == "cancelled"
    job = await job_of(platform.database, job_id)
    await sent(platform, job_id, [job["earnedUsdCents"]])
    job = await check_books(platform, job_id)
    assert job["spentCredits"] == round(preview["clientPays"] * 100)
    assert before - await available(platform, client) == job["spentCredits"]
    sheet = await client.get(f"/jobs/{job_id}/time")
    assert sheet.get("running") is None


async def test_a_revision_too_many_has_a_price_that_the_client_agrees_to(
    platform: Platform, client: Person, workers: list[Person]
) -> None:
    async with watching(workers) as board:
        job_id, worker = await delivered(client, board)
        for _ in range(2):
            await client.act(job_id, "request-revision", {"reason": "the second chart is missing"})
            await deliver(job_id, worker)
        asked = await client.act(job_id, "request-revision", {"reason": "and a third chart"})
        assert asked["phase"] == "quoting_revision"
        seen = (await client.get(f"/jobs/{job_id}"))["proposal"]
        quote = {"credits": 0.75, "reason": "a chart is half an hour"}
        await worker.act(job_id, "revision-quote", quote)
        await worker.act(job_id, "revision-quote", quote)  # a repeat: nobody is told again
        with pytest.raises(RefusedError) as refused:  # the client looked before the worker named a price
            await client.act(job_id, "revision-quote/approve", {"extraCredits": seen["extraCredits"]})
        assert refused.value.code == "price-changed"
        proposal = (await client.get(f"/jobs/{job_id}"))["proposal"]
        assert (proposal["extraCredits"], proposal["by"]) == (0.75, "worker")
        await client.act(job_id, "revision-quote/approve", {"extraCredits": proposal["extraCredits"]})
        await deliver(job_id, worker)
        await client.act(job_id, "extend-review")
        await client.act(job_id, "approve")
    await settled(platform, [job_id])
    job = await check_books(platform, job_id)
    assert job["spentCredits"] == job["pricing"]["credits"]
    assert actions(job).count("submit") == 4
    assert actions(job).count("quote_revision") == 1
    await sent(platform, job_id, [job["pricing"]["payUsdCents"]])


async def test_a_dispute_stops_the_clocks_and_ends_with_a_split(
    platform: Platform, client: Person, workers: list[Person], admin: Person
) -> None:
    async with watching(workers) as board:
        job_id, worker = await delivered(client, board)
    path = f"/jobs/{job_id}/dispute"
    await client.act(job_id, "dispute", {"reason": "the numbers are wrong"})
    with pytest.raises(RefusedError) as refused:
        await client.act(job_id, "approve")
    assert refused.value.code == "wrong-state"
    for person, words in ((client, "see page two"), (worker, "they are the client's own numbers")):
        await person.insist("POST", f"{path}/evidence", {"text": words}, key=new_id())
    with pytest.raises(RefusedError) as refused:
        await worker.act(job_id, "dispute/withdraw")
    assert refused.value.code == "not-the-opener"
    assert [item["by"] for item in (await admin.get(path))["evidence"]] == ["client", "worker"]
    body = {"workerShareBasisPoints": 6_000, "reason": "most of it is usable"}
    assert (await admin.insist("POST", f"/admin/jobs/{job_id}/dispute/rule", body))["status"] == "completed"
    job = await job_of(platform.database, job_id)
    price, pay = job["pricing"]["credits"], job["pricing"]["payUsdCents"]
    assert (job["spentCredits"], job["earnedUsdCents"]) == (price * 6 // 10, pay * 6 // 10)
    await sent(platform, job_id, [pay * 6 // 10])
    await settled(platform, [job_id])
    await check_books(platform, job_id)


async def test_a_job_that_nobody_takes_finds_a_worker_at_a_higher_price(
    platform: Platform, client: Person, workers: list[Person], admin: Person
) -> None:
    async with watching(workers) as board:
        job_id = str((await client.post_job())["id"])
        for number in (1, 2):
            await (await board.offer(job_id, number)).act(
                job_id, "offer/decline", {"reason": "it pays too little"}
            )
        await until(
            lambda: client.get(f"/jobs/{job_id}"), lambda job: bool(job["phase"] == "rescue"), "the rescue"
        )
        price = (await client.get(f"/jobs/{job_id}"))["price"]["credits"]
        body = {"credits": round(price + 1, 2), "reason": "the brief is more work than it says"}
        await admin.insist("POST", f"/admin/jobs/{job_id}/propose-price", body)
        await client.act(job_id, "price/decline")
        await client.act(job_id, "raise-price", {"credits": round(price + 2, 2)})
        worker = await board.offer(job_id, 3)
        await worker.act(job_id, "offer/accept")
        await work(job_id, client, worker)
    await settled(platform, [job_id])
    job = await check_books(platform, job_id)
    assert job["spentCredits"] == round((price + 2) * 100)


async def test_an_admin_gives_the_job_to_another_and_moves_its_deadline(
    platform: Platform, client: Person, workers: list[Person], admin: Person
) -> None:
    async with watching(workers) as board:
        job_id, first = await accepted(client, board)
        body = {"reason": "does not answer"}
        await admin.insist("POST", f"/admin/jobs/{job_id}/reassign", body)
        second = await board.offer(job_id, 2)
        assert second.id != first.id
        await second.act(job_id, "offer/accept")
        later = (utcnow() + timedelta(days=20)).isoformat()
        body = {"reason": "the files came late", "to": later}
        await admin.insist("POST", f"/admin/jobs/{job_id}/extend-deadline", body)
        with pytest.raises(RefusedError) as refused:
            await admin.insist(
                "POST", f"/admin/jobs/{job_id}/extend-deadline", body | {"to": "2020-01-01T00:00:00Z"}
            )
        assert refused.value.code == "deadline-not-later"
        await work(job_id, client, second)
    await settled(platform, [job_id])
    job = await check_books(platform, job_id)
    await sent(platform, job_id, [job["pricing"]["payUsdCents"]])


async def test_an_unclear_brief_is_asked_about_once(
    platform: Platform, client: Person, workers: list[Person]
) -> None:
    async with watching(workers) as board:
        posted = await client.post_job(title="Some help please", description="Please help me with my things.")
        job_id = str(posted["id"])
        job = await until(
            lambda: client.get(f"/jobs/{job_id}"), lambda job: bool(job["clarification"]), "the question"
        )
        assert job["clarification"]["question"].endswith("?")
        answer: httpx2.Response = await client.call(
            "POST",
            f"/jobs/{job_id}/clarify",
            {"answer": "A dashboard in Excel with charts of our sales data"},
        )
        assert answer.status_code == 200, answer.text
        worker = await board.offer(job_id, 1)
        await worker.act(job_id, "offer/accept")
        await work(job_id, client, worker)
    await settled(platform, [job_id])
    job = await check_books(platform, job_id)
    assert "microsoft-excel" in job["requiredSkills"]
