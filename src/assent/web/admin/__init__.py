"""The pages of those who run the labelling, one small file each. What they show and do, lower rooms know."""

from fastapi import APIRouter

from assent.web.admin import access, audit, bias, campaigns, data, datasets, gold, lineage, loop, people, quality, runs

router = APIRouter(include_in_schema=False)
for each in (loop, gold, campaigns, data, quality, people, bias, datasets, lineage, runs, audit, access):
    router.include_router(each.router)

__all__ = ["router"]
