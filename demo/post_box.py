"""What reached people: their mails in the sink, and the notices in their inboxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import httpx2
from rich.markup import escape
from rich.table import Table

from demo.door import Person
from demo.show import Show


async def subjects(mail_url: str, email: str) -> list[str]:
    """The subjects of one person's mails, oldest first."""
    async with httpx2.AsyncClient(base_url=mail_url, timeout=10) as sink:
        answer = await sink.get("/messages", params={"recipient": email, "limit": "500"})
        answer.raise_for_status()
    return [mail["subject"] for mail in reversed(answer.json()["messages"])]


async def show_post(show: Show, mail_url: str, people: Iterable[Person]) -> None:
    """A table of mails and notices, one row a person."""
    table = Table(title="What reached them", title_justify="left")
    table.add_column("who", no_wrap=True)
    table.add_column("mails")
    table.add_column("inbox", justify="right", no_wrap=True)
    for person in people:
        mails = Counter(await subjects(mail_url, person.email))
        told = "\n".join(
            f"{escape(subject)}{f' (× {count})' if count > 1 else ''}" for subject, count in mails.items()
        )
        notices = (await person.get("/notifications"))["items"]
        unread = sum(not notice["read"] for notice in notices)
        table.add_row(escape(person.name), told or "none", f"{len(notices)} ({unread} unread)")
    show.console.print(table)
