"""Everything that the activities of one worker process share: connections, the journal, the gateways."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from temporalio.client import Client

from app.database import connect as connect_database
from app.database import open_database
from app.gateways.billing import BillingGateway
from app.gateways.mail import MailGateway, SmtpMailGateway
from app.gateways.payments import PaymentGateway
from app.gateways.storage import Storage
from app.gateways.stripe import StripeGateway
from app.gateways.stripe_billing import StripeBilling
from app.money.credits import Credits
from app.money.earnings import Earnings
from app.money.journal import Journal
from app.parsing.service import BriefReader
from app.settings import Settings
from app.skills.store import ensure_skills
from workflows.connection import connect as connect_temporal


@dataclass(frozen=True, slots=True)
class Resources:
    """Made once a process, closed with it."""

    settings: Settings
    client: Client
    database: AsyncDatabase[dict[str, Any]]
    credits: Credits
    earnings: Earnings
    payments: PaymentGateway
    billing: BillingGateway
    storage: Storage
    mail: MailGateway
    reader: BriefReader | None


@asynccontextmanager
async def open_resources(settings: Settings) -> AsyncIterator[Resources]:
    """Connect to everything, and close it in reverse order.

    Raises:
        pymongo.errors.PyMongoError: MongoDB cannot be reached.
        RuntimeError: Temporal cannot be reached.
    """
    async with AsyncExitStack() as stack:
        mongo = connect_database(settings)
        stack.push_async_callback(mongo.close)
        database = await open_database(mongo, settings)
        await ensure_skills(database)
        journal = Journal(database)
        payments = StripeGateway.from_settings(settings)
        stack.push_async_callback(payments.close)
        billing = StripeBilling.from_settings(settings)
        stack.push_async_callback(billing.close)
        storage = Storage(settings)
        stack.callback(storage.close)
        mail = SmtpMailGateway(settings.smtp_url, sender=settings.mail_from)
        stack.push_async_callback(mail.aclose)
        yield Resources(
            settings=settings,
            client=await connect_temporal(settings),
            database=database,
            credits=Credits(database, journal=journal),
            earnings=Earnings(database, journal=journal),
            payments=payments,
            billing=billing,
            storage=storage,
            mail=mail,
            reader=_reader(settings, stack),
        )


def _reader(settings: Settings, stack: AsyncExitStack) -> BriefReader | None:
    """The model, if there is a key. Its SDK is half of what a worker imports, and most have no use for it."""
    if settings.openai_api_key is None:
        return None
    from app.gateways.openai import OpenAIBriefReader  # noqa: PLC0415

    reader = OpenAIBriefReader.from_settings(settings)
    if reader is not None:
        stack.push_async_callback(reader.aclose)
    return reader
