"""Errors of the payment provider, in the words that callers of the API know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from app.errors import DependencyUnavailableError, OutcomeUnknownError
from app.gateways.payments import GatewayMisconfigured, GatewayUnavailable, PaymentError
from app.payouts.errors import PaymentRefusedError

_log = structlog.stdlib.get_logger(__name__)


@contextmanager
def provider_errors(*, moving: bool = False) -> Iterator[None]:
    """Raise ours in place of the gateway's. `moving`: the call may have done something though no answer came.

    Raises:
        DependencyUnavailableError, OutcomeUnknownError: try again soon.
        PaymentRefusedError: repeating will not help.
    """
    try:
        yield
    except GatewayUnavailable as error:
        _log.warning("payment_provider_not_answering", code=error.code, fault=type(error).__name__)
        if moving and not isinstance(error, GatewayMisconfigured):
            raise OutcomeUnknownError from error
        raise DependencyUnavailableError("stripe") from error
    except PaymentError as error:
        _log.warning("payment_provider_refused", code=error.code, request_id=error.request_id)
        raise PaymentRefusedError from error
