"""Four more jobs, off the main road: left and finished by another, cancelled, priced anew, and disputed."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from rich.markup import escape

from app.jobs.policy import BASIS, JobPolicy
from app.seed.people import Cast
from demo import briefs
from demo.door import Door, Json, Person, RefusedError, until
from demo.show import Show, credits_text, dollars_text

_RULED = 6_000  # basis points for the worker
_PAID_SECONDS = 30
_ENDED_OFFER = frozenset({"offer-expired", "offer-withdrawn"})


@dataclass(slots=True)
class Branches:
    """`play` tells each job as it happens, and returns when each has ended and its pay is sent."""

    door: Door
    show: Show
    cast: Cast
    client: Person
    admin: Person
    people: dict[str, Person] = field(default_factory=dict)
    job_ids: list[str] = field(default_factory=list)

    async def play(self) -> list[str]:
        """The ids of the four jobs."""
        await self._left()
        await self._cancelled()
        await self._priced_anew()
        await self._disputed()
        for job_id in self.job_ids:
            await until(partial(self._view, job_id), _is_settled, "the pay", seconds=_PAID_SECONDS)
        return self.job_ids

    # -- the four ----------------------------------------------------------------------------------------------

    async def _left(self) -> None:
        job_id = await self._post("A worker leaves, and another finishes")
        first = await self._taken(job_id)
        await self._deliver(job_id, first)
        preview = await first.get(f"/jobs/{job_id}/withdraw-preview")
        self._say_worker(
            first,
            f"cannot go on, and would get {dollars_text(preview['workerEarnsUsdCents'])} for leaving now: no time "
            "was tracked",
        )
        await first.post(f"/jobs/{job_id}/withdraw", {"reason": "I am ill and cannot go on"})
        self._say_worker(first, "withdraws; the price stays held, and the search begins anew")
        second = await self._taken(job_id)
        await self._deliver(job_id, second)
        await self._approve(job_id)

    async def _cancelled(self) -> None:
        job_id = await self._post("A client cancels, and knows what it costs")
        worker = await self._taken(job_id)
        await worker.post(f"/jobs/{job_id}/start")
        self._say_worker(worker, "starts")
        preview = await self.client.get(f"/jobs/{job_id}/cancel-preview")
        self._say_client(
            f"asks what a cancel costs: {credits_text(preview['clientPays'])}, and "
            f"{credits_text(preview['clientGetsBack'])} come back ({escape(preview['reason'].replace('_', ' '))})"
        )
        stale = {"previewVersion": "0" * 16, "reason": "We found a template"}
        try:
            await self.client.post(f"/jobs/{job_id}/cancel", stale)
        except RefusedError as refused:
            if refused.code != "stale-preview":
                raise
            self._say("refuses a cancel on other terms than those shown")
        await self.client.post(f"/jobs/{job_id}/cancel", stale | {"previewVersion": preview["version"]})
        self._say_client("cancels on those terms")
        price = (await self._view(job_id))["price"]
        self._say(
            f"spends {credits_text(price['spentCredits'])} of the hold, releases the rest, and pays the worker "
            f"{dollars_text(price['earnedUsdCents'])}"
        )

    async def _priced_anew(self) -> None:
        job_id = await self._post("A revision beyond those in the price")
        worker = await self._taken(job_id)
        await self._deliver(job_id, worker)
        for _ in range(JobPolicy().revision_limit):
            await self.client.post(f"/jobs/{job_id}/request-revision", {"reason": briefs.REVISION})
            self._say_client("asks for a revision that is part of the price")
            await self._deliver(job_id, worker)
        await self.client.post(f"/jobs/{job_id}/request-revision", {"reason": "One more page, please"})
        self._say_client("asks for one more; it is quoted first")
        quote = {"credits": 0.5, "reason": "A new page is half an hour"}
        await worker.post(f"/jobs/{job_id}/revision-quote", quote)
        self._say_worker(worker, f"quotes {credits_text(quote['credits'])} for it")
        agreed = {"extraCredits": quote["credits"]}
        await self.client.post(f"/jobs/{job_id}/revision-quote/approve", agreed)
        self._say_client("agrees; that much more is held")
        await self._deliver(job_id, worker)
        await self._approve(job_id)

    async def _disputed(self) -> None:
        job_id = await self._post("A dispute, and a ruling")
        worker = await self._taken(job_id)
        await self._deliver(job_id, worker)
        await self.client.post(f"/jobs/{job_id}/dispute", {"reason": "The files are not what we agreed"})
        self._say_client("opens a dispute; every clock of the job stands still")
        ruling = {"workerShareBasisPoints": _RULED, "reason": "Most of it is usable"}
        await self.admin.post(f"/admin/jobs/{job_id}/dispute/rule", ruling)
        self.show.line(
            "admin", f"rules: {_RULED / BASIS:.0%} to the worker, the rest back", name=self.admin.name
        )
        price = (await self._view(job_id))["price"]
        self._say(
            f"spends {credits_text(price['spentCredits'])}, returns the rest, and pays the worker "
            f"{dollars_text(price['earnedUsdCents'])}"
        )

    # -- what they share ---------------------------------------------------------------------------------------

    async def _post(self, title: str) -> str:
        self.show.section(title)
        post = briefs.branch_post(len(self.job_ids))
        job = await self.client.post("/jobs", {"title": post.title, "description": post.description})
        self.job_ids.append(str(job["id"]))
        self._say_client(f"posts {escape(post.title)!r}")
        return self.job_ids[-1]

    async def _taken(self, job_id: str) -> Person:
        """Whoever is offered the job accepts; who comes too late leaves it to the next."""
        while True:
            view = await until(partial(self._view, job_id), _has_open_offer, "an offer", seconds=60)
            offer = next(offer for offer in view["offers"] if offer["status"] == "open")
            worker = await self._log_in(offer["workerId"])
            try:
                await worker.post(f"/jobs/{job_id}/offer/accept")
            except RefusedError as refused:
                if refused.code not in _ENDED_OFFER:
                    raise
                continue
            self._say_worker(worker, "is offered the job, and accepts")
            return worker

    async def _deliver(self, job_id: str, worker: Person) -> None:
        await worker.post(f"/jobs/{job_id}/start")
        content = briefs.page(revised=True)
        await worker.upload(job_id, briefs.DELIVERABLE_NAME, briefs.DELIVERABLE_TYPE, content)
        await worker.post(f"/jobs/{job_id}/submit", {})
        self._say_worker(worker, "starts, uploads and submits")

    async def _approve(self, job_id: str) -> None:
        await self.client.post(f"/jobs/{job_id}/approve")
        price = (await self._view(job_id))["price"]
        self._say_client(
            f"approves: {credits_text(price['spentCredits'])} are spent, and "
            f"{dollars_text(price['earnedUsdCents'])} earned"
        )

    async def _log_in(self, worker_id: str) -> Person:
        if worker_id not in self.people:
            email = next(worker.email for worker in self.cast.workers if worker.id == worker_id)
            self.people[worker_id] = await self.door.login(email)
        return self.people[worker_id]

    async def _view(self, job_id: str) -> Json:
        return await self.admin.get(f"/admin/jobs/{job_id}")

    def _say(self, text: str) -> None:
        self.show.line("nimmit", text)

    def _say_client(self, text: str) -> None:
        self.show.line("client", text, name=self.client.name)

    def _say_worker(self, worker: Person, text: str) -> None:
        self.show.line("worker", text, name=worker.name)


def _has_open_offer(view: Json) -> bool:
    return any(offer["status"] == "open" for offer in view["offers"])


def _is_settled(view: Json) -> bool:
    return (view.get("payout") or {}).get("status") == "sent"
