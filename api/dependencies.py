"""What a route may ask for, as annotated types: `database: DatabaseDep`, `temporal: TemporalDep`, …"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from temporalio.client import Client

from api.state import Database, Resources
from app.auth.service import AuthService
from app.gateways.payments import PaymentGateway
from app.money.credits import Credits
from app.policies.store import PolicyStore
from app.settings import Settings
from app.users.store import UserStore


def get_resources(request: Request) -> Resources:
    """The process's resources, which the lifespan put on the application."""
    resources: Resources = request.app.state.resources
    return resources


def get_open_resources(request: Request) -> Resources:
    """The same, once the database has its models and indexes: no account is made without the unique e-mail.

    Raises:
        DependencyUnavailableError: MongoDB has not been reachable since the start.
    """
    resources = get_resources(request)
    _ = resources.database
    return resources


ResourcesDep = Annotated[Resources, Depends(get_resources)]
OpenResourcesDep = Annotated[Resources, Depends(get_open_resources)]


def _settings(resources: ResourcesDep) -> Settings:
    return resources.settings


def _database(resources: ResourcesDep) -> Database:
    return resources.database


def _temporal(resources: ResourcesDep) -> Client:
    return resources.temporal


def _credits(resources: OpenResourcesDep) -> Credits:
    return resources.credits


def _payments(resources: ResourcesDep) -> PaymentGateway:
    return resources.payments


def _policies(resources: OpenResourcesDep) -> PolicyStore:
    return resources.policies


def _users(resources: OpenResourcesDep) -> UserStore:
    return resources.users


def _auth(resources: OpenResourcesDep) -> AuthService:
    return resources.auth


def _correlation_id(request: Request) -> str:
    correlation_id: str = request.scope["state"]["correlation_id"]
    return correlation_id


def _client_address(request: Request) -> str:
    """The caller's address; behind a proxy the server has put the forwarded one here, if the proxy is trusted."""
    return request.client.host if request.client else "unknown"


SettingsDep = Annotated[Settings, Depends(_settings)]
DatabaseDep = Annotated[Database, Depends(_database)]
TemporalDep = Annotated[Client, Depends(_temporal)]
CreditsDep = Annotated[Credits, Depends(_credits)]
PaymentsDep = Annotated[PaymentGateway, Depends(_payments)]
PoliciesDep = Annotated[PolicyStore, Depends(_policies)]
UsersDep = Annotated[UserStore, Depends(_users)]
AuthDep = Annotated[AuthService, Depends(_auth)]
CorrelationId = Annotated[str, Depends(_correlation_id)]
ClientAddress = Annotated[str, Depends(_client_address)]
