"""The sandbox's pages as text: plain HTML that works without JavaScript."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from devstack.stripe_sandbox.periods import day
from devstack.stripe_sandbox.store import Object

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem;color:#1a1f36}"
    "label{display:block;margin:.75rem 0}input{display:block;width:100%;padding:.5rem;font:inherit;"
    "box-sizing:border-box;border:1px solid #a3acb9;border-radius:.25rem}button{font:inherit;padding:.6rem 1.2rem;"
    "margin:.5rem .5rem .5rem 0;color:#fff;background:#1a1f36;border:0;border-radius:.25rem;cursor:pointer}"
    ".error{color:#b00020}.note{color:#4f566b;font-size:.875rem}td{padding:.2rem 1rem .2rem 0}"
    "footer{margin-top:2rem;padding-top:.5rem;border-top:1px solid #e3e8ee}"
)


def page(title: str, body: str) -> str:
    """A whole document around a body that is HTML already."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)} (sandbox)</title><style>{_STYLE}</style></head><body>"
        f"<main><h1>{escape(title)}</h1>{body}</main>"
        '<footer class="note">Stripe sandbox: no real money.</footer></body></html>'
    )


def money(amount: int, currency: str) -> str:
    """An amount of the smallest unit as people read it."""
    return f"{'-' if amount < 0 else ''}{currency.upper()} {abs(amount) / 100:,.2f}"


def error(text: str | None) -> str:
    return f'<p class="error" role="alert">{escape(text)}</p>' if text else ""


def _card_fields(number: str = "") -> str:
    return (
        '<label>Card number <input name="cardNumber" inputmode="numeric" autocomplete="cc-number" required '
        f'value="{escape(number)}"></label>'
        '<label>Expiry (MM/YY) <input name="cardExpiry" autocomplete="cc-exp" required value="12/34"></label>'
        '<label>CVC <input name="cardCvc" inputmode="numeric" autocomplete="cc-csc" required value="123"></label>'
        '<p class="note">Test card 4242 4242 4242 4242; others decline, ask for 3D Secure or are disputed later.</p>'
    )


def checkout(session: Object, wrong: str | None = None, typed: Mapping[str, str] | None = None) -> str:
    """The page of a checkout session. After a decline, what was `typed` stands again, but for the card."""
    before = typed or {}
    rows = "".join(
        f"<tr><td>{item['quantity']} × {escape(item['description'] or '')}</td>"
        f"<td>{money(item['amount_total'], item['currency'])}{_each(item['price'])}</td></tr>"
        for item in session["_line_items"]
    )
    known = (session["customer_details"] or {}).get("email")
    email = (
        f"<p>{escape(known)}</p>"
        if known
        else '<label>Email <input name="email" type="email" autocomplete="email" required '
        f'value="{escape(before.get("email", ""))}"></label>'
    )
    verb = "Subscribe" if session["mode"] == "subscription" else "Pay"
    total = money(session["amount_total"], session["currency"])
    back = session["cancel_url"]
    away = f'<p><a id="cancel" href="{escape(back)}">Back</a></p>' if back else ""
    return page(
        "Checkout",
        f"<table>{rows}</table><p><strong>{total}</strong></p>{error(wrong)}"
        f'<form method="post" action="/c/pay/{session["id"]}">{email}{_card_fields()}'
        '<label>Name on card <input name="billingName" autocomplete="cc-name" '
        f'value="{escape(before.get("billingName", ""))}"></label>'
        f'<button name="pay" value="1">{verb} {total}</button></form>{away}',
    )


def _each(price: Object) -> str:
    recurring = price["recurring"]
    if recurring is None:
        return ""
    count = recurring["interval_count"]
    return f" / {recurring['interval']}" if count == 1 else f" every {count} {recurring['interval']}s"


def authentication(action: str, amount: str) -> str:
    """Where a bank asks whether it is the customer."""
    return page(
        "3D Secure",
        f"<p>Your bank asks you to confirm a payment of {amount}.</p>"
        f'<form method="post" action="{escape(action)}">'
        '<button name="outcome" value="complete">Complete authentication</button>'
        '<button name="outcome" value="fail">Fail authentication</button></form>',
    )


def portal(
    path: str,
    subscriptions: list[Object],
    invoices: list[Object],
    return_url: str | None,
    wrong: str | None,
) -> str:
    """The customer's subscriptions, card and invoices."""
    items = "".join(_subscription(path, subscription) for subscription in subscriptions)
    rows = "".join(
        f'<tr><td><a href="{escape(invoice["hosted_invoice_url"])}">{escape(invoice["number"])}</a></td>'
        f"<td>{money(invoice['total'], invoice['currency'])}</td><td>{invoice['status']}</td></tr>"
        for invoice in invoices
        if invoice["number"]
    )
    back = f'<p><a id="return" href="{escape(return_url)}">Return</a></p>' if return_url else ""
    return page(
        "Your plan",
        f"{error(wrong)}{items or '<p>No subscription.</p>'}<h2>Payment method</h2>"
        f'<form method="post" action="{escape(path)}">{_card_fields()}'
        f'<button name="action" value="card">Save card</button></form>'
        f"<h2>Invoices</h2><table>{rows}</table>{back}",
    )


def _subscription(path: str, subscription: Object) -> str:
    item = subscription["items"]["data"][0]
    leaving = subscription["cancel_at_period_end"]
    until = day(item["current_period_end"])
    what = f"ends on {until}" if leaving else f"renews on {until}"
    action, label = ("resume", "Keep plan") if leaving else ("cancel", "Cancel plan")
    return (
        f"<section><h2>{escape(item['price']['nickname'] or item['price']['id'])}</h2>"
        f"<p>{money(item['price']['unit_amount'], subscription['currency'])}{_each(item['price'])}, "
        f'{subscription["status"]}, {what}</p><form method="post" action="{escape(path)}">'
        f'<input type="hidden" name="subscription" value="{subscription["id"]}">'
        f'<button name="action" value="{action}">{label}</button></form></section>'
    )


def invoice(path: str, invoice: Object, wrong: str | None) -> str:
    """An invoice, with a form to pay it while it is open."""
    rows = "".join(
        f"<tr><td>{escape(line['description'])}</td><td>{money(line['amount'], line['currency'])}</td></tr>"
        for line in invoice["lines"]["data"]
    )
    due = money(invoice["amount_due"], invoice["currency"])
    form = (
        f'<form method="post" action="{escape(path)}">{_card_fields()}<button>Pay {due}</button></form>'
        if invoice["status"] == "open"
        else ""
    )
    return page(
        f"Invoice {invoice['number']}",
        f"<table>{rows}</table><p><strong>{due}</strong>, {invoice['status']}</p>{error(wrong)}{form}"
        f'<p><a href="{escape(path)}/pdf">PDF</a></p>',
    )


def receipt(charge: Object) -> str:
    """What a customer gets for a payment."""
    refunded = charge["amount_refunded"]
    back = f"<p>Refunded: {money(refunded, charge['currency'])}</p>" if refunded else ""
    card = charge["payment_method_details"]["card"]
    paid = f"{money(charge['amount'], charge['currency'])} on {day(charge['created'])}"
    what = f"<p>{escape(charge['description'])}</p>" if charge["description"] else ""
    return page(
        "Receipt",
        f"{what}<p>{paid}, {escape(card['brand'].title())} ending in {card['last4']}: {charge['status']}</p>{back}"
        f'<p class="note">Payment {escape(charge["id"])}</p>',
    )


def onboarding(account: str, token: str, missing: list[str]) -> str:
    """The form that an account's holder sees: one button instead of Stripe's many steps."""
    fields = "".join(f"<li><code>{escape(name)}</code></li>" for name in missing)
    return page(
        "Get paid",
        "<p>The button does what the real form does: it gives the required details and a test bank account for "
        f"<code>{escape(account)}</code>.</p><ul>{fields}</ul>"
        f'<form method="post" action="/setup/e/{escape(token)}">'
        '<label>Bank account number <input name="account_number" value="000123456789"></label>'
        "<button>Agree and submit</button></form>",
    )


def pdf(lines: list[str]) -> bytes:
    """One page of text as a PDF, small and valid."""
    shown = [line.encode("latin-1", "replace").decode("latin-1") for line in lines]
    for special in ("\\", "(", ")"):
        shown = [line.replace(special, f"\\{special}") for line in shown]
    text = "BT /F1 12 Tf 50 780 Td 18 TL " + " ".join(f"({line}) Tj T*" for line in shown) + " ET"
    fonts = "<< /Font << /F1 5 0 R >> >>"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources {fonts} >>",
        f"<< /Length {len(text)} >>\nstream\n{text}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    document, offsets = "%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        offsets.append(len(document))
        document += f"{number} 0 obj\n{content}\nendobj\n"
    start = len(document)
    entries = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    document += (
        f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{entries}"
        f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"
    )
    return document.encode("latin-1")
