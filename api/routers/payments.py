"""A worker's payout account: opened at Stripe, finished there, and shown here with what is missing."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from fastapi import APIRouter

from api.dependencies import DatabaseDep, PaymentsDep, SettingsDep, UsersDep
from api.openapi import AUTHENTICATED, problems
from api.payment_errors import provider_errors
from api.security import WorkerOnly
from api.types import ResponseModel
from app.documents import utcnow
from app.errors import DependencyUnavailableError
from app.payouts.accounts import open_account, read_account
from app.payouts.terms import next_run, terms_of
from app.settings import Settings
from app.users.models import DEFAULT_COUNTRY, PayoutAccount, User

router = APIRouter(prefix="/payments", tags=["payments"])


class OnboardingView(ResponseModel):
    """Where the worker tells Stripe what it must know. The link works once, for minutes; ask again for another."""

    url: str


class PayoutTermsView(ResponseModel):
    """On what terms money goes to the bank. Stripe buys the bank's currency at its rate of the day less the share."""

    country: str
    minimum_usd_cents: int
    fee_usd_cents: int
    exchange_percent: float
    every_days: int
    next_at: datetime


class AccountView(ResponseModel):
    """How the worker's payout account stands.

    `none`: there is none yet. `incomplete`: Stripe's form is not finished. `restricted`: Stripe wants to know more
    before money can come in or go out. `active`: both work. `asOf` is when Stripe was last heard.
    """

    status: Literal["none", "incomplete", "restricted", "active"]
    can_receive: bool
    can_be_paid_out: bool
    requirements_due: list[str]
    available_usd_cents: int | None
    terms: PayoutTermsView
    as_of: datetime | None


@router.post(
    "/onboarding",
    status_code=201,
    responses=problems(*AUTHENTICATED, "wrong-role", "payment-refused", "outcome-unknown"),
)
async def start_onboarding(
    principal: WorkerOnly,
    users: UsersDep,
    database: DatabaseDep,
    payments: PaymentsDep,
    settings: SettingsDep,
) -> OnboardingView:
    """Open the worker's account at Stripe, if there is none, and give the link to Stripe's form."""
    user = await users.get(principal.user_id)
    with provider_errors(moving=True):
        account = await open_account(database, payments, user.id, email=user.email, country=_country(user))
        url = await payments.create_onboarding_link(
            account,
            refresh_url=f"{settings.portal_url}/payouts/onboarding",
            return_url=f"{settings.portal_url}/payouts",
        )
    return OnboardingView(url=url)


@router.get("/account", responses=problems(*AUTHENTICATED, "wrong-role"))
async def read_payout_account(
    principal: WorkerOnly,
    users: UsersDep,
    database: DatabaseDep,
    payments: PaymentsDep,
    settings: SettingsDep,
) -> AccountView:
    """The payout account as Stripe knows it now; as it was heard last, when Stripe does not answer."""
    user = await users.get(principal.user_id)
    profile = user.worker_profile
    terms = _terms(settings, _country(user))
    if profile is None or profile.stripe_account_id is None:
        return _view(None, None, terms, status="none")
    account_id, available = profile.stripe_account_id, None
    try:
        with provider_errors():
            state = await read_account(database, payments, user.id, account_id)
            if state.details_submitted:
                available = await payments.available_cents(account_id)
    except DependencyUnavailableError:
        if profile.payout_account is None:
            raise
        state = profile.payout_account
    return _view(state, available, terms, status=_status(state))


def _status(state: PayoutAccount) -> Literal["incomplete", "restricted", "active"]:
    if state.transfers_active and state.payouts_enabled:
        return "active"
    return "restricted" if state.details_submitted else "incomplete"


def _view(
    state: PayoutAccount | None,
    available: int | None,
    terms: PayoutTermsView,
    *,
    status: Literal["none", "incomplete", "restricted", "active"],
) -> AccountView:
    return AccountView(
        status=status,
        can_receive=state is not None and state.transfers_active,
        can_be_paid_out=state is not None and state.payouts_enabled,
        requirements_due=state.requirements_due if state else [],
        available_usd_cents=available,
        terms=terms,
        as_of=state.read_at if state else None,
    )


def _terms(settings: Settings, country: str) -> PayoutTermsView:
    terms = terms_of(settings, country)
    return PayoutTermsView(
        country=terms.country,
        minimum_usd_cents=terms.minimum_usd_cents,
        fee_usd_cents=terms.fee_usd_cents,
        exchange_percent=terms.exchange_basis_points / 100,
        every_days=terms.every_days,
        next_at=next_run(utcnow(), terms.every_days),
    )


def _country(user: User) -> str:
    return user.worker_profile.country if user.worker_profile else DEFAULT_COUNTRY
