"""The JSON interface under `/api/v1`: the same rules by cookie and CSRF header, or by bearer token."""

from fastapi import APIRouter

from assent.web.api import access, assignments, campaigns, data, me

router = APIRouter(prefix="/api/v1")
for _part in (me, assignments, campaigns, access, data):
    router.include_router(_part.router)

__all__ = ["router"]
