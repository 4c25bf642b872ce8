"""What can go wrong with accounts and profiles."""

from __future__ import annotations

from app.errors import DomainError


class FieldNotForRoleError(DomainError):
    """The field exists, for another role."""

    code = "field-not-for-role"

    def __init__(self, field: str, role: str) -> None:
        super().__init__(f"A {role} has no `{field}`.")
