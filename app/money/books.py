"""Books and accounts. A book belongs to one owner of money and is the unit of order in the journal.

Accounts are named in the usual way of double entry. A leg's amount is signed: positive raises the account.
The platform's accounts have no book: they are the other side of the owners' legs, summed when asked for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from app.money.errors import InvalidDraft

CREDITS_GRANTED = "platform:credits_granted"  # falls as credits are granted
CREDITS_SPENT = "platform:credits_spent"  # rises as held credits are posted
CREDITS_EXPIRED = "platform:credits_expired"  # breakage: rises as credits lapse unspent
CREDITS_CLAWED_BACK = "platform:credits_clawed_back"  # rises as granted credits are taken back
CLIENT_DEBT = "platform:client_debt"  # the other side of what clients owe
STRIPE_CLEARING = "platform:stripe_clearing"  # USD: rises as clients pay, falls as they are paid back
REVENUE = "platform:revenue"  # USD: falls as clients pay, rises as they are paid back
WORKER_COST = "platform:worker_cost"  # falls as workers earn, rises as earnings are taken back
WORKER_DEBT = "platform:worker_debt"  # the other side of what workers owe

_OWNER_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SEQ_DIGITS = 12


class Currency(StrEnum):
    """CREDIT amounts are hundredths of a credit, USD amounts are cents."""

    CREDIT = "CREDIT"
    USD = "USD"


class Owner(StrEnum):
    """Who can own a book."""

    CLIENT = "client"
    WORKER = "worker"


@dataclass(frozen=True, slots=True)
class Book:
    """One owner's book, e.g. `client:<userId>` in CREDIT or `worker:<userId>` in USD.

    Raises:
        InvalidDraft: the owner's id could be mistaken for part of a name.
    """

    owner: Owner
    owner_id: str

    def __post_init__(self) -> None:
        if not _OWNER_ID.fullmatch(self.owner_id):
            raise InvalidDraft(f"{self.owner_id!r} cannot be the id of a book's owner")

    @classmethod
    def parse(cls, name: str) -> Book:
        """The book of that name.

        Raises:
            InvalidDraft: it is no book's name.
        """
        owner, _, owner_id = name.partition(":")
        if owner not in list(Owner):
            raise InvalidDraft(f"{name!r} is no book")
        return cls(Owner(owner), owner_id)

    @property
    def name(self) -> str:
        """`<owner>:<ownerId>`."""
        return f"{self.owner}:{self.owner_id}"

    @property
    def currency(self) -> Currency:
        """Clients hold credits; workers earn dollars."""
        return Currency.CREDIT if self.owner is Owner.CLIENT else Currency.USD

    def account(self, balance: str) -> str:
        """The account behind one of the book's balances, e.g. `client:<id>:held`."""
        return f"{self.name}:{balance}"

    def transaction_id(self, seq: int) -> str:
        """`<book>:<seq>`, the sequence padded with zeros so that ids sort in the order they were written."""
        return f"{self.name}:{seq:0{_SEQ_DIGITS}d}"


def client_book(client_id: str) -> Book:
    """A client's credits."""
    return Book(Owner.CLIENT, client_id)


def worker_book(worker_id: str) -> Book:
    """A worker's dollars."""
    return Book(Owner.WORKER, worker_id)
