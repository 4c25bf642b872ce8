"""The pages that people see in a browser: checkout, authentication, portal, invoices, receipts, onboarding."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from devstack.stripe_sandbox import accounts, cards, checkout, collection, customers, markup, payments, portal
from devstack.stripe_sandbox.call import Call
from devstack.stripe_sandbox.engine import Engine
from devstack.stripe_sandbox.errors import StripeFault
from devstack.stripe_sandbox.periods import day
from devstack.stripe_sandbox.store import Object

Form = dict[str, str]
_GONE = HTMLResponse(markup.page("Gone", "<p>This page has expired, or never was.</p>"), 410)


def _go(url: str) -> Response:
    return RedirectResponse(url, 303)


async def _form(http: Request) -> Form | None:
    """The form's fields, or None when the page is only looked at."""
    if http.method != "POST":
        return None
    fields = parse_qs((await http.body()).decode(errors="replace"), keep_blank_values=True)
    return {name: values[0] for name, values in fields.items()}


class Pages:
    """One handler per page. What a form does is one transaction; a decline shows the page again, with 402."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def routes(self) -> list[Route]:
        both = ["GET", "POST"]
        return [
            Route("/c/pay/{id}", self.checkout, methods=both),
            Route("/c/pay/{id}/authenticate", self.checkout_authentication, methods=["POST"]),
            Route("/3ds/{secret}", self.authentication, methods=both),
            Route("/p/session/{token}", self.portal, methods=both),
            Route("/i/{token}", self.invoice, methods=both),
            Route("/i/{token}/pdf", self.invoice_pdf, methods=["GET"]),
            Route("/receipts/{id}", self.receipt, methods=["GET"]),
            Route("/setup/e/{token}", self.onboarding, methods=both),
        ]

    def _attempt(
        self, kind: str, object_id: str, act: Callable[[Call, Object], Response]
    ) -> Response | StripeFault | None:
        """Lets `act` work on an object with a call of its owner; None if there is none such, a fault if declined.

        What a declined attempt left behind stays if the fault says so.
        """
        owner = self._engine.owner_of(kind, object_id)
        if owner is None:
            return None
        try:
            with self._engine.acting(owner) as call:
                found = call.tx.find(kind, object_id) or {}
                try:
                    return act(call, found)
                except StripeFault as fault:
                    if not fault.commits:
                        raise
                    return fault
        except StripeFault as fault:
            return fault

    def _shown(
        self, kind: str, object_id: str, show: Callable[[Call, Object], str], status: int = 200
    ) -> Response:
        done = self._attempt(kind, object_id, lambda call, one: HTMLResponse(show(call, one), status))
        return done if isinstance(done, Response) else _GONE

    # Checkout

    async def checkout(self, http: Request) -> Response:
        """The page of a session; its form pays."""
        form = await _form(http)
        kind, session_id = "checkout.session", http.path_params["id"]

        def act(call: Call, session: Object) -> Response:
            if session["status"] == "complete":
                return _go(checkout.success_url(session))
            if session["status"] == "expired":
                return _GONE
            if form is None:
                return HTMLResponse(markup.checkout(session))
            details = {"email": form.get("email", ""), "name": form.get("billingName", "")}
            if checkout.submit(call, session, cards.by_number(form.get("cardNumber", "")), details):
                return _go(checkout.success_url(session))
            amount = markup.money(session["amount_total"], session["currency"])
            return HTMLResponse(markup.authentication(f"/c/pay/{session['id']}/authenticate", amount))

        done = self._attempt(kind, session_id, act)
        if isinstance(done, StripeFault):
            message = done.error["message"]
            return self._shown(
                kind, session_id, lambda _, session: markup.checkout(session, message, form), 402
            )
        return done or _GONE

    async def checkout_authentication(self, http: Request) -> Response:
        """The bank's question about the card that was typed in."""
        form = await _form(http) or {}
        kind, session_id = "checkout.session", http.path_params["id"]

        def act(call: Call, session: Object) -> Response:
            if session["status"] == "complete":
                return _go(checkout.success_url(session))
            if session["status"] != "open" or session["_method"] is None:
                return _GONE
            if form.get("outcome") != "complete":
                message = "We are unable to authenticate your payment method. Please choose a different one."
                return HTMLResponse(markup.checkout(session, message), 402)
            checkout.complete(call, session, authenticated=True)
            return _go(checkout.success_url(session))

        done = self._attempt(kind, session_id, act)
        if isinstance(done, StripeFault):
            message = done.error["message"]
            return self._shown(kind, session_id, lambda _, session: markup.checkout(session, message), 402)
        return done or _GONE

    # A payment intent's authentication

    async def authentication(self, http: Request) -> Response:
        """Where `next_action.redirect_to_url` leads."""
        form = await _form(http)
        secret = http.path_params["secret"]

        def act(call: Call, intent: Object) -> Response:
            if intent["client_secret"] != secret or intent["status"] != "requires_action":
                return _GONE
            amount = markup.money(intent["amount"], intent["currency"])
            if form is None:
                return HTMLResponse(markup.authentication(f"/3ds/{secret}", amount))
            customer = call.tx.find("customer", intent["customer"] or "") or {}
            call = call.on_clock(customer.get("test_clock"))
            if form.get("outcome") == "complete":
                payments.confirm(call, intent, authenticated=True)
            else:
                payments.authentication_failed(call, intent)
            collection.after_attempt(call, intent)
            back = intent.get("_return_url")
            if back:
                joint = "&" if "?" in back else "?"
                return _go(f"{back}{joint}payment_intent={intent['id']}")
            return HTMLResponse(markup.page("Thank you", f"<p>The payment is {intent['status']}.</p>"))

        done = self._attempt("payment_intent", secret.partition("_secret_")[0], act)
        return done if isinstance(done, Response) else _GONE

    # The customer's own

    async def portal(self, http: Request) -> Response:
        """Subscriptions, card and invoices of a customer."""
        form = await _form(http)
        token, path = http.path_params["token"], http.url.path

        def act(call: Call, page: Object) -> Response:
            if page["created"] < call.now - portal.LIFETIME_SECONDS:
                return _GONE
            customer, _ = _portal_of(call, page)
            if form is None:
                return HTMLResponse(show(call, page))
            if form.get("action") == "card":
                portal.change_card(call, customer, cards.by_number(form.get("cardNumber", "")))
            elif form.get("action") in {"cancel", "resume"}:
                wanted = form["action"] == "cancel"
                portal.plan_end(call, customer, form.get("subscription", ""), wanted=wanted)
            return _go(path)

        def show(call: Call, page: Object, wrong: str | None = None) -> str:
            customer, session = _portal_of(call, page)
            invoices = call.tx.every("invoice", call.account, customer=customer["id"])
            mine = portal.subscriptions_of(call, customer)
            return markup.portal(path, mine, invoices[::-1], session["return_url"], wrong)

        done = self._attempt("_portal_page", token, act)
        if isinstance(done, StripeFault):
            message = done.error["message"]
            return self._shown("_portal_page", token, lambda call, page: show(call, page, message), 402)
        return done or _GONE

    async def invoice(self, http: Request) -> Response:
        """A hosted invoice; while it is open, its form pays it."""
        form = await _form(http)
        token, path = http.path_params["token"], http.url.path

        def act(call: Call, page: Object) -> Response:
            invoice = call.tx.find("invoice", page["invoice"]) or {}
            if form is None or invoice["status"] != "open":
                return HTMLResponse(markup.invoice(path, invoice, None))
            call = call.on_clock(invoice["test_clock"])
            customer = customers.find(call, invoice["customer"])
            portal.change_card(call, customer, cards.by_number(form.get("cardNumber", "")))
            collection.collect(call, invoice, off_session=False, manual=True)
            intent = call.tx.find("payment_intent", invoice["_payment_intent"]) or {}
            if intent["status"] == "requires_action":
                return _go(intent["next_action"]["redirect_to_url"]["url"])
            if intent["last_payment_error"] is not None:
                raise payments.declined(intent)
            return _go(path)

        def show(call: Call, page: Object, wrong: str) -> str:
            return markup.invoice(path, call.tx.find("invoice", page["invoice"]) or {}, wrong)

        done = self._attempt("_invoice_page", token, act)
        if isinstance(done, StripeFault):
            message = done.error["message"]
            return self._shown("_invoice_page", token, lambda call, page: show(call, page, message), 402)
        return done or _GONE

    async def invoice_pdf(self, http: Request) -> Response:
        """The same invoice as a PDF."""

        def act(call: Call, page: Object) -> Response:
            invoice = call.tx.find("invoice", page["invoice"]) or {}
            lines = [
                f"Invoice {invoice['number']}, {day(invoice['created'])}",
                f"To: {invoice['customer_name'] or invoice['customer_email'] or invoice['customer']}",
                *(
                    f"{line['description']}: {markup.money(line['amount'], line['currency'])}"
                    for line in invoice["lines"]["data"]
                ),
                f"Due: {markup.money(invoice['amount_due'], invoice['currency'])} ({invoice['status']})",
            ]
            return Response(markup.pdf(lines), media_type="application/pdf")

        done = self._attempt("_invoice_page", http.path_params["token"], act)
        return done if isinstance(done, Response) else _GONE

    async def receipt(self, http: Request) -> Response:
        """What was paid."""
        return self._shown("charge", http.path_params["id"], lambda _, charge: markup.receipt(charge))

    # Onboarding

    async def onboarding(self, http: Request) -> Response:
        """The page of an account link, and what its button does."""
        form = await _form(http)
        token = http.path_params["token"]

        def act(call: Call, link: Object) -> Response:
            if link["expires_at"] < call.now:
                return _go(link["refresh_url"]) if link["refresh_url"] else _GONE
            account = accounts.find(call, link["account"])
            if form is None:
                missing = account["requirements"]["currently_due"]
                return HTMLResponse(markup.onboarding(account["id"], token, missing))
            details = {"account_number": form["account_number"]} if form.get("account_number") else {}
            accounts.onboard(call, account["id"], **details)
            thanks = markup.page("Thank you", "<p>Your details are complete.</p>")
            return _go(link["return_url"]) if link["return_url"] else HTMLResponse(thanks)

        done = self._attempt("_onboarding_link", token, act)
        return done if isinstance(done, Response) else _GONE


def _portal_of(call: Call, page: Object) -> tuple[Object, Object]:
    session = call.tx.find("billing_portal.session", page["session"]) or {}
    return customers.find(call, session["customer"]), session
