"""Jobs in every state with their parties, made of the app's own models; each secret in them is a text of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx2
from beanie import Document
from fastapi import FastAPI
from pymongo.asynchronous.database import AsyncDatabase

from app.documents import utcnow
from app.files.models import FilePurpose, FileStatus, JobFile
from app.files.rules import bucket_of, confirmed_key, upload_key
from app.ids import new_id
from app.jobs.change import Delivery, Dispute, OfferStatus, TimelineEntry
from app.jobs.models import (
    Job,
    JobPayout,
    Offer,
    RankingRecord,
    RatingGiven,
    Ratings,
    offer_id,
    ranking_id,
)
from app.jobs.policy import JobPolicy, Urgency
from app.jobs.posting import insert_job
from app.jobs.pricing import Quote
from app.lifecycle import (
    AWAITING_APPROVAL,
    CLARIFYING,
    OFFERING,
    QUOTING,
    QUOTING_REVISION,
    RATING,
    READY,
    REPRICING,
    RESCUE,
    WORK_DISPUTED,
    WORKING,
    Action,
    Actor,
    State,
)
from app.matching.models import Factor, ScoreCard
from app.notifications.models import Notification
from app.parsing.models import ParsedBrief
from app.settings import Settings
from app.timetracking.models import StoppedBy, TimeEntry
from app.timetracking.service import TimeTracking
from app.users.models import Role
from devstack.stack import Stack
from tests.api.access_table import Caller, Scene
from tests.api.people import People, Person

Database = AsyncDatabase[dict[str, Any]]

STATES: dict[Scene, State] = {
    Scene.CLARIFYING: CLARIFYING,
    Scene.QUOTING: QUOTING,
    Scene.RESCUE: RESCUE,
    Scene.REPRICING: REPRICING,
    Scene.QUOTING_REVISION: QUOTING_REVISION,
    Scene.DISPUTED: WORK_DISPUTED,
    Scene.OFFERING: OFFERING,
    Scene.READY: READY,
    Scene.WORKING: WORKING,
    Scene.REVIEW: AWAITING_APPROVAL,
    Scene.COMPLETED: RATING,
}
WITHOUT_WORKER = (Scene.CLARIFYING, Scene.QUOTING, Scene.OFFERING, Scene.RESCUE, Scene.REPRICING)
_UNASKED = (Scene.CLARIFYING, Scene.QUOTING)
_ASKED = (Caller.LAPSED, Caller.DECLINED, Caller.WORKER)  # in this order; the offer's number is one more
PRICE, MAX_PRICE, PAY = 7_654_321, 8_888_877, 2_345_678  # hundredths of a credit, and USD cents


def points_of(caller: Caller) -> int:
    """The score of a worker in every ranking; no other number is like it."""
    return 9_101 + list(Caller).index(caller)


@dataclass
class Files:
    """Ids of the files of one job."""

    brief: str = field(default_factory=new_id)
    pending: str = field(default_factory=new_id)  # the client's
    deliverable: str = field(default_factory=new_id)
    unfinished: str = field(default_factory=new_id)  # the worker's, pending


@dataclass
class World:
    """Everybody, logged in, and the jobs that they stand around."""

    http: httpx2.AsyncClient
    app: FastAPI
    database: Database
    settings: Settings
    people: People
    persons: dict[Caller, Person] = field(default_factory=dict)
    jobs: dict[Scene, str] = field(default_factory=dict)
    files: dict[Scene, Files] = field(default_factory=dict)
    notifications: dict[Caller, str] = field(default_factory=dict)

    async def call(
        self, who: Caller | Person | None, method: str, path: str, body: Any = None, **more: Any
    ) -> httpx2.Response:
        """One request; POST and PATCH send an empty body when none is given."""
        person = self.persons[who] if isinstance(who, Caller) else who
        headers = (person.headers if person else {}) | more.pop("headers", {})
        if body is None and method != "GET":
            body = {}
        return await self.http.request(method, path, json=body, headers=headers, **more)

    async def snapshot(self) -> dict[str, Any]:
        """Every document, but the skills."""
        names = sorted(set(await self.database.list_collection_names()) - {"skills"})
        return {name: await self.database[name].find({}).sort("_id", 1).to_list() for name in names}

    def file_url(self, scene: Scene, file_id: str, purpose: FilePurpose = FilePurpose.BRIEF) -> str:
        """The url that confirms a file."""
        bucket = bucket_of(purpose, self.settings)
        url: str = self.app.state.resources.storage.object_url(bucket, upload_key(self.jobs[scene], file_id))
        return url


async def insert(database: Database, document: Document) -> None:
    """Store a model as the app's own writers do."""
    await database[str(document.get_settings().name)].insert_one(document.model_dump(by_alias=True))


def _files(world: World, scene: Scene, job_id: str) -> list[JobFile]:
    ids = world.files[scene]

    def file(
        file_id: str, by: Caller, purpose: FilePurpose, status: FileStatus = FileStatus.CONFIRMED
    ) -> JobFile:
        confirmed = status is FileStatus.CONFIRMED
        return JobFile(
            file_id=file_id,
            purpose=purpose,
            filename=f"{by}-{status}.pdf",
            mime_type="application/pdf",
            size=100 if confirmed else None,
            etag="feedfacecafebeef" if confirmed else None,
            bucket=bucket_of(purpose, world.settings),
            upload_key=upload_key(job_id, file_id),
            key=confirmed_key(job_id, file_id, "feedfacecafebeef") if confirmed else None,
            status=status,
            uploaded_by=world.persons[by].id,
            created_at=utcnow(),
        )

    files = [
        file(ids.brief, Caller.OWNER, FilePurpose.BRIEF),
        file(ids.pending, Caller.OWNER, FilePurpose.BRIEF, FileStatus.PENDING),
    ]
    if scene in (Scene.WORKING, Scene.REVIEW, Scene.COMPLETED):
        files += [
            file(ids.deliverable, Caller.WORKER, FilePurpose.DELIVERABLE),
            file(ids.unfinished, Caller.WORKER, FilePurpose.DELIVERABLE, FileStatus.PENDING),
        ]
    return files


def _timeline(world: World, state: State) -> list[TimelineEntry]:
    """One entry of every kind that has something to hide."""
    entries: list[tuple[Actor, Caller | None, Action, str | None]] = [
        (Actor.SYSTEM, None, Action.REQUEST_CONSENT, "reason-of-the-quote"),
        (Actor.CLIENT, Caller.OWNER, Action.APPROVE_QUOTE, None),
        (Actor.SYSTEM, None, Action.MAKE_OFFER, None),
        (Actor.WORKER, Caller.LAPSED, Action.EXPIRE_OFFER, None),
        (Actor.WORKER, Caller.DECLINED, Action.DECLINE_OFFER, "reason-of-the-decline"),
        (Actor.ADMIN, Caller.ADMIN, Action.ASSIGN, "reason-of-the-admin"),
        (Actor.CLIENT, Caller.OWNER, Action.REQUEST_REVISION, "reason-of-the-revision"),
    ]
    return [
        TimelineEntry(
            seq=number,
            at=utcnow(),
            actor=actor,
            actor_id=world.persons[who].id if who else None,
            action=action,
            status=state.status,
            phase=state.phase,
            reason=reason,
            credits=PRICE,
            usd_cents=PAY,
            details={"internal": "details-of-the-timeline"},
            correlation_id="correlation-of-another",
        )
        for number, (actor, who, action, reason) in enumerate(entries, 1)
    ]


def _dispute(world: World) -> Dispute:
    return Dispute(
        number=1,
        opened_by=Actor.CLIENT,
        opened_by_id=world.persons[Caller.OWNER].id,
        reason="reason-of-the-dispute",
        opened_at=utcnow(),
        evidence_until=utcnow() + timedelta(hours=72),
    )


def _job(world: World, scene: Scene, job_id: str) -> Job:
    state, now = STATES[scene], utcnow()
    worker = world.persons[Caller.WORKER].id
    held = scene not in WITHOUT_WORKER
    timeline = _timeline(world, state)
    delivered = [
        Delivery(number=1, at=now, file_ids=[world.files[scene].deliverable], note="note-of-delivery")
    ]
    done = scene is Scene.COMPLETED
    return Job(
        id=job_id,
        client_id=world.persons[Caller.OWNER].id,
        worker_id=worker if held else None,
        offered_worker_id=worker if scene is Scene.OFFERING else None,
        title=f"title-of-the-job in {scene}",
        description="description-of-the-job",
        urgency=Urgency.NORMAL,
        max_credits=MAX_PRICE,
        status=state.status,
        phase=state.phase,
        seq=len(timeline),
        rate=100,
        policy=JobPolicy(),
        parsed=ParsedBrief(summary="summary-of-the-brief"),
        pricing=Quote(
            credits=PRICE, pay_usd_cents=PAY, hours_likely=4.0, rate=100, urgency_basis_points=10_000
        ),
        category="admin-support",
        assignments=1 if held else 0,
        held_credits=0 if done else PRICE,
        spent_credits=PRICE if done else 0,
        earned_usd_cents=PAY if done else 0,
        dispute=_dispute(world) if scene is Scene.DISPUTED else None,
        offer_number=0 if scene in _UNASKED else len(_ASKED),
        round=0 if scene in _UNASKED else 1,
        deliveries=delivered if scene in (Scene.REVIEW, Scene.COMPLETED) else [],
        needs_admin=True,
        needs_admin_reason="why-admins-are-needed",
        timeline=timeline,
        files=_files(world, scene, job_id),
        payout=JobPayout(status="held", stripe_transfer_id="tr_hidden", reason="reason-of-the-payout", at=now)
        if done
        else None,
        ratings=Ratings(
            by_client=RatingGiven(rating=5, comment="comment-that-is-revealed", given_at=now), revealed_at=now
        )
        if done
        else None,
        created_at=now,
        updated_at=now,
        completed_at=now - timedelta(days=30) if done else None,
        correlation_id="correlation-of-the-job",
    )


def _offers(world: World, scene: Scene, job_id: str) -> list[Offer]:
    taken = OfferStatus.OPEN if scene is Scene.OFFERING else OfferStatus.ACCEPTED
    statuses = (OfferStatus.EXPIRED, OfferStatus.DECLINED, taken)
    now = utcnow()
    return [
        Offer(
            id=offer_id(job_id, number),
            job_id=job_id,
            number=number,
            worker_id=world.persons[who].id,
            status=status,
            round=1,
            rank=number,
            score=points_of(who),
            made_at=now,
            expires_at=now + timedelta(minutes=60),
            reason="reason-of-the-decline" if status is OfferStatus.DECLINED else None,
        )
        for number, (who, status) in enumerate(zip(_ASKED, statuses, strict=True), 1)
    ]


def _ranking(world: World, job_id: str) -> RankingRecord:
    cards = [
        ScoreCard(
            worker_id=world.persons[who].id,
            rank=number,
            score=points_of(who),
            eligible=True,
            factors=[Factor(name="skill_fit", value=1.0, weight=10_000, points=points_of(who))],
        )
        for number, who in enumerate((*_ASKED, Caller.STRANGER), 1)
    ]
    return RankingRecord(
        id=ranking_id(job_id, 1),
        job_id=job_id,
        round=1,
        version="1",
        widened=False,
        at=utcnow(),
        required_skills=[],
        cards=cards,
    )


async def add_job(world: World, scene: Scene, **changed: Any) -> str:
    """Store one job with its offers and score card; `changed` are fields of `Job`."""
    world.files.setdefault(scene, Files())
    job = _job(world, scene, new_id()).model_copy(update=changed)
    await insert_job(world.database, job)
    if scene not in _UNASKED:
        for offer in _offers(world, scene, job.id):
            await insert(world.database, offer)
        await insert(world.database, _ranking(world, job.id))
    return str(job.id)


async def _notify(world: World, who: Caller) -> None:
    key = f"{world.jobs[Scene.REVIEW]}:4:{list(Caller).index(who)}"
    world.notifications[who] = key
    await insert(
        world.database,
        Notification(
            id=key,
            user_id=world.persons[who].id,
            job_id=world.jobs[Scene.REVIEW],
            type="job.submitted",
            title=f"notification-of-{who}",
            message="…",
            created_at=utcnow(),
        ),
    )


@asynccontextmanager
async def open_world(
    app: FastAPI, database: Database, settings: Settings, stack: Stack
) -> AsyncIterator[World]:
    """One set of people and jobs for a module."""
    stack.require("temporal", "s3")
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
        made = World(http, app, database, settings, People(http, database, settings))
        for caller in Caller:
            made.persons[caller] = await made.people.someone(caller.role)
        http.cookies.clear()
        for scene in Scene:
            made.jobs[scene] = await add_job(made, scene)
        for caller in Caller:
            await _notify(made, caller)
        yield made


async def run_timer(world: World, scene: Scene) -> None:
    """Let the worker's timer run on the job that is being worked on, as a fresh one."""
    if scene is Scene.WORKING:
        tracking = TimeTracking(world.database, idle_seconds=900)
        await tracking.start(world.jobs[scene], world.persons[Caller.WORKER].id, utcnow())


async def track_time(world: World, scene: Scene) -> None:
    """An entry of the worker's on a job, with a note."""
    now = utcnow()
    entry = TimeEntry(
        id=new_id(),
        job_id=world.jobs[scene],
        worker_id=world.persons[Caller.WORKER].id,
        started_at=now - timedelta(hours=1),
        stopped_at=now,
        seconds=3600,
        stopped_by=StoppedBy.WORKER,
        note="note-of-the-time",
    )
    await insert(world.database, entry)


async def shut_out(world: World, role: Role, how: str) -> Person:
    """Somebody whose token was good until their account was disabled, or their session ended."""
    person = await world.people.someone(role)
    world.http.cookies.clear()
    resources = world.app.state.resources
    if how == "disabled":
        await resources.users.set_disabled(person.id, disabled=True)
    else:
        await resources.sessions.end_all(person.id, "logout")
    return person


async def everything_shown(world: World, caller: Caller, job_ids: list[str]) -> str:
    """The answers of every route that reads."""
    paths = ["/jobs?limit=100", "/offers", "/notifications?limit=100", "/admin/jobs?limit=100"]
    for job_id in job_ids:
        paths += [f"/jobs/{job_id}{rest}" for rest in ("", "/state", "/files", "/time")] + [
            f"/admin/jobs/{job_id}"
        ]
    return "\n".join([(await world.call(caller, "GET", path)).text for path in paths])
