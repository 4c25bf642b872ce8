"""What the policies refuse."""

from __future__ import annotations

from app.errors import DomainError


class StalePolicyError(DomainError):
    """The change was made from a version that is not the current one; nothing was changed."""

    code = "stale-policy"

    def __init__(self, *, based_on: int, current: int) -> None:
        super().__init__(
            f"The change is based on version {based_on} of the policy, but version {current} is current. "
            "Read that one, and decide again.",
            currentVersion=current,
        )
