"""What is to be delivered to whom and when: rows that are committed together with their events."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from devstack.stripe_sandbox import webhook_endpoints
from devstack.stripe_sandbox.call import Call, Options
from devstack.stripe_sandbox.store import Object, Transaction

_EVERYONE = "*"
_SHUFFLED_SECONDS = 0.5  # over which live deliveries are spread to lose their order
_GIVEN_UP_SECONDS = 3 * 86_400
_LONGEST_WAIT_SECONDS = 12 * 3_600


class Mode(BaseModel):
    """How a platform's events are delivered. The same seed and the same events give the same deliveries.

    `duplicate` and `drop` are probabilities per event and endpoint; `delay_seconds` is the longest wait, drawn
    evenly; `paused` holds everything until it is flushed, in the order that the mode says.
    """

    model_config = ConfigDict(extra="forbid")

    seed: int = 0
    order: Literal["in_order", "shuffled"] = "in_order"
    duplicate: float = Field(default=0, ge=0, le=1)
    drop: float = Field(default=0, ge=0, le=1)
    delay_seconds: float = Field(default=0, ge=0)
    paused: bool = False


@dataclass(frozen=True)
class Delivery:
    """One attempt to come: its row, its event and the endpoint it goes to."""

    seq: int
    event: str
    endpoint: str
    attempt: int
    created: float


def set_mode(tx: Transaction, platform: str | None, mode: Mode) -> None:
    """From now on; for every platform without a mode of its own if none is named."""
    owner = platform or _EVERYONE
    tx.delete(f"mode_{owner}")
    tx.insert(owner, {"id": f"mode_{owner}", "object": "_delivery_mode", "mode": mode.model_dump()})


def mode_of(tx: Transaction, platform: str) -> Mode:
    for name in (platform, _EVERYONE):
        if (found := tx.find("_delivery_mode", f"mode_{name}")) is not None:
            return Mode.model_validate(found["mode"])
    return Mode()


def plan(call: Call, event: Object) -> int:
    """Writes down the deliveries of a new event; returns how many endpoints it is for."""
    endpoints = webhook_endpoints.wanting(call.tx, call.options, call.platform, event)
    if not endpoints:
        return 0
    mode = mode_of(call.tx, call.platform)
    (planned,) = call.tx.sql("SELECT COUNT(*) FROM deliveries WHERE platform = ?", call.platform)[0]
    dice = random.Random(f"{mode.seed}:{planned}")  # noqa: S311  # repeatable on purpose
    for endpoint in endpoints:
        _plan_one(call, event, endpoint, mode, dice)
    return len(endpoints)


def _plan_one(call: Call, event: Object, endpoint: str, mode: Mode, dice: random.Random) -> None:
    dropped = dice.random() < mode.drop
    copies = 2 if dice.random() < mode.duplicate else 1
    for _ in range(copies):
        shuffled = mode.order == "shuffled"
        spread = max(mode.delay_seconds, _SHUFFLED_SECONDS if shuffled and not mode.paused else 0)
        at, rank = call.tx.now + spread * dice.random(), dice.random() if shuffled else 0.0
        state = "dropped" if dropped else "held" if mode.paused else "waiting"
        call.tx.sql(
            "INSERT INTO deliveries (event, endpoint, platform, at, rank, attempt, state, created) "
            "VALUES (?, ?, ?, ?, ?, 1, ?, ?)",
            *(event["id"], endpoint, call.platform, at, rank, state, call.tx.now),
        )


def release(tx: Transaction, platform: str | None, *, with_dropped: bool) -> None:
    """Lets go of all that is held or delayed, and of what was dropped if asked."""
    states = ["held", "waiting", *(["dropped"] if with_dropped else [])]
    marks = ", ".join("?" * len(states))
    tx.sql(
        "UPDATE deliveries SET at = ?, state = 'waiting' "  # noqa: S608  # marks alone
        f"WHERE state IN ({marks}) AND (? IS NULL OR platform = ?)",
        *(tx.now, *states, platform, platform),
    )


def again(tx: Transaction, event: str) -> int:
    """Sends an event once more to each endpoint that it was for; returns to how many."""
    rows = tx.sql("SELECT DISTINCT endpoint, platform FROM deliveries WHERE event = ?", event)
    for endpoint, platform in rows:
        tx.sql(
            "INSERT INTO deliveries (event, endpoint, platform, at, rank, attempt, state, created) "
            "VALUES (?, ?, ?, ?, 0, 1, 'waiting', ?)",
            *(event, endpoint, platform, tx.now, tx.now),
        )
    return len(rows)


def ready_endpoints(tx: Transaction) -> list[str]:
    """The endpoints that something should be sent to now."""
    rows = tx.sql("SELECT DISTINCT endpoint FROM deliveries WHERE state = 'waiting' AND at <= ?", tx.now)
    return [row[0] for row in rows]


def waiting(tx: Transaction, platform: str | None) -> int:
    """How many deliveries should be under way now."""
    (count,) = tx.sql(
        "SELECT COUNT(*) FROM deliveries WHERE state = 'waiting' AND at <= ? AND (? IS NULL OR platform = ?)",
        *(tx.now, platform, platform),
    )[0]
    return int(count)


def next_for(tx: Transaction, endpoint: str) -> Delivery | None:
    """What an endpoint gets next."""
    rows = tx.sql(
        "SELECT seq, event, endpoint, attempt, created FROM deliveries "
        "WHERE state = 'waiting' AND endpoint = ? AND at <= ? ORDER BY rank, seq LIMIT 1",
        *(endpoint, tx.now),
    )
    return Delivery(*rows[0]) if rows else None


def record(
    tx: Transaction, options: Options, delivery: Delivery, response: int | None, note: str | None
) -> None:
    """Writes down an attempt: delivered, or to be tried again after twice the last wait, for three days."""
    if response is not None and 200 <= response < 300:
        _close(tx, delivery, "delivered", response, note)
        _acknowledge(tx, delivery.event)
        return
    wait = min(options.webhook_retry_seconds * 2 ** (delivery.attempt - 1), _LONGEST_WAIT_SECONDS)
    if tx.now + wait > delivery.created + _GIVEN_UP_SECONDS:
        _close(tx, delivery, "failed", response, note)
        return
    tx.sql(
        "UPDATE deliveries SET attempt = attempt + 1, at = ?, response = ?, note = ? WHERE seq = ?",
        *(tx.now + wait, response, note, delivery.seq),
    )


def give_up(tx: Transaction, delivery: Delivery, note: str) -> None:
    """Nobody is there any more to deliver to."""
    _close(tx, delivery, "failed", None, note)


def _close(tx: Transaction, delivery: Delivery, state: str, response: int | None, note: str | None) -> None:
    tx.sql(
        "UPDATE deliveries SET state = ?, response = ?, note = ? WHERE seq = ?",
        *(state, response, note, delivery.seq),
    )


def _acknowledge(tx: Transaction, event_id: str) -> None:
    """An event is delivered once each of its endpoints has taken it."""
    event = tx.find("event", event_id)
    if event is None:
        return
    (missing,) = tx.sql(
        "SELECT COUNT(DISTINCT endpoint) FROM deliveries WHERE event = ? AND endpoint NOT IN "
        "(SELECT endpoint FROM deliveries WHERE event = ? AND state = 'delivered')",
        *(event_id, event_id),
    )[0]
    tx.replace(event | {"pending_webhooks": missing, "_delivered": missing == 0})


def listed(tx: Transaction, platform: str | None, event: str | None) -> list[dict[str, Any]]:
    """All deliveries as they stand, in the order of their events."""
    rows = tx.sql(
        "SELECT seq, event, endpoint, attempt, state, response, note, at FROM deliveries "
        "WHERE (? IS NULL OR platform = ?) AND (? IS NULL OR event = ?) ORDER BY seq",
        *(platform, platform, event, event),
    )
    names = ("seq", "event", "endpoint", "attempt", "state", "response", "note", "at")
    return [dict(zip(names, row, strict=True)) for row in rows]
