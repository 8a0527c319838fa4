"""Every route × every role × one's own and another's objects: who may, and what the others are told."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from fastapi.routing import APIRoute

from assent.web import Service, create_app
from assent.web.entrance import Requires
from tests.web.conftest import mostly_sqlite
from tests.web.people import House

MakeRun = Callable[..., list[int]]
ROLES = ("owner", "manager", "adjudicator", "annotator", "read-only")
# Written down apart from the code, so that a slip there is a failure here.
ALLOWED = {
    "self": {"owner", "manager", "adjudicator", "annotator", "read-only"},
    "judge": {"owner", "manager", "adjudicator", "annotator"},
    "read": {"owner", "manager", "adjudicator", "read-only"},
    "manage": {"owner", "manager"},
    "own": {"owner"},
}
OPEN = {"/sign-in", "/link/{token}"}
OWN_OBJECTS = {"assignment_id", "judgement_id", "token_id"}
RIGHT_OF = {
    "GET /": "self",
    "POST /sign-out": "self",
    "POST /account/password": "self",
    "GET /annotate": "judge",
    "GET /account": "self",
    "GET /consent/{campaign_id}": "judge",
    "POST /consent/{campaign_id}": "judge",
    "GET /guidelines/{campaign_id}": "judge",
    "GET /qualification/{campaign_id}": "judge",
    "GET /me": "judge",
    "GET /past": "judge",
    "GET /api/v1/me": "self",
    "GET /api/v1/me/judgements": "judge",
    "GET /api/v1/me/judgements/{judgement_id}": "judge",
    "GET /api/v1/me/campaigns": "judge",
    "POST /api/v1/me/campaigns/{campaign_id}/consent": "judge",
    "POST /api/v1/judgements/{judgement_id}/undo": "judge",
    "PUT /api/v1/judgements/{judgement_id}": "judge",
    "POST /api/v1/assignments/next": "judge",
    "GET /api/v1/assignments/{assignment_id}": "judge",
    "GET /api/v1/assignments/{assignment_id}/difference": "judge",
    "POST /api/v1/assignments/{assignment_id}/renew": "judge",
    "PUT /api/v1/assignments/{assignment_id}/draft": "judge",
    "POST /api/v1/assignments/{assignment_id}/submit": "judge",
    "POST /api/v1/assignments/{assignment_id}/decline": "judge",
    "POST /api/v1/assignments/{assignment_id}/take-up": "judge",
    "GET /api/v1/campaigns": "read",
    "POST /api/v1/campaigns": "manage",
    "GET /api/v1/campaigns/{campaign_id}": "read",
    "PATCH /api/v1/campaigns/{campaign_id}": "manage",
    "GET /api/v1/campaigns/{campaign_id}/counts": "read",
    "GET /api/v1/campaigns/{campaign_id}/gold": "manage",
    "POST /api/v1/campaigns/{campaign_id}/gold": "manage",
    "DELETE /api/v1/campaigns/{campaign_id}/gold/{task_id}": "manage",
    "GET /api/v1/runs": "read",
    "GET /api/v1/people": "read",
    "GET /api/v1/people/{account_id}": "read",
    "PATCH /api/v1/people/{account_id}": "manage",
    "POST /api/v1/people/{account_id}/link": "manage",
    "POST /api/v1/people/{account_id}/sign-out": "self",
    "GET /api/v1/people/{account_id}/touched": "manage",
    "POST /api/v1/people/{account_id}/erase": "own",
    "GET /api/v1/links": "manage",
    "POST /api/v1/links": "manage",
    "DELETE /api/v1/links/{link_id}": "manage",
    "GET /api/v1/tokens": "self",
    "POST /api/v1/tokens": "self",
    "DELETE /api/v1/tokens/{token_id}": "self",
    "GET /api/v1/judgements": "read",
    "GET /api/v1/judgements/{judgement_id}/revisions": "read",
    "GET /api/v1/demonstrations": "read",
    "GET /api/v1/datasets": "read",
    "POST /api/v1/datasets": "manage",
    "POST /api/v1/datasets/preview": "manage",
    "GET /api/v1/datasets/{dataset}": "read",
    "GET /api/v1/datasets/{dataset}/{split}": "read",
    "GET /api/v1/datasets/{dataset}/{split}/file": "read",
    "GET /api/v1/lineage": "read",
    "GET /api/v1/audit": "manage",
}


def routes(found: Any) -> Iterator[APIRoute]:
    """All routes of an application, those of the routers that it includes among them."""
    for route in found.routes:
        if isinstance(route, APIRoute):
            yield route
        elif (inner := getattr(route, "original_router", None)) is not None:
            yield from routes(inner)


def right_of(route: APIRoute) -> str | None:
    """The right that a route's own declaration asks for."""
    calls = [each.call for each in route.dependant.dependencies]
    return next((call.right for call in calls if isinstance(call, Requires)), None)


@mostly_sqlite
def test_every_route_asks_for_the_right_that_is_written_here(house: House) -> None:
    declared = {}
    for route in routes(house.app):
        if route.endpoint.__module__.startswith("assent.web.admin"):
            continue  # tests/web/test_admin.py has a matrix of its own for those
        prefix = "" if route.path.startswith("/api") or not route.include_in_schema else "/api/v1"
        for method in route.methods:
            if route.path not in OPEN:
                declared[f"{method} {prefix}{route.path}"] = right_of(route)
    assert len(declared) > 45
    assert declared == {name: RIGHT_OF.get(name, "?") for name in declared}
    assert set(RIGHT_OF) <= set(declared)


def test_every_route_for_every_role(house: House, make_run: MakeRun) -> None:
    make_run(tasks=12, overlap=3)
    people = {role: house(role) for role in ROLES}
    objects = {role: made_by(house, role) for role in ROLES if role != "read-only"}
    unasked = house.client()
    wrong = []
    for name, right in RIGHT_OF.items():
        method, path = name.split(" ")
        for role, browser in people.items() if name != "POST /sign-out" else ():  # nobody could go on after it
            for owner in ("own", "other's"):
                values = objects.get(role) or objects["owner"]
                if owner == "other's":
                    values = objects["annotator" if role != "annotator" else "manager"]
                if method == "DELETE" or path.endswith(("/erase", "/sign-out", "/password")):
                    values = {key: "2147483647" for key in values}  # nothing is lost by asking
                url = re.sub(r"\{(\w+)\}", lambda found, v=values: str(v[found[1]]), path)  # type: ignore[misc]
                answer = browser.client.request(method, url, headers=browser.headers, json={})
                wrong += complaints(name, role, owner, answer.status_code, role in ALLOWED[right], path)
        url = re.sub(r"\{(\w+)\}", "1", path)
        for headers in ({}, {"Authorization": "Bearer no-such-token"}):
            answer = unasked.request(method, url, headers={"accept": "application/json", **headers}, json={})
            if answer.status_code != 401:
                wrong.append(f"{name} by nobody: {answer.status_code}")
    assert wrong == []


def complaints(name: str, role: str, owner: str, status: int, allowed: bool, path: str) -> list[str]:
    """What is wrong with this answer."""
    mine = any(f"{{{key}}}" in path for key in OWN_OBJECTS) and not path.endswith("/revisions")
    said = f"{name} by {role} on {owner}: {status}"
    if status >= 500:
        return [said]
    if not allowed:
        return [] if status == 403 else [said]
    if status in (401, 403) and not path.endswith("sign-out"):
        return [] if (name, role) in NOT_OVER_MANAGERS else [said]
    if mine and owner == "other's" and status not in (404, 422):
        return [said]
    return []


NOT_OVER_MANAGERS = {
    ("PATCH /api/v1/people/{account_id}", "manager"),
    ("POST /api/v1/people/{account_id}/link", "manager"),
}


def made_by(house: House, role: str) -> dict[str, Any]:
    """Ids of what belongs to a person of this role."""
    browser = house(role)
    first = browser.next()
    judgement = browser.submit(first)["judgement_id"]
    token = browser.post("/tokens", {"name": "t", "scopes": ["judge"]}, 201)["id"]
    return {
        "assignment_id": browser.next()["id"],
        "judgement_id": judgement,
        "token_id": token,
        "account_id": browser.id,
        "campaign_id": 1,
        "task_id": 1,
        "link_id": 1,
        "dataset": "none",
        "split": "train",
    }


@mostly_sqlite
def test_create_app_is_what_is_served(service: Service) -> None:
    assert create_app(service).docs_url is None, "its page loads scripts from elsewhere"
