"""Who is seeded: a pure function of a seed. Thirty workers over six trades, clients with a tier, one admin.

The addresses end in `.example`, which no mail server serves (RFC 2606).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from random import Random

from app.seed.names import FAMILY_NAMES, GIVEN_NAMES
from app.subscriptions.tiers import TierName
from app.users.hours import WEEKDAYS, TimeRange, WorkingHours
from app.users.models import OfferStats, Rating

DEFAULT_SEED = 7
DEFAULT_WORKERS = 30
MAX_WORKERS = len(FAMILY_NAMES) * len(GIVEN_NAMES)

# What the people of a trade know: all of them the first two, each some of the rest.
TRADES: dict[str, tuple[str, ...]] = {
    "web": (
        "web-development",
        "landing-pages",
        "html",
        "css",
        "javascript",
        "react",
        "wordpress",
        "web-design",
        "front-end-development",
        "copywriting",
    ),
    "design": (
        "graphic-design",
        "logo-design",
        "brand-identity",
        "illustration",
        "web-design",
        "figma",
        "landing-pages",
        "print-design",
        "photo-editing",
        "adobe-illustrator",
    ),
    "writing": (
        "content-writing",
        "copywriting",
        "blog-writing",
        "article-writing",
        "seo-writing",
        "editing",
        "proofreading",
        "english",
        "khmer",
        "translation",
    ),
    "data": (
        "data-analysis",
        "microsoft-excel",
        "spreadsheets",
        "dashboards",
        "data-cleaning",
        "data-visualization",
        "sql",
        "python",
        "power-bi",
        "data-entry",
    ),
    "admin": (
        "virtual-assistance",
        "data-entry",
        "web-research",
        "email-management",
        "calendar-management",
        "list-building",
        "customer-service",
        "lead-generation",
        "microsoft-excel",
        "document-formatting",
    ),
    "media": (
        "video-editing",
        "motion-graphics",
        "adobe-premiere",
        "after-effects",
        "social-media-design",
        "social-media-marketing",
        "photo-editing",
        "subtitling",
        "youtube-marketing",
        "audio-editing",
    ),
}

# Shifts of one week: zone, ranges of a working day, and the weekdays, Monday being 0. A night is two ranges. Between
# them somebody of every trade is awake at most hours, and somebody of all trades at every hour (tested).
_PHNOM_PENH = "Asia/Phnom_Penh"
_SHIFTS: tuple[tuple[str, tuple[tuple[str, str], ...], tuple[int, ...]], ...] = (
    (_PHNOM_PENH, (("07:00", "12:00"), ("13:00", "17:00")), (0, 1, 2, 3, 4, 5)),
    (_PHNOM_PENH, (("13:00", "22:00"),), (0, 2, 3, 4, 5, 6)),
    (_PHNOM_PENH, (("00:00", "07:00"), ("21:00", "24:00")), (0, 1, 2, 3, 4, 5, 6)),
    (_PHNOM_PENH, (("07:00", "13:00"), ("14:00", "17:00")), (2, 3, 4, 5, 6)),
    ("Asia/Bangkok", (("00:00", "08:00"),), (0, 1, 2, 3, 4, 5, 6)),
    ("America/Los_Angeles", (("08:00", "17:00"),), (0, 1, 2, 3, 4)),
    ("Europe/Paris", (("09:00", "18:00"),), (0, 1, 2, 3, 4)),
    ("Australia/Melbourne", (("09:00", "17:30"),), (0, 1, 2, 3, 4)),
)
# Which of them the first, second, … worker of a trade has, by the trade's place: diaspora in some trades only.
_SHIFTS_OF_A_TRADE = ((0, 1, 2, 3, 5), (0, 1, 2, 3, 6), (0, 1, 4, 3, 2), (7, 1, 2, 3, 4))


@dataclass(frozen=True, slots=True)
class SeedWorker:
    """One worker to be. `worked_with_first_client` is how many jobs they completed for the first client."""

    id: str
    email: str
    name: str
    trade: str
    skills: list[str]
    timezone: str
    working_hours: WorkingHours
    capacity: int
    opted_in_urgent: bool
    rating: Rating
    offers: OfferStats
    completed_jobs: int
    worked_with_first_client: int = 0


@dataclass(frozen=True, slots=True)
class SeedClient:
    """One client to be, on a tier."""

    id: str
    email: str
    name: str
    company: str
    tier: TierName


@dataclass(frozen=True, slots=True)
class SeedAdmin:
    """The admin to be."""

    id: str
    email: str
    name: str


@dataclass(frozen=True, slots=True)
class Cast:
    """Everybody. The first client is on the growth tier."""

    admin: SeedAdmin
    clients: list[SeedClient] = field(default_factory=list)
    workers: list[SeedWorker] = field(default_factory=list)

    @property
    def everybody(self) -> list[SeedAdmin | SeedClient | SeedWorker]:
        """All of them, the admin first."""
        return [self.admin, *self.clients, *self.workers]


_COMPANIES = (
    ("Maya Lindqvist", "Lotus & Lime Noodle House"),
    ("Owen Castellano", "Harbor Lane Bakery"),
    ("Priya Raman", "Fernwood Physiotherapy"),
    ("Jonas Weber", "Nordlicht Bicycles"),
    ("Amara Okafor", "Okafor & Daughters Textiles"),
    ("Claire Fontaine", "Petit Marché Delivery"),
    ("Diego Herrera", "Cumbre Trail Gear"),
    ("Hannah Price", "Price Street Dental"),
    ("Tom Gallagher", "Gallagher Property Care"),
    ("Yuki Tanabe", "Tanabe Ceramics"),
)


def make_cast(seed: int = DEFAULT_SEED, *, workers: int = DEFAULT_WORKERS, clients: int = 1) -> Cast:
    """Everybody for this seed: the same each time, and the first ones the same however many are asked for.

    Raises:
        ValueError: more workers than there are names.
    """
    if workers > MAX_WORKERS:
        raise ValueError(f"there are names for {MAX_WORKERS} workers")
    names = [f"{family} {given}" for family in FAMILY_NAMES for given in GIVEN_NAMES]
    Random(f"names:{seed}").shuffle(names)  # noqa: S311  # repeatable, not secret
    return Cast(
        admin=SeedAdmin(person_id(seed, "admin", 0), "admin@nimmit.example", "Nary Admin"),
        clients=[_client(seed, number) for number in range(clients)],
        workers=[_worker(seed, number, names[number]) for number in range(workers)],
    )


def person_id(seed: int, kind: str, number: int) -> str:
    """The id of a seeded person: of the right shape (24 hex digits), and the same each time."""
    return sha256(f"nimmit-seed:{seed}:{kind}:{number}".encode()).hexdigest()[:24]


def _client(seed: int, number: int) -> SeedClient:
    name, company = _COMPANIES[number % len(_COMPANIES)]
    turn = number // len(_COMPANIES)
    return SeedClient(
        id=person_id(seed, "client", number),
        email=f"{name.split()[0].lower()}{turn or ''}@client.example",
        name=name,
        company=company if not turn else f"{company} {turn + 1}",
        tier=TierName.GROWTH if number == 0 else TierName.SCALE,
    )


def _worker(seed: int, number: int, name: str) -> SeedWorker:
    random = Random(f"worker:{seed}:{number}")  # noqa: S311  # repeatable, not secret
    trades = list(TRADES)
    trade, place = trades[number % len(trades)], number // len(trades)
    zone, ranges, days = _SHIFTS[_shift_of(number % len(trades), place)]
    count = 0 if random.random() < 0.15 else random.randint(3, 60)  # some are new here
    offered = count + random.randint(0, count // 2 + 1) if count else 0
    left = offered - count
    declined = random.randint(0, left) if left else 0
    return SeedWorker(
        id=person_id(seed, "worker", number),
        email=f"{name.lower().replace(' ', '.')}@worker.example",
        name=name,
        trade=trade,
        skills=_skills(random, trade),
        timezone=zone,
        working_hours=_hours(ranges, days),
        capacity=random.randint(2, 5),
        opted_in_urgent=random.random() < 0.4,
        rating=Rating(sum=_stars(random, count), count=count),
        offers=OfferStats(offered=offered, accepted=count, declined=declined, expired=left - declined),
        completed_jobs=count,
        worked_with_first_client=random.choice((0, 0, 0, 1, 2)) if count else 0,
    )


def _shift_of(trade: int, place: int) -> int:
    pattern = _SHIFTS_OF_A_TRADE[trade % len(_SHIFTS_OF_A_TRADE)]
    return pattern[place % len(pattern)]


def _skills(random: Random, trade: str) -> list[str]:
    first, second, *rest = TRADES[trade]
    chosen = set(random.sample(rest, random.randint(4, len(rest))))
    return [first, second, *(slug for slug in rest if slug in chosen)]


def _stars(random: Random, count: int) -> int:
    """The sum of so many ratings, mostly fours and fives."""
    lean = random.random()
    return sum(5 if random.random() < 0.45 + lean / 2 else random.choice((4, 4, 4, 3)) for _ in range(count))


def _hours(ranges: tuple[tuple[str, str], ...], days: tuple[int, ...]) -> WorkingHours:
    day = [TimeRange(start=start, end=end) for start, end in ranges]
    return WorkingHours(**{WEEKDAYS[weekday]: day for weekday in days})
