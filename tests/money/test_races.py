"""Races: on one balance, on one hold, on one key; in one process, in many, and in one that is killed."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from typing import Any

import pytest_asyncio
from temporalio.testing import ActivityEnvironment

from activities.jobs import JobActivities
from app.money.credits import Credits, HoldOutcome
from app.money.earnings import Earnings
from app.money.journal import Journal
from app.money.keys import hold_key
from app.money.verify import open_holds, verify
from app.settings import Settings
from tests.money.support import Database, client
from workflows.messages import HoldCredits, HoldCreditsResult

HOLDS, FUNDS = 200, 50


@pytest_asyncio.fixture
async def owner(database: Database) -> str:
    """A client with credits for 50 holds of one."""
    name = client()
    await Credits(database).grant(name, FUNDS, key=f"grant:{name}", source="test")
    return name


async def _hold(credits_: Credits, owner: str, number: int) -> HoldOutcome:
    return await credits_.hold(owner, f"j{number}", 1, key=hold_key(f"{owner}-{number}"))


async def _check_fifty(database: Database, owner: str, outcomes: list[HoldOutcome]) -> None:
    held = [outcome for outcome in outcomes if outcome.outcome == "held"]
    assert len(held) == FUNDS
    assert sorted(outcome.available for outcome in held) == list(range(FUNDS))
    assert all(outcome.available == 0 for outcome in outcomes if outcome.outcome == "insufficient")
    balance = await Credits(database).balance(owner)
    assert (balance.available, balance.held) == (0, FUNDS)
    assert len([hold for hold in await open_holds(database) if hold.client_id == owner]) == FUNDS
    assert await verify(database) == []


async def test_200_racing_holds_through_one_process(database: Database, owner: str) -> None:
    credits_ = Credits(database)
    outcomes = await asyncio.gather(*(_hold(credits_, owner, n) for n in range(HOLDS)))
    await _check_fifty(database, owner, outcomes)


async def test_200_racing_holds_through_eight_heads(database: Database, owner: str) -> None:
    facades = [Credits(database) for _ in range(8)]
    outcomes = await asyncio.gather(*(_hold(facades[n % 8], owner, n) for n in range(HOLDS)))
    await _check_fifty(database, owner, outcomes)


async def test_200_racing_holds_through_200_cold_heads(database: Database, owner: str) -> None:
    outcomes = await asyncio.gather(
        *(_hold(Credits(database, journal=Journal(database, patience=120)), owner, n) for n in range(HOLDS))
    )
    await _check_fifty(database, owner, outcomes)


async def test_200_racing_jobs_through_their_own_hold_activity(database: Database, owner: str) -> None:
    """As eight workers do it; and then every job asks again, as after an answer that was lost."""
    workers = [JobActivities(database, Credits(database), Earnings(database)) for _ in range(8)]
    temporal = ActivityEnvironment()

    async def ask(number: int) -> HoldCreditsResult:
        request = HoldCredits(job_id=f"{owner}-{number}", client_id=owner, credits=1, number=1)
        return await temporal.run(workers[number % 8].hold_credits, request)

    answers = await asyncio.gather(*(ask(number) for number in range(HOLDS)))
    assert sum(answer.held for answer in answers) == FUNDS
    assert sorted(answer.available for answer in answers if answer.held) == list(range(FUNDS))
    again = await asyncio.gather(*(ask(number) for number in range(HOLDS)))
    assert [answer.held for answer in again] == [answer.held for answer in answers]
    assert (await Credits(database).balance(owner)).held == FUNDS
    holding = {f"{owner}-{number}" for number, answer in enumerate(answers) if answer.held}
    assert {hold.job_id for hold in await open_holds(database) if hold.client_id == owner} == holding
    assert await verify(database) == []


async def test_20_racing_resolutions_have_one_answer(database: Database, owner: str) -> None:
    held = hold_key(owner)
    await Credits(database).hold(owner, "j", 40, key=held)
    facades = [Credits(database) for _ in range(5)]
    answers = await asyncio.gather(
        *(
            facades[n % 5].resolve(owner, held, post=n, release=40 - n, key=f"complete:{owner}:{n}")
            for n in range(20)
        )
    )
    assert len({(answer.transaction_id, answer.posted, answer.released) for answer in answers}) == 1
    assert sum(not answer.already_resolved for answer in answers) == 1
    balance = await Credits(database).balance(owner)
    assert (balance.available, balance.held) == (FUNDS - answers[0].posted, 0)
    assert await verify(database) == []


async def test_20_callers_with_one_key_write_one_transaction(database: Database, owner: str) -> None:
    facades = [Credits(database) for _ in range(5)]
    outcomes = await asyncio.gather(*(_hold(facades[n % 5], owner, 1) for n in range(20)))
    assert len({outcome.transaction_id for outcome in outcomes}) == 1
    assert sum(not outcome.replayed for outcome in outcomes) == 1
    assert (await Credits(database).balance(owner)).held == 1


async def _racer(settings: Settings, database: Database, owner: str) -> Process:
    uri = settings.mongodb_uri.get_secret_value()
    command = (sys.executable, "-m", "tests.money.racer", uri, database.name, owner, str(HOLDS))
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    return process


async def test_racing_processes_one_of_them_killed(
    database: Database, settings: Settings, owner: str
) -> None:
    """Three processes want the same 200 holds; one dies by SIGKILL among its writes; the rest stays at 50."""
    racers = await asyncio.gather(*(_racer(settings, database, owner) for _ in range(3)))
    endings: list[asyncio.Task[tuple[Any, Any]]] = [
        asyncio.create_task(racer.communicate(b"go\n")) for racer in racers
    ]
    while (await Credits(database).balance(owner)).held < FUNDS // 3:  # noqa: ASYNC110  # other processes move it
        await asyncio.sleep(0.01)
    racers[0].kill()
    outputs = [(await ending)[0] for ending in endings]
    assert racers[0].returncode == -9
    assert [racer.returncode for racer in racers[1:]] == [0, 0]
    assert all(FUNDS // 3 < int(output) <= FUNDS for output in outputs[1:])
    outcomes = [await _hold(Credits(database), owner, n) for n in range(HOLDS)]
    assert sum(outcome.replayed for outcome in outcomes) == FUNDS
    assert sum(outcome.outcome == "held" for outcome in outcomes) == FUNDS
    assert (await Credits(database).balance(owner)).held == FUNDS
    assert await verify(database) == []
