"""Who may call what, and whose things they reach: every route of the API has a row here.

A new route without a row fails `test_access.py`, which also calls each route as everyone who may not.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.users.models import Role


class Owner(StrEnum):
    """Whose the thing is that the route reaches."""

    NOBODY = "nobody"  # public, or the platform's own
    SELF = "self"  # the caller's, found by the token: another's cannot be named
    JOB_CLIENT = "the job's client"
    JOB_WORKER = "the job's worker, or the one it is offered to"
    JOB_PARTY = "the job's client or worker"
    ANY = "anyone's"  # admins


@dataclass(frozen=True)
class Access:
    """`roles` is None for a route that needs no token."""

    roles: frozenset[Role] | None
    owner: Owner


PUBLIC = Access(None, Owner.NOBODY)
COOKIE = Access(None, Owner.SELF)  # the refresh cookie says who
EVERYONE_SELF = Access(frozenset(Role), Owner.SELF)


def only(*roles: Role, owner: Owner) -> Access:
    """A route for these roles."""
    return Access(frozenset(roles), owner)


CLIENT_ACT = only(Role.CLIENT, owner=Owner.JOB_CLIENT)
WORKER_ACT = only(Role.WORKER, owner=Owner.JOB_WORKER)
PARTY_OR_ADMIN = only(*Role, owner=Owner.JOB_PARTY)  # and admins, who see every job
ADMIN = only(Role.ADMIN, owner=Owner.ANY)

ACCESS: dict[tuple[str, str], Access] = {
    ("GET", "/health/live"): PUBLIC,
    ("GET", "/health/ready"): PUBLIC,
    ("POST", "/auth/register"): PUBLIC,
    ("POST", "/auth/verify-email"): PUBLIC,
    ("POST", "/auth/login"): PUBLIC,
    ("POST", "/auth/refresh"): COOKIE,
    ("POST", "/auth/logout"): COOKIE,
    ("GET", "/users/me"): EVERYONE_SELF,
    ("PATCH", "/users/me"): EVERYONE_SELF,
    ("GET", "/skills"): PUBLIC,
    ("POST", "/jobs"): only(Role.CLIENT, owner=Owner.SELF),
    ("GET", "/jobs"): EVERYONE_SELF,
    ("GET", "/jobs/{job_id}"): PARTY_OR_ADMIN,
    ("GET", "/jobs/{job_id}/state"): PARTY_OR_ADMIN,
    ("POST", "/jobs/{job_id}/offer/accept"): WORKER_ACT,
    ("POST", "/jobs/{job_id}/offer/decline"): WORKER_ACT,
    ("POST", "/jobs/{job_id}/quote/approve"): CLIENT_ACT,
    ("POST", "/jobs/{job_id}/quote/decline"): CLIENT_ACT,
    ("POST", "/jobs/{job_id}/start"): WORKER_ACT,
    ("POST", "/jobs/{job_id}/submit"): WORKER_ACT,
    ("POST", "/jobs/{job_id}/approve"): CLIENT_ACT,
    ("POST", "/jobs/{job_id}/request-revision"): CLIENT_ACT,
    ("POST", "/jobs/{job_id}/reviews"): only(Role.CLIENT, Role.WORKER, owner=Owner.JOB_PARTY),
    ("POST", "/jobs/{job_id}/files/upload-url"): only(Role.CLIENT, Role.WORKER, owner=Owner.JOB_PARTY),
    ("POST", "/jobs/{job_id}/files"): only(Role.CLIENT, Role.WORKER, owner=Owner.JOB_PARTY),
    ("GET", "/jobs/{job_id}/files"): PARTY_OR_ADMIN,
    ("GET", "/jobs/{job_id}/files/{file_id}/download-url"): PARTY_OR_ADMIN,
    ("GET", "/notifications"): EVERYONE_SELF,
    ("POST", "/notifications/read-all"): EVERYONE_SELF,
    ("POST", "/notifications/{notification_id}/read"): EVERYONE_SELF,
    ("GET", "/offers"): only(Role.WORKER, owner=Owner.SELF),
    ("GET", "/admin/jobs"): ADMIN,
    ("GET", "/admin/jobs/{job_id}"): ADMIN,
    ("POST", "/admin/jobs/{job_id}/assign"): ADMIN,
}
