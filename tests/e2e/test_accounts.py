"""From a stranger to a session, by the link in a real mail."""

from __future__ import annotations

from tests.e2e.platform import Platform
from tests.support.http import mails, register


async def test_register_follow_the_link_in_the_mail_and_log_in(whole: Platform) -> None:
    for role in ("client", "worker"):
        person = await register(whole.door, whole.mail_url, role)
        me = await person.get("/users/me")
        assert (me["email"], me["role"], me["emailVerified"]) == (person.email, role, True)
        assert len(await mails(whole.mail_url, person.email)) == 1
    assert await whole.database["outbox"].count_documents({"kind": "mail"}) == 0
