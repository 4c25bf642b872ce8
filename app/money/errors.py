# ruff: noqa: N818  # the names say what was refused, as the field does: InsufficientCredits, LedgerContention
"""What the journal refuses. Every refusal leaves the books as they were."""

from __future__ import annotations


class MoneyError(Exception):
    """The root of every refusal of the journal."""


class InvalidDraft(MoneyError, ValueError):
    """The transaction asked for cannot exist: an amount that is not a positive integer, a malformed id or key."""


class IdempotencyKeyReused(MoneyError):
    """The key was used before for another transaction."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the key {key!r} was used before with another body")
        self.key = key


class InsufficientCredits(MoneyError):
    """The client's spendable credits do not cover the hold. Both amounts are hundredths of a credit."""

    def __init__(self, *, available: int, required: int) -> None:
        super().__init__(f"{required} hundredths of a credit required, {available} available")
        self.available = available
        self.required = required


class NegativeBalance(MoneyError):
    """An account would fall below zero."""

    def __init__(self, account: str, balance: int) -> None:
        super().__init__(f"the account {account} would stand at {balance}")
        self.account = account
        self.balance = balance


class UnknownHold(MoneyError):
    """No transaction of this book opened a hold under that key."""

    def __init__(self, hold_key: str) -> None:
        super().__init__(f"no hold was opened under the key {hold_key!r} in this book")
        self.hold_key = hold_key


class HoldAmountMismatch(MoneyError):
    """Posted, released and held-again amounts must add up to the hold, and something must leave it."""

    def __init__(self, *, held: int, post: int, release: int, hold_again: int) -> None:
        super().__init__(f"post {post} + release {release} + hold again {hold_again} does not resolve {held}")


class LedgerContention(MoneyError):
    """Others kept winning the race for the book's next place. Nothing was written; repeat with the same key."""

    def __init__(self, book: str, attempts: int) -> None:
        super().__init__(f"lost the race for the book {book} {attempts} times")


class LedgerCorrupted(MoneyError):
    """A stored row does not match its own hash: the journal refuses to build on it."""

    def __init__(self, transaction_id: str) -> None:
        super().__init__(f"the row {transaction_id} does not match its own hash; run `nimmit ledger verify`")
        self.transaction_id = transaction_id
