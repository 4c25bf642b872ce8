"""Tells a job's story from its record, in time order. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.lifecycle import Action, Actor
from app.money.models import Kind
from app.money.text import credits_text, dollars_text
from app.support.models import StoryEntry, StoryKind
from app.support.record import JobRecord, Row

TOP_CARDS = 5  # of a ranking, in short

# What the process does because time has passed; all else it does at once.
TIMERS = frozenset(
    {
        Action.EXPIRE_CLARIFICATION,
        Action.EXPIRE_QUOTE,
        Action.EXPIRE_OFFER,
        Action.EXPIRE_PRICE,
        Action.EXPIRE_REVISION_QUOTE,
        Action.REMIND_ADMINS,
        Action.REMIND_CLIENT,
        Action.REMIND_WORKER,
        Action.MARK_OVERDUE,
        Action.AUTO_APPROVE,
        Action.CLOSE_EVIDENCE,
    }
)
_MONEY = {
    Kind.CREDIT_HOLD: "{amount} are held",
    Kind.CREDIT_REFUND: "{amount} go back to the client",
    Kind.CREDIT_EXPIRY: "{amount} of what came back have lapsed",
    Kind.WORKER_ACCRUAL: "The worker has earned {amount}",
    Kind.WORKER_TRANSFER: "{amount} were sent to the worker's account",
    Kind.EARNING_REVERSAL: "{amount} of what was earned are taken back",
    Kind.TRANSFER_REVERSAL: "{amount} came back from the worker's account",
}
# Within one instant: what moved the job, then what followed from it.
_ORDER = {kind: place for place, kind in enumerate(StoryKind)}


def tell(record: JobRecord) -> list[StoryEntry]:
    """Everything that happened, the first first; what happened in one instant in the order of its causes."""
    entries = [
        *_acts(record.job),
        *_reading(record.job),
        *map(_ranking, record.rankings),
        *_offers(record.offers),
        *map(_money, record.transactions),
        *_payouts(record.job),
        *_files(record.job),
        *_time(record),
        *map(_evidence, record.evidence),
        *map(_rating, record.reviews),
        *_notices(record),
    ]
    return sorted(entries, key=lambda entry: (entry.at, _ORDER[entry.kind], entry.seq or 0))


def _acts(job: Row) -> Iterator[StoryEntry]:
    for entry in job.get("timeline", []):
        action, actor = Action(entry["action"]), Actor(entry["actor"])
        timer = actor is Actor.SYSTEM and action in TIMERS
        reason = f": {entry['reason']}" if entry.get("reason") else ""
        yield StoryEntry(
            at=entry["at"],
            kind=StoryKind.TIMER if timer else StoryKind.ACT,
            what=action.value,
            text=f"{_who(actor)} {'reached' if timer else 'did'} “{_words(action)}”; "
            f"the job is {_words(entry['status'])}, {_words(entry['phase'])}{reason}",
            actor=actor,
            actor_id=entry.get("actorId"),
            seq=entry["seq"],
            credits=entry.get("credits"),
            usd_cents=entry.get("usdCents"),
            details=entry.get("details", {}),
        )


def _reading(job: Row) -> Iterator[StoryEntry]:
    """What the model, or the rules, made of the brief; when, is the first step that used it."""
    parsed = job.get("parsed")
    read = (Action.HOLD_CREDITS, Action.REQUEST_CONSENT, Action.REQUEST_CLARIFICATION)
    used = [entry for entry in job.get("timeline", []) if entry["action"] in read]
    if not parsed or not used:
        return
    names = ("requiredSkills", "category", "complexity", "hoursLow", "hoursLikely", "hoursHigh", "confidence")
    told = (
        *names,
        "parser",
        "model",
        "promptVersion",
        "rulesVersion",
        "inputTokens",
        "outputTokens",
        "summary",
    )
    yield StoryEntry(
        at=used[-1]["at"],
        kind=StoryKind.READING,
        what="brief_read",
        text=f"The brief was read by {parsed.get('model') or parsed['parser']}: {parsed['hoursLikely']:g} likely "
        f"hours, {parsed['complexity']}, confidence {parsed['confidence']:.0%}",
        details={name: parsed.get(name) for name in told},
    )


def _ranking(row: Row) -> StoryEntry:
    cards = row["cards"]
    eligible = [card for card in cards if _get(card, "eligible")]
    passed: dict[str, int] = {}
    for card in cards:
        reason = _get(card, "passed_over_reason")
        if reason:
            passed[reason] = passed.get(reason, 0) + 1
    best = [
        {"workerId": _get(card, "worker_id"), "rank": _get(card, "rank"), "score": _get(card, "score")}
        for card in eligible[:TOP_CARDS]
    ]
    return StoryEntry(
        at=row["at"],
        kind=StoryKind.RANKING,
        what="workers_ranked",
        text=f"Round {row['round']}: {len(eligible)} of {len(cards)} workers could be asked",
        details={"round": row["round"], "widened": row["widened"], "best": best, "passedOver": passed},
    )


def _offers(offers: list[Row]) -> Iterator[StoryEntry]:
    for offer in offers:
        about = {"number": offer["number"], "round": offer["round"], "expiresAt": offer["expiresAt"]}
        yield StoryEntry(
            at=offer["madeAt"],
            kind=StoryKind.OFFER,
            what="offer_made",
            text=f"Offer {offer['number']} was made to a worker, ranked {offer['rank']} with {offer['score']} points",
            actor_id=offer["workerId"],
            details=about,
        )
        if offer.get("answeredAt"):
            yield StoryEntry(
                at=offer["answeredAt"],
                kind=StoryKind.OFFER,
                what=f"offer_{offer['status']}",
                text=f"Offer {offer['number']} was {offer['status']}"
                + (f": {offer['reason']}" if offer.get("reason") else ""),
                actor_id=offer["workerId"],
                details=about,
            )


def _money(row: Row) -> StoryEntry:
    kind, credit = Kind(row["kind"]), row["currency"] == "CREDIT"
    amount = credits_text(row["amount"]) if credit else dollars_text(row["amount"])
    resolution = row.get("resolution") or {}
    if kind is Kind.HOLD_RESOLUTION:
        parts = (("posted", "spent"), ("released", "released"), ("heldAgain", "held again"))
        said = [f"{credits_text(resolution[name])} {word}" for name, word in parts if resolution.get(name)]
        text = f"A hold ended: {', '.join(said) or 'nothing'}"
    else:
        text = _MONEY.get(kind, "{amount} were booked").format(amount=amount)
    names = ("key", "resolvesHold", "resolution", "debt", "reason", "stripeTransferId", "stripeReversalId")
    details = {name: row[name] for name in names if row.get(name)}
    if "resolution" in details:
        details["resolution"] = {name: value for name, value in resolution.items() if name != "consumed"}
    return StoryEntry(
        at=row["createdAt"],
        kind=StoryKind.MONEY,
        what=kind.value,
        text=text,
        actor_id=row.get("workerId") or row.get("clientId"),
        credits=row["amount"] if credit else None,
        usd_cents=None if credit else row["amount"],
        details={"transactionId": row["_id"], **details},
    )


def _payouts(job: Row) -> Iterator[StoryEntry]:
    payouts = {"1": job.get("payout"), **(job.get("furtherPayouts") or {})}
    for number, payout in payouts.items():
        if payout:
            reason = f": {_words(payout['reason'])}" if payout.get("reason") else ""
            yield StoryEntry(
                at=payout["at"],
                kind=StoryKind.PAYOUT,
                what=f"payout_{payout['status']}",
                text=f"Payout {number} is {_words(payout['status'])}{reason}",
                details={"number": int(number), "stripeTransferId": payout.get("stripeTransferId")},
            )


def _files(job: Row) -> Iterator[StoryEntry]:
    for file in job.get("files", []):
        yield StoryEntry(
            at=file.get("confirmedAt") or file["createdAt"],
            kind=StoryKind.FILE,
            what=f"file_{file['status']}",
            text=f"A {file['purpose']} is {file['status']}: {file['filename']}",
            actor_id=file["uploadedBy"],
            details={
                "fileId": file["fileId"],
                "size": file.get("size"),
                "fault": file.get("fault"),
                "deliveryNo": file.get("deliveryNo"),
            },
        )


def _time(record: JobRecord) -> Iterator[StoryEntry]:
    for entry in record.time_entries:
        yield StoryEntry(
            at=entry["stoppedAt"],
            kind=StoryKind.TIME,
            what="time_tracked",
            text=f"{entry['seconds'] / 60:.0f} minutes were tracked, ended by {_words(entry['stoppedBy'])}",
            actor_id=entry["workerId"],
            details={
                "startedAt": entry["startedAt"],
                "seconds": entry["seconds"],
                "note": entry.get("note", ""),
            },
        )
    for timer in record.timers:
        yield StoryEntry(
            at=timer["startedAt"],
            kind=StoryKind.TIME,
            what="timer_started",
            text="A timer was started, and runs",
            actor_id=timer["_id"],
            details={"seenAt": timer["seenAt"]},
        )


def _evidence(row: Row) -> StoryEntry:
    return StoryEntry(
        at=row["at"],
        kind=StoryKind.EVIDENCE,
        what="evidence_given",
        text=f"{_who(Actor(row['by']))} gave evidence in dispute {row['disputeNumber']}",
        actor=Actor(row["by"]),
        actor_id=row["authorId"],
        details={"text": row["text"], "fileIds": row.get("fileIds", []), "dispute": row["disputeNumber"]},
    )


def _rating(row: Row) -> StoryEntry:
    """That a rating was given; which, only once both sides see it."""
    shown = row.get("revealedAt") is not None
    return StoryEntry(
        at=row["givenAt"],
        kind=StoryKind.RATING,
        what="rating_given",
        text=f"{_who(Actor(row['by']))} rated the other side",
        actor=Actor(row["by"]),
        actor_id=row["authorId"],
        details={"rating": row["rating"], "revealedAt": row["revealedAt"]} if shown else {},
    )


def _notices(record: JobRecord) -> Iterator[StoryEntry]:
    mailed = {row["_id"]: row["sentAt"] for row in record.mailed}
    delivered = {row["_id"] for row in record.notifications}
    for row in record.notifications:
        yield StoryEntry(
            at=row["createdAt"],
            kind=StoryKind.NOTICE,
            what=row["type"],
            text=f"“{row['type']}” was told" + (" and mailed" if row["_id"] in mailed else ""),
            actor_id=row["userId"],
            details={"mailedAt": mailed.get(row["_id"]), "readAt": row.get("readAt")},
        )
    for row in record.undelivered:
        if row["_id"] in delivered:
            continue
        state = "could not be told" if row.get("deadAt") else "is about to be told"
        yield StoryEntry(
            at=row["createdAt"],
            kind=StoryKind.NOTICE,
            what=row["template"],
            text=f"“{row['template']}” {state}" + ("" if row.get("userId") else " to every admin"),
            actor_id=row.get("userId"),
            details={"attempts": row.get("attempts", 0), "deadAt": row.get("deadAt")},
        )


def _get(card: Row, name: str) -> Any:
    """A field of a score card, which is stored by its Python name or in camelCase."""
    head, *rest = name.split("_")
    return card.get(head + "".join(word.capitalize() for word in rest), card.get(name))


def _who(actor: Actor) -> str:
    return "The process" if actor is Actor.SYSTEM else f"The {actor.value}"


def _words(value: str) -> str:
    return str(value).replace("_", " ")
