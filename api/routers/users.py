"""One's own account: who am I, and what may I change."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter
from pydantic import AfterValidator, Field, StrictBool, StrictInt, StringConstraints, model_validator

from api.dependencies import CreditsDep, DatabaseDep, UsersDep
from api.openapi import AUTHENTICATED, WITH_BODY, problems
from api.security import AnyRole
from api.types import CreditsOut, RequestModel, ResponseModel
from app.money.credits import Credits
from app.subscriptions.store import find_subscription
from app.users.hours import TimeZoneName, WorkingHours
from app.users.models import MAX_CAPACITY, MAX_SKILLS, Role, User
from app.users.profile import edit_profile

router = APIRouter(prefix="/users", tags=["users"])

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,59}$")]


def _distinct(slugs: list[str]) -> list[str]:
    if len(set(slugs)) != len(slugs):
        raise ValueError("names a skill twice")
    return slugs


class RatingBody(ResponseModel):
    """Stars received: their mean, `null` before the first, and how many."""

    average: float | None
    count: int


class WorkerBody(ResponseModel):
    """What a worker tells of themselves, and how they are doing."""

    skills: list[str]
    timezone: str
    working_hours: WorkingHours
    capacity: int
    available: bool
    opted_in_urgent: bool
    active_jobs: int
    completed_jobs: int
    rating: RatingBody
    payouts_ready: bool


class CreditsBody(ResponseModel):
    """`available` can be spent, unless there is a `debt`; `held` is set aside for jobs under way."""

    available: CreditsOut
    held: CreditsOut
    debt: CreditsOut


class ClientBody(ResponseModel):
    """What a client tells of themselves, and what they have. `tier` is null without a subscription."""

    company: str
    tier: str | None
    credits: CreditsBody


class Me(ResponseModel):
    """One's own account; `worker` or `client` is there by role."""

    id: str
    email: str
    name: str
    role: Role
    email_verified: bool
    created_at: datetime
    worker: WorkerBody | None = None
    client: ClientBody | None = None


class EditMe(RequestModel):
    """Send only what changes. Role, e-mail, ratings, counts and credits are not edited here."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)] | None = None
    skills: Annotated[list[Slug], Field(max_length=MAX_SKILLS), AfterValidator(_distinct)] | None = Field(
        default=None, description="Workers.", examples=[["logo-design", "illustration"]]
    )
    timezone: TimeZoneName | None = Field(default=None, description="Workers.", examples=["Asia/Phnom_Penh"])
    working_hours: WorkingHours | None = Field(
        default=None,
        description="Workers. The whole week: a day left out is a day off. Split a night shift at midnight.",
        examples=[
            {"monday": [{"start": "22:00", "end": "24:00"}], "tuesday": [{"start": "00:00", "end": "06:00"}]}
        ],
    )
    capacity: Annotated[StrictInt, Field(ge=1, le=MAX_CAPACITY)] | None = Field(
        default=None, description="Workers. How many jobs at once."
    )
    available: StrictBool | None = Field(default=None, description="Workers. Off: no offers come.")
    opted_in_urgent: StrictBool | None = Field(
        default=None, description="Workers. On: urgent offers come outside working hours too."
    )
    company: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] | None = Field(
        default=None, description="Clients."
    )

    @model_validator(mode="after")
    def _no_nulls(self) -> Self:
        for name in self.model_fields_set:
            if getattr(self, name) is None:
                raise ValueError(f"`{name}` cannot be null; leave it out to keep it")
        return self


@router.get("/me", responses=problems(*AUTHENTICATED))
async def get_me(principal: AnyRole, users: UsersDep, credits_: CreditsDep) -> Me:
    """One's own account, with credits for clients and the profile for workers."""
    return await _me(credits_, await users.get(principal.user_id))


@router.patch("/me", responses=problems(*AUTHENTICATED, *WITH_BODY, "field-not-for-role", "outcome-unknown"))
async def edit_me(body: EditMe, principal: AnyRole, database: DatabaseDep, credits_: CreditsDep) -> Me:
    """Change one's own profile. A field of another role is refused, and then nothing is changed."""
    changes = body.model_dump(by_alias=True, exclude_unset=True)
    user = await edit_profile(database, principal.user_id, principal.role, changes)
    return await _me(credits_, user)


async def _me(credits_: Credits, user: User) -> Me:
    return Me(
        id=user.id,
        email=user.email,
        name=user.name,
        role=user.role,
        email_verified=user.email_verified,
        created_at=user.created_at,
        worker=_worker(user) if user.role is Role.WORKER else None,
        client=await _client(credits_, user) if user.role is Role.CLIENT else None,
    )


def _worker(user: User) -> WorkerBody | None:
    profile = user.worker_profile
    if profile is None:
        return None
    rating = profile.rating
    return WorkerBody(
        skills=profile.skills,
        timezone=profile.timezone,
        working_hours=profile.working_hours,
        capacity=profile.capacity,
        available=profile.available,
        opted_in_urgent=profile.opted_in_urgent,
        active_jobs=profile.active_jobs,
        completed_jobs=profile.completed_jobs,
        rating=RatingBody(
            average=round(rating.sum / rating.count, 2) if rating.count else None, count=rating.count
        ),
        payouts_ready=profile.can_be_paid,
    )


async def _client(credits_: Credits, user: User) -> ClientBody:
    balance = await credits_.balance(user.id)
    subscription = await find_subscription(user.id)
    return ClientBody(
        company=user.client_profile.company if user.client_profile else "",
        tier=subscription.tier if subscription else None,
        credits=CreditsBody(available=balance.available, held=balance.held, debt=balance.debt),
    )
