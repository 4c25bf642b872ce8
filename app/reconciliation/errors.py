"""What the repairs refuse."""

from __future__ import annotations

from app.errors import DomainError


class RepairRefusedError(DomainError):
    """The books or Stripe do not take the repair any more; the next night's report says what is so then."""

    code = "repair-refused"

    def __init__(self, reason: str) -> None:
        super().__init__("This repair cannot be applied; look at the next report.", reason=reason)
