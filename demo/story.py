"""The story of one job, from the client's payment for a tier to the worker's bank, told while it happens."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rich.markup import escape

from app.seed.people import Cast
from demo import briefs
from demo.checkout import CARD, Till
from demo.door import Door, Json, LateError, Person, RefusedError, until
from demo.show import Show, credits_text, dollars_text, show_cards, skill_names

_OPEN = "open"
_PAID = "checkout.session.completed"


@dataclass(slots=True)
class Story:
    """One job and the people in it. Play the chapters in order; `job_id` is known after the first."""

    door: Door
    show: Show
    cast: Cast
    client: Person
    admin: Person
    till: Till
    offer_window_seconds: int
    job_id: str = ""
    people: dict[str, Person] = field(default_factory=dict)

    async def play(self) -> None:
        """From the checkout to the bank."""
        await self.subscribed()
        await self.post()
        await self.read_and_ranked()
        await self.declined()
        late = await self.lapsed()
        worker = await self.accepted(late)
        await self.worked(worker)
        await self.paid(worker)
        await self.rated(worker)
        await self.banked(worker)

    async def subscribed(self) -> None:
        """The client pays for a tier on Stripe's page, and the credits come by Stripe's word alone."""
        self.show.section("A client subscribes")
        tier = self.cast.clients[0].tier
        sold = next(
            one for one in (await self.client.get("/subscriptions/tiers"))["tiers"] if one["name"] == tier
        )
        self._say_client(
            f"has no credits yet, and chooses the tier {tier}: {dollars_text(sold['priceUsdCents'])} a month for "
            f"{credits_text(sold['credits'])}"
        )
        page = await self.till.choose(self.client, tier)
        self._say(f"answers with a page of Stripe's to pay on: {escape(page.url)}")
        self._say_client(
            f"opens it, types in the test card {_spaced(CARD)} and presses “{escape(page.button)}”"
        )
        back = await self.till.pay(self.client, page)
        self._say_stripe(f"takes the money, and leads back to {escape(back)}")
        now = await self.till.granted(self.client)
        events = await until(
            partial(self.till.events, page), lambda seen: _PAID in seen, f"the event {_PAID}", every=0.5
        )
        self._say_stripe(
            f"told it in {len(events)} signed events: {escape(', '.join(dict.fromkeys(events)))}"
        )
        self._say(
            f"read it all from Stripe again, whichever came first, and granted [bold]{credits_text(now['available'])}"
            f"[/bold], once; the subscription is {now['status']} and {now['next']} at {_day(now['nextAt'])}"
        )

    async def post(self) -> None:
        """The client posts, with a file."""
        self.show.section("A client posts a job")
        me = await self.client.get("/users/me")
        credits_ = me["client"]["credits"]
        self._say_client(
            f"is on the {me['client']['tier']} tier with {credits_text(credits_['available'])} to spend"
        )
        self.show.panel(briefs.STORY.title, briefs.STORY.description)
        body = {"title": briefs.STORY.title, "description": briefs.STORY.description, "maxCredits": 15}
        job = await self.client.post("/jobs", body)
        self.job_id = job["id"]
        self._say_client(f"posts job {self.job_id}, and agrees to up to 15 credits")
        await self.client.upload(
            self.job_id, briefs.NOTES_NAME, "text/markdown", briefs.NOTES, "Menu, hours and tone"
        )
        self._say_client(f"uploads {briefs.NOTES_NAME} by a presigned URL, and it is confirmed")

    async def read_and_ranked(self) -> None:
        """What the platform made of the brief, and whom it will ask."""
        self.show.section("The brief is read, priced, and the workers are ranked")
        job = await until(self._admin_view, lambda view: bool(view["offers"]), "the first offer")
        reading, price = job["reading"], job["price"]
        reader = reading.get("model") or reading.get("rulesVersion") or ""
        self._say(
            f"read by [bold]{escape(reading['parser'])}[/bold] ({escape(reader)}), "
            f"confidence {reading['confidence']:.2f}: a {reading['complexity']} job in {reading['category']}"
        )
        self._say(f"needs {escape(skill_names(reading['requiredSkills']))}")
        self._say(
            f"hours {reading['hoursLow']:g} to {reading['hoursHigh']:g}, likely {reading['hoursLikely']:g}: "
            f"priced at [bold]{credits_text(price['credits'])}[/bold], of which the worker gets "
            f"[bold]{dollars_text(price['payUsdCents'])}[/bold]"
        )
        held = (await self.client.get("/users/me"))["client"]["credits"]["held"]
        self._say(f"holds {credits_text(held)} of the client's, so that nobody can spend them twice")
        show_cards(self.show, job["rankings"][0], {worker.id: worker.name for worker in self.cast.workers})

    async def declined(self) -> None:
        """The first worker says no; the next is asked at once."""
        self.show.section("The offers")
        self.show.note(
            f"The window to answer is {self.offer_window_seconds} seconds in this demo; it is 15 minutes by default."
        )
        worker = await self._offered(1)
        await self._show_offer(worker)
        await worker.post(f"/jobs/{self.job_id}/offer/decline", {"reason": "I am away until Monday"})
        self._say_worker(worker, "declines: I am away until Monday")

    async def lapsed(self) -> Person:
        """The second says nothing until it is too late."""
        worker = await self._offered(2)
        await self._show_offer(worker)
        third_can_log_in = asyncio.create_task(self._log_in_likely())
        await until(
            self._admin_view,
            lambda view: view["offers"][1]["status"] == "expired",
            "the second offer's lapse",
            seconds=self.offer_window_seconds + 15,
        )
        await third_can_log_in
        self._say_worker(worker, "does not answer, and the offer lapses")
        return worker

    async def accepted(self, late: Person) -> Person:
        """The third accepts; the second, who comes late, is told so."""
        worker = await self._offered(3)
        await self._show_offer(worker)
        answer = await worker.post(f"/jobs/{self.job_id}/offer/accept")
        self._say_worker(worker, f"accepts; the job is [bold]{answer['status']}[/bold]")
        try:
            await late.post(f"/jobs/{self.job_id}/offer/accept")
        except RefusedError as refused:
            if refused.code != "offer-expired":
                raise
            self._say_worker(late, f"tries to accept after all: {refused.status}, {_detail(refused)}")
        else:
            raise LateError("a lapsed offer was accepted")
        return worker

    async def worked(self, worker: Person) -> None:
        """Two submissions, with a revision between them, and the approval."""
        self.show.section("The work")
        await self._deliver(worker, "starts", "First version", revised=False)
        await self.client.post(f"/jobs/{self.job_id}/request-revision", {"reason": briefs.REVISION})
        self._say_client(f"asks for a revision: {escape(briefs.REVISION)}")
        await self._deliver(worker, "starts again", "Button and map are as you asked", revised=True)
        state = await self.client.get(f"/jobs/{self.job_id}/state")
        self._say(f"waits for the client, who may: {', '.join(state['allowedActions'])}")
        await self.client.post(f"/jobs/{self.job_id}/approve")
        self._say_client("approves")

    async def paid(self, worker: Person) -> None:
        """The credits are spent and the worker's money is sent."""
        self.show.section("The money")
        credits_ = (await self.client.get("/users/me"))["client"]["credits"]
        price = (await self._admin_view())["price"]
        self._say(
            f"posts {credits_text(price['spentCredits'])} of the hold; the client has "
            f"{credits_text(credits_['available'])} left and {credits_text(credits_['held'])} held"
        )
        job = await until(self._admin_view, _is_paid, "the payout", seconds=30)
        self._say_stripe(
            f"transfer of [bold]{dollars_text(job['price']['earnedUsdCents'])}[/bold] to {worker.name} sent"
        )

    async def rated(self, worker: Person) -> None:
        """Each rates the other, and neither sees it before both have."""
        self.show.section("The ratings")
        path = f"/jobs/{self.job_id}/reviews"
        answer = await self.client.post(
            path, {"rating": 5, "comment": "Friendly, exact, and the page is quick"}
        )
        hidden = "ratings" not in (seen := await worker.get(f"/jobs/{self.job_id}")) or not seen["ratings"]
        if answer["revealed"] or not hidden:
            raise LateError("the first rating was shown before the second was in")
        self._say_client("rates the worker; nobody sees it yet")
        await worker.post(path, {"rating": 5, "comment": "A clear brief and quick answers"})
        self._say_worker(worker, "rates the client")
        job = await until(self._admin_view, _is_rated, "the reveal of the ratings")
        for side, title in (("byClient", "of the worker"), ("byWorker", "of the client")):
            rating = job["ratings"][side]
            self._say(f"reveals the rating {title}: {'★' * rating['rating']} {escape(rating['comment'])}")
        for person in (self.client, worker):
            await until(partial(person.get, "/notifications"), _told_of_ratings, "the last notices")

    async def banked(self, worker: Person) -> None:
        """The worker's balance goes to the bank, without waiting for Monday."""
        self.show.section("The bank")
        account = await worker.get("/payments/account")
        terms = account["terms"]
        self._say_worker(
            worker,
            f"has {dollars_text(account['availableUsdCents'])} on the payout account; the least that goes to a bank in "
            f"{terms['country']} is {dollars_text(terms['minimumUsdCents'])}, every {terms['everyDays']} days",
        )
        await self.admin.post("/admin/payouts/run", {"workerId": worker.id})
        self.show.line("admin", "has it paid out now", name=self.admin.name)
        payouts = await until(
            partial(worker.get, "/payments/payouts"), _is_banked, "the bank payout", seconds=30
        )
        payout = payouts["items"][0]
        self._say_stripe(
            f"payout of [bold]{dollars_text(payout['amountUsdCents'])}[/bold] to {worker.name}'s bank "
            f"{payout['status']}"
        )

    # -- inside ----------------------------------------------------------------------------------------------

    async def _deliver(self, worker: Person, verb: str, note: str, *, revised: bool) -> None:
        await worker.post(f"/jobs/{self.job_id}/start")
        self._say_worker(worker, verb)
        content = briefs.page(revised=revised)
        await worker.upload(self.job_id, briefs.DELIVERABLE_NAME, briefs.DELIVERABLE_TYPE, content)
        answer = await worker.post(f"/jobs/{self.job_id}/submit", {"note": note})
        self._say_worker(
            worker, f"uploads {briefs.DELIVERABLE_NAME} and submits; the job is in {answer['status']}"
        )

    async def _offered(self, number: int) -> Person:
        """Wait for an offer, and return its worker, logged in."""
        job = await until(
            self._admin_view,
            lambda view: len(view["offers"]) >= number and view["offers"][number - 1]["status"] == _OPEN,
            f"offer {number}",
        )
        return await self._log_in(job["offers"][number - 1]["workerId"])

    async def _log_in(self, worker_id: str) -> Person:
        if worker_id not in self.people:
            email = next(worker.email for worker in self.cast.workers if worker.id == worker_id)
            self.people[worker_id] = await self.door.login(email)
        return self.people[worker_id]

    async def _log_in_likely(self) -> None:
        """A password check takes a while, and the next offer's window is short: have the third logged in."""
        cards = (await self._admin_view())["rankings"][0]["cards"]
        for card in cards[2:3]:
            await self._log_in(card["workerId"])

    async def _show_offer(self, worker: Person) -> None:
        offers = (await worker.get("/offers"))["items"]
        offer = next(offer for offer in offers if offer["jobId"] == self.job_id)
        self._say_worker(
            worker,
            f"sees an offer of {dollars_text(offer['payUsdCents'])} for {offer['hoursLikely']:g} hours, "
            f"their score {offer['score']} (rank {offer['rank']})",
        )

    async def _admin_view(self) -> Json:
        return await self.admin.get(f"/admin/jobs/{self.job_id}")

    def _say(self, text: str) -> None:
        self.show.line("nimmit", text)

    def _say_stripe(self, text: str) -> None:
        self.show.line("stripe", text, name="sandbox")

    def _say_client(self, text: str) -> None:
        self.show.line("client", text, name=self.client.name)

    def _say_worker(self, worker: Person, text: str) -> None:
        self.show.line("worker", text, name=worker.name)


def _spaced(card: str) -> str:
    """A card's number as it stands on the card."""
    return " ".join(card[start : start + 4] for start in range(0, len(card), 4))


def _day(instant: str) -> str:
    return instant[:10]


def _detail(refused: RefusedError) -> str:
    return escape(str(refused.problem.get("detail", "")))


def _is_paid(job: dict[str, Any]) -> bool:
    return bool(job.get("payout")) and job["payout"]["status"] == "sent"


def _is_banked(payouts: Json) -> bool:
    return bool(payouts["items"]) and payouts["items"][0]["status"] in ("pending", "in_transit", "paid")


def _told_of_ratings(inbox: Json) -> bool:
    return any(notice["type"] == "review.revealed" for notice in inbox["items"])


def _is_rated(job: dict[str, Any]) -> bool:
    ratings = job.get("ratings") or {}
    return bool(ratings.get("revealedAt") and ratings["byClient"] and ratings["byWorker"])
