"""The body that changes a policy, made from the policy itself: a new number of it can be changed from its first day."""

from __future__ import annotations

from functools import reduce
from operator import or_
from types import GenericAlias, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import Field, Strict, create_model

from api.types import RequestModel
from app.jobs.policy import JobPolicy

_SCALARS = (bool, int, float, str)


def changes_of(policy: type[JobPolicy]) -> type[RequestModel]:
    """Every field of the policy but its version, with its bounds, none of them required."""
    fields = {name: _as_change(policy, name) for name in policy.model_fields if name != "version"}
    made: type[RequestModel] = create_model(
        "PolicyChanges",
        __base__=RequestModel,
        __doc__="The fields to change, and what to; the others stay. Units are those of the policy.",
        **fields,
    )
    return made


def _as_change(policy: type[JobPolicy], name: str) -> Any:
    field = policy.model_fields[name]
    silent = Field(json_schema_extra=_without_default)
    return Annotated[(strict(field.annotation), *field.metadata, silent)], None


def strict(annotation: Any) -> Any:
    """The type without the coercions that Pydantic offers, at every depth: neither "5" nor true is an integer."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in _SCALARS:
        return Annotated[annotation, Strict()]
    if origin is Annotated:
        return Annotated[(strict(arguments[0]), *arguments[1:])]
    if origin in (Union, UnionType):
        return reduce(or_, (strict(argument) for argument in arguments))
    if origin is dict:  # in JSON every key is text
        return GenericAlias(dict, (arguments[0], strict(arguments[1])))
    if origin in (list, tuple):
        return GenericAlias(origin, tuple(strict(argument) for argument in arguments))
    return annotation


def _without_default(schema: dict[str, Any]) -> None:
    """A field that is not sent is not changed: there is no default to tell of."""
    schema.pop("default", None)
