"""Stripe's parameters: form bodies with nested brackets, and the checks that come before an endpoint runs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl

from devstack.stripe_sandbox import errors

Params = dict[str, Any]

_INTEGER = re.compile(r"-?\d{1,18}")
_DEEPEST = 10
_CURRENCIES = ("usd", "khr", "eur", "gbp")
_METADATA_KEYS, _METADATA_KEY_LENGTH, _METADATA_VALUE_LENGTH = 50, 40, 500


@dataclass(frozen=True)
class Param:
    """What one parameter may be.

    `children` are the members of a hash, or of each of several; without them it takes any. `unset` lets an empty
    string through as None, which takes the value away.
    """

    kind: Literal[
        "string", "integer", "boolean", "currency", "metadata", "hash", "hashes", "list", "range"
    ] = "string"
    required: bool = False
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    max_length: int = 5000
    unset: bool = False
    children: dict[str, Param] = field(default_factory=dict)


EXPAND = {"expand": Param("list")}
LIST_PARAMS = {
    **EXPAND,
    "limit": Param("integer", minimum=1, maximum=100),
    "starting_after": Param(),
    "ending_before": Param(),
    "created": Param("range"),
}


def decode(encoded: str) -> Params:
    """`a[b][0]=1&c[]=2` as nested dictionaries and lists of strings."""
    root: Params = {}
    for name, value in parse_qsl(encoded, keep_blank_values=True):
        path = [part.rstrip("]") for part in name.split("[")]
        if len(path) > _DEEPEST:
            raise errors.invalid_parameter(path[0], "Invalid hash: nested too deeply")
        node = root
        for part in path[:-1]:
            child = node.setdefault(part, {})
            if not isinstance(child, dict):
                raise errors.invalid_parameter(path[0], f"Invalid hash: {name}")
            node = child
        leaf = path[-1] or str(len(node))
        node[leaf] = value
    return {key: _with_lists(value) for key, value in root.items()}


def _with_lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and list(value) == [str(index) for index in range(len(value))]:
        return [_with_lists(item) for item in value.values()]
    return {key: _with_lists(item) for key, item in value.items()}


def validate(raw: Params, spec: dict[str, Param], *, prefix: str = "") -> Params:
    """The typed parameters, or the first fault in Stripe's words."""
    for name in raw:
        if name not in spec:
            raise errors.unknown_parameter(_path(prefix, name))
    checked: Params = {}
    for name, param in spec.items():
        path = _path(prefix, name)
        if name in raw and raw[name] == "" and param.unset:
            checked[name] = None
        elif name in raw:
            checked[name] = _CHECKS[param.kind](path, raw[name], param)
        elif param.required:
            raise errors.missing_parameter(path)
    return checked


def _path(prefix: str, name: str) -> str:
    return f"{prefix}[{name}]" if prefix else name


def _string(path: str, value: Any, param: Param) -> str:
    if not isinstance(value, str):
        raise errors.invalid_parameter(path, f"Invalid string: {value}", "parameter_invalid_string")
    if not value:
        raise errors.empty_parameter(path)
    if param.choices and value not in param.choices:
        allowed = ", ".join(param.choices[:-1]) + f", or {param.choices[-1]}"
        allowed = param.choices[0] if len(param.choices) == 1 else allowed
        raise errors.invalid_parameter(path, f"Invalid {path}: must be one of {allowed}")
    if len(value) > param.max_length:
        raise errors.invalid_parameter(
            path, f"Invalid string: must be at most {param.max_length} characters", "parameter_invalid_string"
        )
    return value


def _integer(path: str, value: Any, param: Param) -> int:
    if isinstance(value, str) and not value:
        raise errors.empty_parameter(path)
    if not isinstance(value, str) or not _INTEGER.fullmatch(value):
        raise errors.invalid_parameter(path, f"Invalid integer: {value}", "parameter_invalid_integer")
    number = int(value)
    if param.minimum is not None and number < param.minimum:
        message = f"This value must be greater than or equal to {param.minimum}."
        raise errors.invalid_parameter(path, message, "parameter_invalid_integer")
    if param.maximum is not None and number > param.maximum:
        message = f"This value must be less than or equal to {param.maximum}."
        raise errors.invalid_parameter(path, message, "parameter_invalid_integer")
    return number


def _boolean(path: str, value: Any, param: Param) -> bool:
    del param
    if not isinstance(value, str) or value.lower() not in {"true", "false"}:
        raise errors.invalid_parameter(path, f"Invalid boolean: {value}", "parameter_invalid_boolean")
    return value.lower() == "true"


def _currency(path: str, value: Any, param: Param) -> str:
    code = _string(path, value, param).lower()
    if code not in _CURRENCIES:
        message = (
            f"Invalid currency: {code}. Stripe currently supports these currencies: {', '.join(_CURRENCIES)}"
        )
        raise errors.invalid_parameter(path, message)
    return code


def _metadata(path: str, value: Any, param: Param) -> dict[str, str]:
    """Empty values stay: they unset a key on update, and mean nothing on create."""
    del param
    if value == "":
        return {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise errors.invalid_parameter(path, f"Invalid hash: {value}", "parameter_invalid_hash")
    if len(value) > _METADATA_KEYS:
        raise errors.invalid_parameter(path, f"Metadata can have up to {_METADATA_KEYS} keys.")
    for key, item in value.items():
        if len(key) > _METADATA_KEY_LENGTH:
            raise errors.invalid_parameter(
                _path(path, key), f"Metadata keys can have up to {_METADATA_KEY_LENGTH} characters."
            )
        if len(item) > _METADATA_VALUE_LENGTH:
            raise errors.invalid_parameter(
                _path(path, key), f"Metadata values can have up to {_METADATA_VALUE_LENGTH} characters."
            )
    return value


def _hash(path: str, value: Any, param: Param) -> Params:
    if not isinstance(value, dict):
        raise errors.invalid_parameter(path, f"Invalid hash: {value}", "parameter_invalid_hash")
    return validate(value, param.children, prefix=path) if param.children else value


def _hashes(path: str, value: Any, param: Param) -> list[Params]:
    if not isinstance(value, list):
        raise errors.invalid_parameter(path, "Invalid array", "parameter_invalid_array")
    return [_hash(f"{path}[{index}]", item, param) for index, item in enumerate(value)]


def _list(path: str, value: Any, param: Param) -> list[str]:
    del param
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise errors.invalid_parameter(path, "Invalid array", "parameter_invalid_array")
    return value


def _range(path: str, value: Any, param: Param) -> dict[str, int]:
    """A single time, or bounds: `created=5` or `created[gte]=5`."""
    if isinstance(value, str):
        return {"eq": _integer(path, value, param)}
    bounds = {name: Param("integer") for name in ("gt", "gte", "lt", "lte")}
    return validate(_hash(path, value, Param("hash")), bounds, prefix=path)


_CHECKS = {
    "string": _string,
    "integer": _integer,
    "boolean": _boolean,
    "currency": _currency,
    "metadata": _metadata,
    "hash": _hash,
    "hashes": _hashes,
    "list": _list,
    "range": _range,
}
