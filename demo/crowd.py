"""Many jobs at once: clients who post, workers who look at their offers, an admin who helps out."""

from __future__ import annotations

import asyncio
import statistics
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.seed.people import Cast, SeedWorker
from demo import briefs
from demo.checkout import Till
from demo.door import Door, Json, LateError, Person, RefusedError, until
from demo.show import Show, credits_text

JOBS_PER_CLIENT = 8  # of at most 5 hours at 1.5 times the rate: within the scale tier's 80 credits
_ACCEPTS, _DECLINES = 0.7, 0.85  # shares of the answers to offers; the rest lapse
_LOOK_SECONDS = 1.5  # between two looks of a worker at their offers
_JOB_SECONDS = 240.0
_ENDED_OFFER = frozenset(
    {"offer-expired", "offer-withdrawn", "offer-not-found", "job-taken", "offer-declined"}
)


@dataclass(slots=True)
class Crowd:
    """`play` posts the jobs all at once and returns when each is paid and rated. Repeatable by its seed: who posts
    what and who answers how; what depends on which moment an offer came at may differ."""

    door: Door
    show: Show
    cast: Cast
    admin: Person
    till: Till
    seed: int
    answers: Counter[str] = field(default_factory=Counter)
    clients: list[Person] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)
    _accepted: dict[str, asyncio.Future[Person]] = field(default_factory=dict)

    async def play(self, count: int) -> list[str]:
        """The ids of the jobs, in the order of their posts."""
        clients = self.clients = await self._subscribed()
        self.show.section(f"{count} jobs at once")
        workers = await asyncio.gather(*(self.door.login(item.email) for item in self.cast.workers))
        self.show.note(
            f"{len(clients)} clients post; {len(workers)} workers accept {_ACCEPTS:.0%} of their offers, decline "
            f"{_DECLINES - _ACCEPTS:.0%} and let the rest lapse; an admin helps out. Requests are bounded."
        )
        began = self.show.seconds
        async with asyncio.TaskGroup() as group:
            looks = [
                group.create_task(self._look(person, item))
                for person, item in zip(workers, self.cast.workers, strict=True)
            ]
            looks.append(group.create_task(self._help_out()))
            jobs = await self._drive(clients, count)
            for task in looks:
                task.cancel()
        seconds = self.show.seconds - began
        await self._summary([job for job, _ in jobs], seconds, Counter(note for _, note in jobs))
        return [job for job, _ in jobs]

    async def _subscribed(self) -> list[Person]:
        """The clients who post, each of whom has paid for a tier on Stripe's page."""
        self.show.section("The clients subscribe")
        buyers = self.cast.clients[1:]
        clients = await asyncio.gather(*(self.door.login(item.email) for item in buyers))
        bought = [
            self.till.subscribe(client, item.tier) for client, item in zip(clients, buyers, strict=True)
        ]
        found = await asyncio.gather(*bought)
        credits_ = sum(one["available"] for one in found)
        self.show.note(
            f"{len(found)} clients paid for their tiers on Stripe's page; its signed events brought them "
            f"{credits_text(credits_)} in all."
        )
        return clients

    async def _drive(self, clients: list[Person], count: int) -> list[tuple[str, str]]:
        """Every job, with a bar in a terminal and a line for each tenth in a pipe."""
        tasks = [
            asyncio.create_task(self._job(clients[number % len(clients)], number)) for number in range(count)
        ]
        columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        terminal = self.show.console.is_terminal
        try:
            with Progress(*columns, console=self.show.console, disable=not terminal) as bar:
                row = bar.add_task("jobs paid and rated", total=count)
                for done, finished in enumerate(asyncio.as_completed(tasks), start=1):
                    await finished
                    bar.advance(row)
                    if not terminal and (done * 10 // count) > ((done - 1) * 10 // count):
                        self.show.line("nimmit", f"{done} of {count} jobs paid and rated")
            return [task.result() for task in tasks]
        finally:
            for task in tasks:
                task.cancel()

    async def _job(self, client: Person, number: int) -> tuple[str, str]:
        """One job from post to ratings; its id, and whether a revision was asked for."""
        random = Random(f"job:{self.seed}:{number}")
        post = briefs.bulk_post(random, number)
        body = {"title": post.title, "description": post.description, "urgency": post.urgency}
        job_id = (await client.post("/jobs", body))["id"]
        self._numbers[job_id] = number
        worker = await self._accepted_by(job_id)
        note = await self._work(client, worker, job_id, revise=random.random() < 0.2)
        for person in (client, worker):
            await person.post(f"/jobs/{job_id}/reviews", {"rating": random.choice((4, 5, 5))})
        await until(
            lambda: worker.get(f"/jobs/{job_id}"),
            lambda job: (job.get("payout") or {}).get("status") == "sent",
            f"the payout of job {job_id}",
            seconds=_JOB_SECONDS,
            every=1.5,
        )
        return job_id, note

    async def _work(self, client: Person, worker: Person, job_id: str, *, revise: bool) -> str:
        for round_ in (1, 2):
            await worker.post(f"/jobs/{job_id}/start")
            content = briefs.page(revised=round_ == 2)
            await worker.upload(job_id, briefs.DELIVERABLE_NAME, briefs.DELIVERABLE_TYPE, content)
            await worker.post(f"/jobs/{job_id}/submit", {"note": f"Version {round_}"})
            if round_ == 2 or not revise:
                break
            await client.post(f"/jobs/{job_id}/request-revision", {"reason": briefs.REVISION})
        await client.post(f"/jobs/{job_id}/approve")
        return "revised" if revise else "at once"

    async def _accepted_by(self, job_id: str) -> Person:
        future = self._future(job_id)
        try:
            return await asyncio.wait_for(asyncio.shield(future), _JOB_SECONDS)
        except TimeoutError:
            raise LateError(f"job {job_id} found no worker in {_JOB_SECONDS:g} s") from None

    def _future(self, job_id: str) -> asyncio.Future[Person]:
        return self._accepted.setdefault(job_id, asyncio.get_running_loop().create_future())

    # -- workers and the admin -------------------------------------------------------------------------------

    async def _look(self, person: Person, worker: SeedWorker) -> None:
        """A worker who looks at their offers again and again, and answers each as the seed has it."""
        await asyncio.sleep(Random(worker.id).random() * _LOOK_SECONDS)
        left_alone: set[tuple[str, int]] = set()
        while True:
            for offer in (await person.get("/offers"))["items"]:
                key = (offer["jobId"], offer["number"])
                if key not in left_alone and not await self._answer(person, offer):
                    left_alone.add(key)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _answer(self, person: Person, offer: Json) -> bool:
        """Answer an offer; False when it is let lapse."""
        job_id, number = offer["jobId"], self._numbers.get(offer["jobId"])
        if number is None:
            return True  # the post itself is not answered yet: look again
        luck = Random(f"answer:{self.seed}:{number}:{offer['number']}").random()
        if luck >= _DECLINES and _lapses_soon(offer):
            self.answers["left to lapse"] += 1
            return False
        try:
            if luck < _ACCEPTS:
                await person.post(f"/jobs/{job_id}/offer/accept")
                self.answers["accepted"] += 1
                self._future(job_id).set_result(person)
            else:
                await person.post(f"/jobs/{job_id}/offer/decline", {"reason": "Too busy this week"})
                self.answers["declined"] += 1
        except RefusedError as refused:
            if refused.code not in _ENDED_OFFER | {"worker-at-capacity"}:
                raise
            self.answers[f"refused: {refused.code}"] += 1
        return True

    async def _help_out(self) -> None:
        """The admin: a job that nobody took is given to whoever has a place."""
        while True:
            for job in (await self.admin.get("/admin/jobs?needsAdmin=true&limit=50"))["items"]:
                if job["phase"] == "rescue" and job["id"] in self._numbers:
                    await self._assign(job["id"])
            await asyncio.sleep(_LOOK_SECONDS)

    async def _assign(self, job_id: str) -> None:
        workers = self.cast.workers
        order = Random(f"assign:{self.seed}:{self._numbers[job_id]}").sample(workers, len(workers))
        for worker in order:
            try:
                await self.admin.post(
                    f"/admin/jobs/{job_id}/assign", {"workerId": worker.id, "reason": "Nobody took it"}
                )
            except RefusedError as refused:
                if refused.code != "worker-at-capacity":
                    raise
                continue
            self.answers["assigned by the admin"] += 1
            self._future(job_id).set_result(await self.door.login(worker.email))
            return

    # -- the summary -----------------------------------------------------------------------------------------

    async def _summary(self, job_ids: list[str], seconds: float, notes: Counter[str]) -> None:
        views = [await self.admin.get(f"/admin/jobs/{job_id}") for job_id in job_ids]
        waits = sorted(_seconds(view["createdAt"], view["assignedAt"]) for view in views)
        offers = Counter(len(view["offers"]) for view in views)
        mean = sum(offers.elements()) / len(views)
        rows = {
            "jobs": f"{len(views)} in {seconds:.1f} s: {len(views) / seconds:.2f} jobs/s",
            "post to assigned": f"median {statistics.median(waits):.1f} s, longest {waits[-1]:.1f} s",
            "offers for each job": f"{mean:.2f} on average ("
            + ", ".join(f"{jobs} jobs with {number}" for number, jobs in sorted(offers.items()))
            + ")",
            "answers to offers": ", ".join(f"{count} {what}" for what, count in self.answers.most_common()),
            "approved": ", ".join(f"{count} {what}" for what, count in sorted(notes.items())),
            "HTTP requests": f"{self.door.requests} ({self.door.requests / seconds:.0f} a second), "
            f"{self.door.repeats} repeated after a 503",
        }
        table = Table(title="Summary", title_justify="left", show_header=False)
        for title, text in rows.items():
            table.add_row(title, text)
        self.show.console.print(table)


def _seconds(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def _lapses_soon(offer: Json) -> bool:
    """Whether the demo can wait for it: an offer to somebody off shift stands until their next shift has begun."""
    left = datetime.fromisoformat(offer["expiresAt"]) - datetime.now(UTC)
    return left.total_seconds() < _JOB_SECONDS / 2
