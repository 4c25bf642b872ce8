# ruff: noqa: N818  # the names say what was refused, as the field does: InsufficientCredits, LedgerContention
"""What the journal refuses. Every refusal leaves the books as they were."""

from __future__ import annotations

from app.errors import DomainError


class MoneyError(DomainError):
    """The root of every refusal of the journal."""

    code = "money"


class InvalidDraft(MoneyError, ValueError):
    """The transaction asked for cannot exist: an amount that is not a positive integer, a malformed id or key."""

    code = "invalid-transaction"


class IdempotencyKeyReused(MoneyError):
    """The key was used before for another transaction."""

    code = "idempotency-key-reused"

    def __init__(self, key: str) -> None:
        super().__init__(f"The key {key} was used before for another transaction.")
        self.key = key


class InsufficientCredits(MoneyError):
    """The client's spendable credits do not cover the hold. Both amounts are hundredths of a credit."""

    code = "insufficient-credits"

    def __init__(self, *, available: int, required: int) -> None:
        super().__init__("There are not enough credits.", available=available, required=required)
        self.available = available
        self.required = required


class AccountInDebt(MoneyError):
    """The client owes credits that were spent before their payment was taken back: nothing can be held.

    `debt` in hundredths of a credit.
    """

    code = "account-in-debt"

    def __init__(self, *, debt: int) -> None:
        super().__init__("The account owes credits; new work can begin when they are paid.", debt=debt)
        self.debt = debt


class NothingToExpire(MoneyError):
    """The lot has no credits left, or is not expired."""

    code = "nothing-to-expire"

    def __init__(self, lot_id: str) -> None:
        super().__init__(f"The lot {lot_id} has nothing that is expired.")


class NegativeBalance(MoneyError):
    """An account would fall below zero."""

    code = "negative-balance"

    def __init__(self, account: str, balance: int) -> None:
        super().__init__(f"The account {account} would stand at {balance}.")
        self.account = account
        self.balance = balance


class UnknownHold(MoneyError):
    """No transaction of this book opened a hold under that key."""

    code = "unknown-hold"

    def __init__(self, hold_key: str) -> None:
        super().__init__(f"No hold was opened under the key {hold_key} in this book.")
        self.hold_key = hold_key


class HoldAmountMismatch(MoneyError):
    """Posted, released and held-again amounts do not add up to the hold."""

    code = "hold-amount-mismatch"

    def __init__(self, *, held: int, post: int, release: int, hold_again: int) -> None:
        super().__init__(
            f"Post {post}, release {release} and hold again {hold_again} do not add up to the hold of {held}."
        )


class UnknownTransaction(MoneyError):
    """This book has no transaction under that key, or none of the kind that can be corrected so."""

    code = "unknown-transaction"

    def __init__(self, name: str) -> None:
        super().__init__(f"This book has no transaction {name} that can be corrected so.")
        self.name = name


class CorrectionExceeded(MoneyError):
    """More would be taken back than is left of the transaction. Both amounts in the book's smallest unit."""

    code = "correction-exceeded"

    def __init__(self, *, remaining: int, requested: int) -> None:
        super().__init__(
            "More would be taken back than is left of the transaction.",
            remaining=remaining,
            requested=requested,
        )
        self.remaining = remaining
        self.requested = requested


class LedgerContention(MoneyError):
    """Others kept winning the race for the book's next place. Nothing was written; repeat with the same key."""

    code = "ledger-contention"

    def __init__(self, book: str, attempts: int) -> None:
        super().__init__(f"Lost the race for the book {book} {attempts} times; nothing was written.")


class LedgerCorrupted(MoneyError):
    """A stored row does not match its own hash: the journal refuses to build on it."""

    code = "ledger-corrupted"

    def __init__(self, transaction_id: str) -> None:
        super().__init__(f"The row {transaction_id} does not match its own hash; run `nimmit ledger verify`.")
        self.transaction_id = transaction_id
