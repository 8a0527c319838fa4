"""Schemathesis over the OpenAPI, in every role: no 5xx, and no answer that is not declared."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CHECKS

from tests.web.people import House

MakeRun = Callable[..., list[int]]
NOBODY = "nobody signed in"
ROLES = ("owner", "manager", "adjudicator", "annotator", "read-only", NOBODY)
CHECKED = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance")


def throw_everything(house: House, role: str, examples: int) -> int:
    """Every operation, so many examples each; returns how many requests were answered."""
    headers = {"Host": "testserver"}
    if role != NOBODY:
        scopes = ["judge", "read", "adjudicate", "manage", "own"]
        token = house(role).post("/tokens", {"name": "fuzz", "scopes": scopes}, 201)["token"]
        headers["Authorization"] = f"Bearer {token}"
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", house.app, headers={"Host": "testserver"})
    checks = [CHECKS.get_one(name) for name in CHECKED]
    answered = 0
    for operation in sorted((each.ok() for each in schema.get_all_operations()), key=shuts_out):

        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=True,
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
        )
        @_given(operation)
        def probe(case: Any) -> None:
            nonlocal answered
            response = case.call(headers=headers)
            case.validate_response(response, checks=checks, headers=headers)
            answered += 1

        probe()
    return answered


def shuts_out(operation: Any) -> bool:
    """Whether it may end the account or the token of the one who asks: these come last."""
    changes = operation.method == "patch" and "people" in operation.path
    return changes or operation.path.endswith(("/sign-out", "/erase")) or operation.method == "delete"


def _given(operation: Any) -> Any:
    from hypothesis import given

    return given(case=operation.as_strategy())


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("role", ROLES)
def test_no_undeclared_answer(house: House, make_run: MakeRun, role: str) -> None:
    make_run(tasks=3)
    examples = int(os.environ.get("ASSENT_SCHEMA_EXAMPLES", "12"))
    assert throw_everything(house, role, examples) >= 40


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("role", ROLES)
def test_no_undeclared_answer_at_length(house: House, make_run: MakeRun, role: str) -> None:
    make_run(tasks=20)
    assert throw_everything(house, role, 100) >= 2000
