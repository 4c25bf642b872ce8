"""What can be wrong with evidence."""

from __future__ import annotations

from app.errors import DomainError


class EvidenceClosedError(DomainError):
    """No dispute of the job takes evidence now."""

    code = "evidence-closed"
