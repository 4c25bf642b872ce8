"""The results as tables for people, and as one JSON object."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import parser
from bench.counts import Counts
from bench.histories import Work
from bench.ledger import Growth
from bench.meter import Tally
from bench.night import Night
from bench.pace import Pace
from bench.rates import Latency, Throughput, percentile, processor_per_job
from bench.report_money import show_growth, show_ledger, show_nights, show_webhooks, spread
from bench.webhooks import Acknowledged

MAX_EVENTS = 60
RATIO_AIM = 0.7
LATENCY_AIM = 1.5
F1_AIM = 0.40


@dataclass(slots=True)
class Results:
    """Whatever was measured; None is what was not asked for, or could not be measured."""

    counts: Counts | None = None
    floor_work: Work | None = None
    throughput: Throughput | None = None
    latency: Latency | None = None
    webhooks: Acknowledged | None = None
    ledger: list[Pace] = field(default_factory=list)
    growth: Growth | None = None
    nights: list[Night] = field(default_factory=list)
    parser: parser.ParserScore | None = None
    said: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def as_json(results: Results) -> dict[str, Any]:
    """Everything, for a machine."""
    found: dict[str, Any] = {}
    if results.counts:
        found["counts"] = _counts_json(results.counts)
    if results.floor_work:
        found["floorWork"] = asdict(results.floor_work)
    if results.throughput:
        found["throughput"] = asdict(results.throughput) | {
            "ratio": asdict(results.throughput.ratio),
            "settledRatio": asdict(results.throughput.settled_ratio),
            "processorPerJob": {
                "platform": processor_per_job(results.throughput.platform),
                "floor": processor_per_job(results.throughput.floor),
            },
            "aim": RATIO_AIM,
        }
    if results.latency:
        latency = results.latency
        found["latency"] = asdict(latency) | {
            f"p{percent}": {
                "besideBareUpdate": latency.ratio(percent, latency.bare),
                "besideSameActivityEmpty": latency.ratio(percent, latency.floor),
            }
            for percent in (50, 95)
        }
        found["latency"]["aim"] = LATENCY_AIM
    found |= _money_json(results)
    if results.parser:
        found["parser"] = asdict(results.parser) | {"f1": results.parser.rules.f1, "aim": F1_AIM}
    return found


def _money_json(results: Results) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if results.webhooks:
        found["webhooks"] = asdict(results.webhooks) | {
            f"p{percent}BesideBareInsert": results.webhooks.ratio(percent, results.webhooks.insert)
            for percent in (50, 95)
        }
    if results.ledger:
        found["ledger"] = [asdict(pace) | {"ratio": asdict(pace.ratio)} for pace in results.ledger]
    if results.growth:
        found["growth"] = asdict(results.growth)
    if results.nights:
        found["nights"] = [asdict(night) for night in results.nights]
    if results.failed:
        found["failed"] = results.failed
    return found


def _counts_json(counts: Counts) -> dict[str, Any]:
    return {
        "events": counts.event_count,
        "eventsByType": counts.events,
        "job": asdict(counts.job),
        "jobActions": counts.job.actions(),
        "payout": asdict(counts.payout),
        "payoutActions": counts.payout.actions(),
        "calls": {name: _tally_json(tally) for name, tally in counts.calls.items()},
        "activities": {name: _tally_json(tally) for name, tally in counts.activities.items()},
        "notices": counts.notices,
        "dispatch": _tally_json(counts.dispatch),
    }


def _tally_json(tally: Tally) -> dict[str, Any]:
    return {"mongodb": dict(tally.mongodb), "temporal": dict(tally.temporal)}


def show(results: Results, console: Console) -> None:
    """Print every table."""
    if results.counts:
        _show_events(results.counts, console)
        _show_work(results.counts, results.floor_work, console)
        _show_operations(results.counts, console)
    if results.throughput:
        _show_throughput(results.throughput, console)
    if results.latency:
        _show_latency(results.latency, console)
    if results.webhooks:
        show_webhooks(results.webhooks, console)
    if results.ledger:
        show_ledger(results.ledger, console)
    if results.growth:
        show_growth(results.growth, console)
    if results.nights:
        show_nights(results.nights, console)
    if results.parser:
        console.print(f"\n[bold]Parser[/]  the aim is an F1 above {F1_AIM:.2f}")
        console.print(parser.report(results.parser), highlight=False)
    for line in (*results.said, *results.failed):
        console.print(f"\n{line}")


def _show_events(counts: Counts, console: Console) -> None:
    table = Table(
        title=f"Events of a job's own history up to completed: {counts.event_count}, at most {MAX_EVENTS}"
    )
    table.add_column("event")
    table.add_column("count", justify="right")
    for name, number in counts.events.items():
        table.add_row(name, str(number))
    console.print(table)


def _show_work(counts: Counts, floor: Work | None, console: Console) -> None:
    total, payout = sum(counts.job.actions().values()), sum(counts.payout.actions().values())
    table = Table(title=f"Billable actions: {total} of the job, {payout} of its payout")
    for name in ("kind", "job", "payout", "floor"):
        table.add_column(name, justify="left" if name == "kind" else "right")
    floors = floor.actions() if floor else {}
    payouts = counts.payout.actions()
    for kind, number in counts.job.actions().items():
        table.add_row(kind, str(number), str(payouts[kind]), str(floors.get(kind, "")))
    console.print(table)
    console.print(
        f"local activities: {counts.job.local_activities} in {counts.job.local_batches} of "
        f"{counts.job.workflow_tasks} workflow tasks"
        + (
            f" (floor: {floor.local_activities}, {floor.local_batches}, {floor.workflow_tasks})"
            if floor
            else ""
        )
    )


def _show_operations(counts: Counts, console: Console) -> None:
    table = Table(title="Operations: by call of the API, by activity, and of the outbox")
    for name in ("what", "Temporal", "MongoDB", "which"):
        table.add_column(name, justify="right" if name in ("Temporal", "MongoDB") else "left")
    for name, tally in _tallies(counts):
        table.add_row(
            name, str(tally.temporal.total()), str(tally.mongodb.total()), _listed(tally), end_section=False
        )
    console.print(table)


def _tallies(counts: Counts) -> Iterable[tuple[str, Tally]]:
    yield from counts.calls.items()
    yield from counts.activities.items()
    yield f"outbox, {counts.notices} notices", counts.dispatch


def _listed(tally: Tally) -> str:
    parts = [f"{name} ×{number}" if number > 1 else name for name, number in tally.mongodb.items()]
    return ", ".join(parts + [f"{name}" for name in tally.temporal])


def _show_throughput(found: Throughput, console: Console) -> None:
    jobs = found.platform[0].jobs
    table = Table(title=f"Jobs a second, {jobs} a round, {found.concurrency} at once")
    for name in ("round", "platform", "floor", "ratio", "platform, settled", "floor, settled", "ratio"):
        table.add_column(name, justify="right")
    for number, (a, b) in enumerate(zip(found.platform, found.floor, strict=True), start=1):
        table.add_row(
            str(number),
            f"{a.rate:.1f}",
            f"{b.rate:.1f}",
            f"{a.rate / b.rate:.2f}",
            f"{a.settled_rate:.1f}",
            f"{b.settled_rate:.1f}",
            f"{a.settled_rate / b.settled_rate:.2f}",
        )
    console.print(table)
    console.print(f"ratio {spread(found.ratio)}; the aim is {RATIO_AIM}")
    console.print(f"with payouts sent and notices delivered {spread(found.settled_ratio)}")
    _show_processor(found, console)


def _show_processor(found: Throughput, console: Console) -> None:
    platform, floor = processor_per_job(found.platform), processor_per_job(found.floor)
    table = Table(title="Processor time a job with all that follows, milliseconds")
    for name in ("process", "platform", "floor"):
        table.add_column(name, justify="left" if name == "process" else "right")
    for name in sorted(platform, key=lambda name: -platform[name]):
        table.add_row(name, f"{1000 * platform[name]:.1f}", f"{1000 * floor[name]:.1f}")
    table.add_section()
    totals = 1000 * sum(platform.values()), 1000 * sum(floor.values())
    table.add_row("all", f"{totals[0]:.1f}", f"{totals[1]:.1f}")
    console.print(table)
    console.print(
        f"floor over platform {totals[1] / totals[0]:.2f}: the ratio that a machine with nothing idle shows"
    )


def _show_latency(found: Latency, console: Console) -> None:
    table = Table(title=f"Acceptance, {len(found.floor)} of each, one at a time, milliseconds")
    for name in ("percentile", "over HTTP", "beside", "takes", "ratio", "ratio by quarters of the run"):
        table.add_column(name, justify="left" if name == "beside" else "right")
    for percent in (50, 95):
        for name, beside in (
            ("a bare update", found.bare),
            ("an update with the same activity, empty", found.floor),
        ):
            table.add_row(
                f"p{percent}",
                f"{1000 * percentile(found.platform, percent):.1f}",
                name,
                f"{1000 * percentile(beside, percent):.1f}",
                f"{found.ratio(percent, beside):.2f}",
                spread(found.blocks(percent, beside)),
            )
    console.print(table)
    console.print(f"the aim is within {LATENCY_AIM} times a bare update")
