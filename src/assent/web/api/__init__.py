"""The JSON interface under `/api/v1`: the same rules by cookie and CSRF header, or by bearer token."""

from fastapi import APIRouter

from assent.web.api import assignments, me

router = APIRouter(prefix="/api/v1")
router.include_router(me.router)
router.include_router(assignments.router)

__all__ = ["router"]
