"""The pages of those who run the labelling, one small file each. What they show and do, lower rooms know."""

from fastapi import APIRouter

from assent.web.admin import loop, runs

router = APIRouter(include_in_schema=False)
for each in (loop, runs):
    router.include_router(each.router)

__all__ = ["router"]
