"""One run of the demo: the house is built, the story or the crowd is played, the books are checked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from rich.markup import escape

from app.seed.people import Cast, make_cast
from app.seed.store import SEED_PASSWORD
from demo.books import Check, check_books
from demo.branches import Branches
from demo.checkout import Till
from demo.crowd import JOBS_PER_CLIENT, Crowd
from demo.door import Door, Person
from demo.house import House, await_ready, open_books, seed
from demo.post_box import show_post
from demo.show import Show, show_checks
from demo.story import Story
from workflows.billing import subscription_workflow_id
from workflows.contracts import job_workflow_id, payout_workflow_id, ratings_workflow_id

# What follows a completed job (archive, mails) takes a moment; the books are asked until they agree, or this long.
_SETTLE_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked for. `jobs` is None for the story of one job."""

    seed: int
    jobs: int | None = None
    keep: bool = False
    branches: bool = False

    @property
    def offer_window_seconds(self) -> int:
        """Short, so that a lapse can be watched; longer where workers look now and then, or log in first."""
        return 12 if self.jobs is not None else 8 if self.branches else 5

    def cast(self) -> Cast:
        """Everybody that this takes."""
        clients = 1 if self.jobs is None else 1 + -(-self.jobs // JOBS_PER_CLIENT)
        return make_cast(self.seed, clients=clients)


async def play(plan: Plan, house: House, show: Show) -> bool:
    """Play it through; whether the books agree at the end."""
    cast = plan.cast()
    seeded = await seed(house.settings, cast)  # while the API and the worker come up
    show.note(
        f"Seeded {seeded.people} people (seed {plan.seed}): {len(cast.workers)} workers with payout accounts, "
        f"{len(cast.clients)} {'client' if len(cast.clients) == 1 else 'clients'}, one admin."
    )
    await await_ready(house)
    show.note(f"API and worker, each a process of its own: ready after {show.seconds:.1f} s")
    show.note(f"Offers lapse after {plan.offer_window_seconds} s here, instead of 15 minutes.")
    door, till = Door(house.api_url), Till(house.settings)
    try:
        admin = await door.login(cast.admin.email)
        if plan.jobs is None:
            story = Story(
                door,
                show,
                cast,
                await door.login(cast.clients[0].email),
                admin,
                till,
                offer_window_seconds=plan.offer_window_seconds,
            )
            await story.play()
            branches = Branches(door, show, cast, story.client, admin, people=story.people)
            others = await branches.play() if plan.branches else []
            await show_post(show, house.stack.url("Mail"), [story.client, *story.people.values()])
            client, job_ids = story.client, [story.job_id]
            return await _audit(house, show, client, job_ids, others, keep=plan.keep)
        crowd = Crowd(door, show, cast, admin, till, plan.seed)
        job_ids = await crowd.play(plan.jobs)
        return await _audit(house, show, crowd.clients[0], job_ids, keep=plan.keep)
    finally:
        await till.close()
        await door.close()


async def _audit(
    house: House,
    show: Show,
    client: Person,
    job_ids: Sequence[str],
    branches: Sequence[str] = (),
    *,
    keep: bool,
) -> bool:
    show.section("The demo checks its own books")
    checks = await _checks(house, job_ids, branches)
    agreed = show_checks(show, checks)
    show.section("Where to look")
    last = job_ids[-1] if job_ids else ""
    for title, workflow_id in (
        ("the subscription", subscription_workflow_id(client.id)),
        ("the job", job_workflow_id(last)),
        ("its payout", payout_workflow_id(last)),
        ("its ratings", ratings_workflow_id(last)),
    ):
        show.console.print(f"  {title:<16} {escape(house.workflow_url(workflow_id))}", soft_wrap=True)
    if not keep:
        show.note("These pages end with the demo; with --keep it stays until Ctrl-C.")
    return agreed


async def _checks(house: House, job_ids: Sequence[str], branches: Sequence[str]) -> list[Check]:
    async with open_books(house.settings) as database:
        deadline = asyncio.get_running_loop().time() + _SETTLE_SECONDS
        while True:
            checks = await check_books(database, house.settings, job_ids, branches)
            if all(check.ok for check in checks) or asyncio.get_running_loop().time() > deadline:
                return checks
            await asyncio.sleep(0.5)


def show_addresses(house: House, show: Show) -> None:
    """Every address, for a demo that stays up."""
    rows = {"API": house.api_url, "API reference": f"{house.api_url}/docs"} | house.stack.urls()
    for title, url in rows.items():
        show.console.print(f"  {title:<16} {url}", soft_wrap=True)
    show.note(f"Everybody's password is {SEED_PASSWORD}")
