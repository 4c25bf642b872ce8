"""What makes a policy sound as a whole, and what a change does to it. Pure functions.

The bounds of a single field are `JobPolicy`'s own. The rules here go over its fields as they are, by the unit that
a name ends with, so that a new number is bounded from its first day.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from app.errors import InvalidFieldError
from app.jobs.policy import BASIS, JobPolicy, Urgency
from app.policies.models import FieldChange

MAX_SECONDS = 366 * 24 * 3600
MAX_NUMBER = 2**31 - 1
MAX_OFFERS = 100  # of one job: each leaves some ten events in its history
MAX_URGENCY = 10 * BASIS
MAX_LENGTH = 10  # of a list, such as the moments of reminders

# From low urgency to high, 1 rises and -1 falls.
_BY_URGENCY = {"urgency_basis_points": 1, "due_seconds": -1}
# The first is never more than the second; of several, their largest counts. A policy may lack some of these.
_RISING = (
    ("offer_window_high_urgency_seconds", "offer_window_seconds"),
    ("offer_window_seconds", "offer_pause_limit_seconds"),
    ("review_reminder_seconds", "auto_approve_seconds"),
    ("cancel_ready_basis_points", "cancel_working_basis_points"),
    ("cancel_working_basis_points", "cancel_delivered_basis_points"),
)


class Fault(NamedTuple):
    """Why a policy is not sound; `field` is named as in JSON."""

    field: str
    message: str


def faults(policy: JobPolicy) -> list[Fault]:
    """Every rule over the whole policy that it breaks."""
    rules = (_sizes, _shares, _offers, _urgencies, _orders)
    return [fault for rule in rules for fault in rule(policy)]


def changed(policy: JobPolicy, changes: Mapping[str, Any], *, version: int) -> JobPolicy:
    """The policy with some fields (named as in Python) replaced, as another version.

    Raises:
        InvalidFieldError: a value is out of its field's bounds, or the change makes the policy unsound. The pointer
            leads into `#/changes`. What was unsound before and is not touched (settings may make it so, for a demo) is
            not this change's fault.
    """
    named = {to_camel(name): value for name, value in changes.items()}
    try:
        result = type(policy).model_validate({**plain(policy), **named, "version": version})
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False)[0]
        place = "/".join(str(step) for step in fault["loc"])
        raise InvalidFieldError(f"#/changes/{place}", fault["msg"]) from error
    excused = {fault for fault in faults(policy) if fault.field not in named}
    for found in faults(result):
        if found not in excused:
            raise InvalidFieldError(f"#/changes/{found.field}", found.message)
    return result


def differences(before: JobPolicy, after: JobPolicy) -> list[FieldChange]:
    """The fields that are not the same, in the policy's own order; the version is none of them."""
    old, new = plain(before), plain(after)
    return [
        FieldChange(field=field, before=old[field], after=value)
        for field, value in new.items()
        if field != "version" and old[field] != value
    ]


def reverted(policy: JobPolicy, diff: Sequence[FieldChange]) -> JobPolicy:
    """The policy that the change with this `diff` made `policy` from."""
    before = {change.field: change.before for change in diff}
    return type(policy).model_validate({**plain(policy), **before, "version": policy.version - 1})


def plain(policy: JobPolicy) -> dict[str, Any]:
    """The policy as JSON values, by its names in JSON."""
    return policy.model_dump(mode="json", by_alias=True)


def _values(policy: JobPolicy) -> dict[str, Any]:
    return policy.model_dump(exclude={"version"})


def _numbers(policy: JobPolicy) -> Iterator[tuple[str, int]]:
    """Every integer with the name of its field, those within a mapping or a list too."""
    for name, value in _values(policy).items():
        several = value.values() if isinstance(value, dict) else value
        for number in several if isinstance(value, dict | list | tuple) else [value]:
            if isinstance(number, int) and not isinstance(number, bool):
                yield name, number


def _sizes(policy: JobPolicy) -> Iterator[Fault]:
    for name, number in _numbers(policy):
        if name.endswith("_seconds") and not 0 < number <= MAX_SECONDS:
            yield Fault(to_camel(name), f"is not between 1 second and {MAX_SECONDS // 86_400} days")
        elif not 0 <= number <= MAX_NUMBER:
            yield Fault(to_camel(name), f"is not between 0 and {MAX_NUMBER}")
    for name, value in _values(policy).items():
        if isinstance(value, list | tuple):
            if len(value) > MAX_LENGTH:
                yield Fault(to_camel(name), f"has more than {MAX_LENGTH} entries")
            if name.endswith("_basis_points") and any(part > BASIS for part in value):
                yield Fault(to_camel(name), f"has a part of more than {BASIS} basis points")


def _shares(policy: JobPolicy) -> Iterator[Fault]:
    """Shares are of one whole: what the client paid."""
    shares = {name: number for name, number in _numbers(policy) if name.endswith("_share_basis_points")}
    if sum(shares.values()) > BASIS:
        for name in shares:
            yield Fault(to_camel(name), f"the shares add up to more than {BASIS} basis points")


def _offers(policy: JobPolicy) -> Iterator[Fault]:
    if policy.rounds * policy.candidates_per_round > MAX_OFFERS:
        yield Fault("candidatesPerRound", f"rounds of so many make more than {MAX_OFFERS} offers for one job")


def _urgencies(policy: JobPolicy) -> Iterator[Fault]:
    for name, value in _values(policy).items():
        if isinstance(value, dict) and (missing := [item.value for item in Urgency if item not in value]):
            yield Fault(to_camel(name), f"lacks {', '.join(missing)}")
    if any(not 0 < factor <= MAX_URGENCY for factor in policy.urgency_basis_points.values()):
        yield Fault("urgencyBasisPoints", f"a factor is not between 1 and {MAX_URGENCY}")


def _orders(policy: JobPolicy) -> Iterator[Fault]:
    """What has to rise, rises: over urgencies, over the stages of a job, and from a reminder to what it warns of."""
    values = _values(policy)
    for name, direction in _BY_URGENCY.items():
        steps = [values[name][urgency] for urgency in Urgency if urgency in values.get(name, {})]
        if any((later - earlier) * direction < 0 for earlier, later in pairwise(steps)):
            yield Fault(to_camel(name), "does not follow the order of urgency")
    for earlier, later in _RISING:
        if earlier in values and later in values and _most(values[earlier]) > _most(values[later]):
            yield Fault(to_camel(earlier), f"is more than {to_camel(later)}")


def _most(value: Any) -> int:
    """The number, or the largest of several."""
    return max(value, default=0) if isinstance(value, list | tuple) else int(value)
