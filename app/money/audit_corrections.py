"""The audit's view of corrections and debts: what each took of what, and that it is never more than there was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from app.money.effects import CORRECTED, correctable_amount, correction_id
from app.money.lots import total
from app.money.models import Kind, Transaction

_CORRECTABLE = frozenset(kind for kinds in CORRECTED.values() for kind in kinds)


@dataclass(slots=True)
class _Original:
    kind: Kind
    limit: int
    number: int = 0
    total: int = 0


class Corrections:
    """Feed it the rows of every book in order."""

    def __init__(self) -> None:
        self._originals: dict[str, _Original] = {}

    def faults(self, row: Transaction) -> Iterator[str]:
        """What is wrong with a row as a correction; remembers it as one that can be corrected."""
        if row.kind in CORRECTED:
            yield from self._correction(row)
        elif row.corrects or row.correction_id:
            yield f"a {row.kind} corrects nothing"
        if row.kind in _CORRECTABLE:
            self._originals[row.id] = _Original(row.kind, correctable_amount(row))

    def _correction(self, row: Transaction) -> Iterator[str]:
        original = self._originals.get(row.corrects or "")
        if original is None or not (row.corrects or "").startswith(f"{row.book}:"):
            yield f"it corrects {row.corrects}, which is not before it in its book"
            return
        if original.kind not in CORRECTED[row.kind]:
            yield f"a {row.kind} cannot correct a {original.kind}"
        original.number += 1
        original.total += row.amount
        if row.correction_id != correction_id(row.corrects or "", original.number):
            yield f"it is correction {original.number} and says {row.correction_id}"
        if row.corrected_total != original.total:
            yield f"the corrections make {original.total}, it says {row.corrected_total}"
        # Credits of a lot can be taken back while they are held, and lapse when they come back after that.
        if original.total > original.limit and row.kind is not Kind.CREDIT_EXPIRY:
            yield f"{original.total} was taken of {original.limit}"
        if row.amount != _taken(row):
            yield f"it says {row.amount} and moves {_taken(row)}"


def debt_faults(row: Transaction) -> Iterator[str]:
    """What is wrong with what a row says of its owner's debt."""
    incurred, paid = (row.debt.incurred, row.debt.paid) if row.debt else (0, 0)
    if min(incurred, paid) < 0 or moved(row, "debt") != incurred - paid:
        yield f"the debt moves by {moved(row, 'debt')}, of which {incurred} incurred and {paid} paid"


def moved(row: Transaction, balance: str) -> int:
    """By how much a row's legs raise one of its book's balances."""
    return sum(leg.amount for leg in row.legs if leg.account == f"{row.book}:{balance}")


def _taken(row: Transaction) -> int:
    """How much a correction moves, from its parts."""
    if row.kind is Kind.CREDIT_REFUND:
        return total(row.restored or ())
    if row.kind in (Kind.CREDIT_EXPIRY, Kind.CREDIT_CLAWBACK):
        return total(row.removed or ()) + (row.debt.incurred if row.debt else 0)
    if row.kind is Kind.TRANSFER_REVERSAL:
        return -moved(row, "paid")
    return (row.debt.incurred if row.debt else 0) - moved(row, "payable")
