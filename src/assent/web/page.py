"""Pages: templates with what each of them needs, and errors as pages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from assent.report.wording import duration, number, percent
from assent.store.sessions import Entrance
from assent.types.feedback import Judgement, LabelKind
from assent.web.entrance import may, who
from assent.web.rendering import plain, render

HERE = Path(__file__).parent
_templates = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(
    request: Request, template: str, entrance: Entrance | None = None, code: int = 200, /, **values: Any
) -> HTMLResponse:
    """A page from its template, which is also given `entrance`, `account`, `csrf`, `may(right)` and `path`."""
    context = {
        "request": request,
        "path": request.url.path,
        "entrance": entrance,
        "account": None if entrance is None else entrance.account,
        "csrf": "" if entrance is None else entrance.csrf,
        "may": lambda right: entrance is not None and may(entrance, right),
        **values,
    }
    return HTMLResponse(_templates.get_template(template).render(context), code)


def order_shown(judgement: Judgement) -> str:
    """What a person said, by the numbers that they saw: "2 > 1 = 3"."""
    ranks = [judgement.ranks[place] for place in judgement.order_shown]
    groups = [
        " = ".join(str(slot + 1) for slot, other in enumerate(ranks) if other == rank) for rank in sorted(set(ranks))
    ]
    return " > ".join(groups[:1] if judgement.label is LabelKind.BEST_OF_K else groups)


def ranking(ranks: Sequence[int]) -> str:
    """An answer by the task's own numbers: "2 > 1 = 3"."""
    return " > ".join(
        " = ".join(str(place + 1) for place, other in enumerate(ranks) if other == rank) for rank in sorted(set(ranks))
    )


def error_page(request: Request, status: int, error: str, hint: str, headers: dict[str, str] | None = None) -> Response:
    """An error in the form of a page; who is not signed in is led to the sign-in."""
    if status == 401 and request.method == "GET":
        path = request.url.path
        return RedirectResponse("/sign-in" if path == "/" else f"/sign-in?{urlencode({'next': path})}", 303)
    answer = page(request, "error.html", _entrance(request), status, error=error, hint=hint, status=status)
    answer.headers.update(headers or {})
    return answer


def _entrance(request: Request) -> Entrance | None:
    try:
        return who(request)
    except Exception:  # the store may be what failed
        return None


_templates.filters["markdown"] = lambda text: Markup(render(text))  # sanitised by the last step of rendering
_templates.filters["order_shown"] = order_shown
_templates.filters.update(number=number, percent=percent, duration=duration)
_templates.filters["ranking"] = ranking
_templates.filters["pair"] = lambda value: (value, value)
_templates.filters["pretty"] = lambda value: json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)
_templates.filters["plain"] = lambda text: Markup(plain(text))
