"""Every notice renders, with all it may be told and with nothing; nothing a user wrote becomes markup."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from app.notifications.catalogue import ANYONE, CATALOGUE, holds_secret
from app.notifications.entry import Entry
from app.notifications.notices import MailType, Notice, NoticeType, OutboxEntry
from app.notifications.rendering import RenderingError, render

SAMPLES: dict[str, Any] = {
    "expires_at": "2026-11-22T10:15:00Z",
    "deadline": "2026-11-25T10:15:00+00:00",
    "differences": 3,
    "discrepancies": 2,
    "undelivered": 4,
    "unhandled": 5,
    "arrives_at": "2026-11-26T10:15:00Z",
    "closes_at": "2026-12-06T10:15:00Z",
    "since": "2026-11-22T08:00:00Z",
    "stopped_at": "2026-11-22T09:00:00Z",
    "pay_usd_cents": 12345,
    "earned_usd_cents": 12345,
    "amount_usd_cents": 12345,
    "price_credits": 1250,
    "max_credits": 1000,
    "spent_credits": 1250,
    "released_credits": 1250,
    "shortfall_credits": 250,
    "granted_credits": 1000,
    "taken_credits": 1000,
    "debt_credits": 300,
    "extra_credits": 250,
    "question": "How many pages do you need?",
    "outcome": "dismissed",
    "evidence_until": "2026-11-25T10:15:00Z",
    "due_at": "2026-11-25T10:15:00Z",
    "rounds": 2,
    "reason": "the logo is too small",
    "link": "https://nimmit.example/verify-email#token=abc",
}
ENTRIES = sorted(CATALOGUE.items())


def rendered(key: tuple[str, str], context: dict[str, Any], **more: Any) -> Any:
    template, role = key
    options = {
        "portal_url": "https://nimmit.example",
        "job_id": "a" * 24,
        "job_title": "Logo",
        "name": "Sokha",
    }
    return render(template, role, context=context, **(options | more))


@pytest.mark.parametrize(("key", "entry"), ENTRIES, ids=[f"{t}-{r}" for (t, r), _ in ENTRIES])
def test_it_renders_with_everything_and_with_the_least(key: tuple[str, str], entry: Entry) -> None:
    full = rendered(key, {name: SAMPLES[name] for name in entry.reads | entry.needs})
    least = rendered(key, {name: SAMPLES[name] for name in entry.needs})
    for words in (full, least):
        assert words.title
        assert "\n" not in words.title
        assert words.message.endswith((".", "?"))
        assert words.message in words.text
        assert "Hello Sokha," in words.text
        assert "Hello Sokha," in words.html
        assert "{" not in words.text
        assert "  " not in words.message
    for name in entry.reads:  # what an entry claims to read changes what it says
        without = {other: SAMPLES[other] for other in (entry.reads | entry.needs) - {name}}
        assert rendered(key, without).text != full.text, name


def test_every_type_has_words_and_every_word_a_type() -> None:
    types = {template for template, _ in CATALOGUE}
    assert types == {*get_args(NoticeType), *get_args(MailType)}


@pytest.mark.parametrize(("key", "entry"), ENTRIES, ids=[f"{t}-{r}" for (t, r), _ in ENTRIES])
def test_a_title_and_a_name_are_text_in_html(key: tuple[str, str], entry: Entry) -> None:
    evil = "<script>alert(1)</script>{{ 7 * 7 }}"
    context = {name: SAMPLES[name] for name in entry.needs} | (
        {"reason": evil} if "reason" in entry.reads else {}
    )
    words = rendered(key, context, job_title=evil, name=evil)
    assert "<script" not in words.html
    assert "49" not in words.text


def test_a_missing_need_and_an_unknown_role_are_errors() -> None:
    with pytest.raises(RenderingError):
        rendered(("auth.verify_email", ANYONE), {})
    with pytest.raises(RenderingError):
        rendered(("job.offer", "client"), {})
    with pytest.raises(RenderingError):
        rendered(("job.offer", "worker"), {"expires_at": "soon"})


def test_a_link_is_a_web_page() -> None:
    with pytest.raises(RenderingError):
        rendered(("auth.verify_email", ANYONE), {"link": "javascript:alert(1)"})


def test_times_are_the_readers_and_money_is_exact() -> None:
    words = rendered(
        ("job.offer", "worker"),
        {"expires_at": "2026-11-22T10:15:00Z", "pay_usd_cents": 123405},
        zone="Asia/Phnom_Penh",
    )
    assert "22 Nov 2026, 17:15 (Asia/Phnom_Penh)" in words.message
    assert "$1,234.05" in words.message
    assert (
        "10:15 (UTC)"
        in rendered(("job.offer", "worker"), {"expires_at": "2026-11-22T10:15:00Z"}, zone="Mars").message
    )
    assert "for 12.05 credits." in rendered(("job.completed", "client"), {"spent_credits": 1205}).message
    assert "for 1 credit." in rendered(("job.completed", "client"), {"spent_credits": 100}).message


def test_only_tokens_are_secret() -> None:
    assert holds_secret("auth.verify_email")
    assert not holds_secret("job.offer")


def test_a_notice_survives_a_payload_and_names_its_row() -> None:
    notice = Notice(type="job.offer", user_id="u1", job_id="j1", context={"pay_usd_cents": 5})
    again = Notice.model_validate_json(notice.model_dump_json())
    assert again == notice
    entry = OutboxEntry.of(again, key="j1:3:0")
    assert (entry.key, entry.kind, entry.template, entry.user_id) == ("j1:3:0", "notice", "job.offer", "u1")


def test_contexts_and_addresses_stay_out_of_reprs() -> None:
    entry = OutboxEntry(
        key="k", kind="mail", template="auth.verify_email", to="a@b.example", context={"link": "https://x"}
    )
    assert "a@b.example" not in repr(entry)
    assert "https://x" not in repr(entry)


@pytest.mark.parametrize("key", ["", "a b", "a\r\nb", "$where", "a" * 201, "é", ".x"])
def test_a_key_is_plain(key: str) -> None:
    with pytest.raises(ValueError, match="key"):
        OutboxEntry(key=key, kind="mail", template="auth.verify_email")
