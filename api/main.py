"""The FastAPI application. A new area adds its router to `ROUTERS`, and nothing else here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI
from starlette.middleware.cors import CORSMiddleware

from api import openapi, problems
from api.middleware import (
    CORRELATION_HEADER,
    DOCS_PATH,
    BodyRulesMiddleware,
    CorrelationMiddleware,
    ErrorBoundaryMiddleware,
    SecurityHeadersMiddleware,
)
from api.routers import (
    admin_chargebacks,
    admin_clients,
    admin_job_acts,
    admin_jobs,
    admin_payouts,
    admin_policies,
    admin_reconciliations,
    admin_refunds,
    admin_timeline,
    auth,
    disputes,
    files,
    health,
    job_acts,
    job_endings,
    job_prices,
    jobs,
    notifications,
    offers,
    payments,
    receipts,
    reviews,
    skills,
    statements,
    subscriptions,
    time,
    users,
    webhooks,
)
from api.state import open_resources
from app.logging import configure_logging
from app.settings import Settings, get_settings

ROUTERS: tuple[APIRouter, ...] = (
    health.router,
    auth.router,
    users.router,
    skills.router,
    jobs.router,
    job_acts.router,
    job_prices.router,
    job_endings.router,
    disputes.router,
    offers.router,
    files.router,
    time.router,
    notifications.router,
    reviews.router,
    payments.router,
    statements.router,
    subscriptions.router,
    subscriptions.as_drawn,
    receipts.router,
    webhooks.router,
    admin_clients.router,
    admin_refunds.router,
    admin_chargebacks.router,
    admin_jobs.router,
    admin_job_acts.router,
    admin_payouts.router,
    admin_policies.router,
    admin_reconciliations.router,
    admin_timeline.router,
)

DESCRIPTION = """
Clients post jobs, workers do them, and each job is one durable process.

Bodies are JSON in camelCase. Errors are problem documents (RFC 9457) with a stable `code`. Lists are paged by
`limit` and `cursor`. A POST that creates takes an `Idempotency-Key`. Money: credits are numbers with two decimals,
US dollars are integer cents.
"""


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application with its middleware, handlers and routes; connections are made by its lifespan."""
    settings = settings or get_settings()
    configure_logging(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_resources(settings) as resources:
            app.state.resources = resources
            yield

    app = FastAPI(
        title="Nimmit",
        version="1.0.0",
        description=DESCRIPTION.strip(),
        lifespan=lifespan,
        docs_url=None if settings.environment == "production" else DOCS_PATH,
        redoc_url=None,
        generate_unique_id_function=openapi.operation_id,
        redirect_slashes=False,
    )
    problems.install(app)
    openapi.install(app)
    for router in ROUTERS:
        app.include_router(router)
    _add_middleware(app, settings)
    return app


def _add_middleware(app: FastAPI, settings: Settings) -> None:
    """The last one added is the outermost."""
    app.add_middleware(BodyRulesMiddleware, settings=settings)
    app.add_middleware(ErrorBoundaryMiddleware)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_credentials=True,
        allow_methods=["GET", "POST", "PATCH", "PUT", "DELETE"],
        allow_headers=["Authorization", "Idempotency-Key", CORRELATION_HEADER],
        expose_headers=[CORRELATION_HEADER, "Idempotent-Replayed", "Retry-After"],
        max_age=600,
    )
    app.add_middleware(SecurityHeadersMiddleware, secure=settings.cookie_secure)
    app.add_middleware(CorrelationMiddleware)
