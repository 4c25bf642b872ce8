"""Every kind of notice: what it says in the app and in the mail, by the role of the person who gets it.

The strings are Jinja templates. `name`, `job_title`, `job_url`, `portal_url` and `zone` are always there; what a
type may find in its context besides is named by `reads` and optional, unless `needs` has it.
"""

from __future__ import annotations

from app.notifications.admin_words import ADMIN
from app.notifications.client_words import CLIENT
from app.notifications.entry import Entry, keys_of
from app.notifications.notices import MailType, NoticeType
from app.notifications.party_words import PARTY
from app.notifications.subscription_words import SUBSCRIPTION
from app.notifications.worker_words import WORKER

Key = tuple[NoticeType | MailType, str]
ANYONE = "anyone"  # mails to an address that need not be a user's

_MAIL: dict[MailType, Entry] = {
    "auth.verify_email": Entry(
        title="Confirm your e-mail address",
        message="Welcome to Nimmit. Please confirm that this address is yours.",
        more=(
            "{% if expires_at is defined %}The link works until {{ expires_at | when(zone) }}.{% endif %}",
            "If you did not register, ignore this mail and nothing happens.",
        ),
        action="Confirm the address",
        link="{{ link }}",
        reads=keys_of("expires_at"),
        needs=keys_of("link"),
        secret=True,
    ),
    "auth.already_registered": Entry(
        title="You already have an account",
        message="Somebody, perhaps you, tried to register at Nimmit with this address, which has an account.",
        more=("If it was you, log in. If it was not, ignore this mail; your account is as it was.",),
        action="Log in",
        link="{{ portal_url }}/login",
    ),
}

CATALOGUE: dict[Key, Entry] = {
    **{(type_, "client"): entry for type_, entry in {**PARTY, **CLIENT, **SUBSCRIPTION}.items()},
    **{(type_, "worker"): entry for type_, entry in {**PARTY, **WORKER}.items()},
    **{(type_, "admin"): entry for type_, entry in ADMIN.items()},
    **{(type_, ANYONE): entry for type_, entry in _MAIL.items()},
}


def holds_secret(template: str) -> bool:
    """Whether rows of this template carry a token in their context."""
    return any(entry.secret for (type_, _), entry in CATALOGUE.items() if type_ == template)
