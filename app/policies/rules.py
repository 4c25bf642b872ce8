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


class Fault(NamedTuple):
    """Why a policy is not sound; `field` is named as in JSON."""

    field: str
    message: str


def faults(policy: JobPolicy) -> list[Fault]:
    """Every rule over the whole policy that it breaks."""
    return [*_too_large(policy), *_shares(policy), *_offers(policy), *_urgencies(policy)]


def changed(policy: JobPolicy, changes: Mapping[str, Any], *, version: int) -> JobPolicy:
    """The policy with some fields (named as in Python) replaced, as another version.

    Raises:
        InvalidFieldError: a value is out of its field's bounds, or the change makes the policy unsound. The pointer
            leads into `#/changes`. What was unsound before (settings may be, for a demo) is not this change's fault.
    """
    try:
        named = {to_camel(name): value for name, value in changes.items()}
        result = JobPolicy.model_validate({**plain(policy), **named, "version": version})
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False)[0]
        place = "/".join(str(step) for step in fault["loc"])
        raise InvalidFieldError(f"#/changes/{place}", fault["msg"]) from error
    for field, message in faults(result):
        if (field, message) not in faults(policy):
            raise InvalidFieldError(f"#/changes/{field}", message)
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
    return JobPolicy.model_validate({**plain(policy), **before, "version": policy.version - 1})


def plain(policy: JobPolicy) -> dict[str, Any]:
    """The policy as JSON values, by its names in JSON."""
    return policy.model_dump(mode="json", by_alias=True)


def _numbers(policy: JobPolicy) -> Iterator[tuple[str, int]]:
    """Every integer with the name of its field, those within a mapping too."""
    for name, value in policy.model_dump(exclude={"version"}).items():
        for number in value.values() if isinstance(value, dict) else [value]:
            if isinstance(number, int) and not isinstance(number, bool):
                yield name, number


def _too_large(policy: JobPolicy) -> Iterator[Fault]:
    for name, number in _numbers(policy):
        if name.endswith("_seconds") and number > MAX_SECONDS:
            yield Fault(to_camel(name), f"is longer than {MAX_SECONDS // 86_400} days")
        elif number > MAX_NUMBER:
            yield Fault(to_camel(name), f"is more than {MAX_NUMBER}")


def _shares(policy: JobPolicy) -> Iterator[Fault]:
    """Shares are of one whole: what the client paid."""
    shares = {name: number for name, number in _numbers(policy) if name.endswith("_share_basis_points")}
    if sum(shares.values()) > BASIS:
        for name in shares:
            yield Fault(to_camel(name), f"the shares add up to more than {BASIS} basis points")


def _offers(policy: JobPolicy) -> Iterator[Fault]:
    if policy.offer_window_high_urgency_seconds > policy.offer_window_seconds:
        yield Fault("offerWindowHighUrgencySeconds", "is longer than offerWindowSeconds")
    if policy.rounds * policy.candidates_per_round > MAX_OFFERS:
        yield Fault("candidatesPerRound", f"rounds of so many make more than {MAX_OFFERS} offers for one job")


def _urgencies(policy: JobPolicy) -> Iterator[Fault]:
    field, factors = "urgencyBasisPoints", policy.urgency_basis_points
    missing = [urgency.value for urgency in Urgency if urgency not in factors]
    if missing:
        yield Fault(field, f"lacks {', '.join(missing)}")
    if any(not 0 < factor <= MAX_URGENCY for factor in factors.values()):
        yield Fault(field, f"a factor is not between 1 and {MAX_URGENCY}")
    in_order = [factors[urgency] for urgency in Urgency if urgency in factors]  # from low to high
    if any(later < earlier for earlier, later in pairwise(in_order)):
        yield Fault(field, "a more urgent job costs less than a less urgent one")
