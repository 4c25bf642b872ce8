"""Registers the search attributes that admins filter jobs by; may run at every start."""

from __future__ import annotations

import structlog
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from workflows.contracts import SEARCH_ATTRIBUTES

_log = structlog.get_logger(__name__)


async def register_search_attributes(client: Client) -> None:
    """Add those that the namespace lacks.

    Temporal Cloud does not let a client add them (they are set with `tcld` or its UI); that is logged, not fatal.

    Raises:
        RPCError: Temporal cannot be reached.
    """
    try:
        listed = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
        missing = {
            key.name: IndexedValueType.ValueType(int(key.indexed_value_type))
            for key in SEARCH_ATTRIBUTES
            if key.name not in listed.custom_attributes
        }
        if missing:
            await client.operator_service.add_search_attributes(
                AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
            )
    except RPCError as error:
        if error.status in (RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.PERMISSION_DENIED):
            _log.warning("search_attributes_not_registered", reason=error.message)
        elif error.status is not RPCStatusCode.ALREADY_EXISTS:
            raise
