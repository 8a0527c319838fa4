"""What came of the loop: the report, a table on the terminal, and one line for scripts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.table import Table

from assent.report import write_report
from assent.report.wording import mark, number, percent, percent_interval
from assent.stages.figures import report_data, summary
from assent.types.feedback import marks_in_order

if TYPE_CHECKING:
    from rich.console import Console

    from assent.pipeline import Outcome
    from assent.report import ReportData
    from assent.stages.project import Project


def tell_outcome(
    project: Project, outcome: Outcome | None, console: Console, as_json: bool, seconds: float | None = None
) -> None:
    """Write the report, then print the table and the report's path, and for scripts one line of JSON.

    Args:
        project: open.
        outcome: where the loop stands, if it has a policy yet.
        console: for people.
        as_json: end with the line for scripts, on stdout.
        seconds: how long this command took, where that is worth telling.
    """
    data, figures = report_data(project, outcome), summary(project, outcome)
    if seconds is not None:
        data["seconds"] = round(seconds, 1)
    path = write_report(data, project.workspace.path)
    if data.get("criteria"):
        console.print(marks_table(data))
    for line in figure_lines(figures, bool(data.get("simulated"))):
        console.print(line, highlight=False, soft_wrap=True)
    console.print(f"report: {path}", highlight=False, markup=False, soft_wrap=True)
    if as_json:
        timed = {} if seconds is None else {"seconds": round(seconds, 1)}
        print(json.dumps({**timed, **figures, "report": str(path)}))


def marks_table(data: ReportData) -> Table:
    """The gold judge's marks of each policy on held-out prompts, and how far it went from the reference."""
    table = Table(title="held-out prompts, gold judge's marks in [0, 1]", title_justify="left", box=None)
    table.add_column("policy")
    policies = data.get("criteria", {})
    held = {name for marks in policies.values() for name in marks}
    shown = ["overall", *(name for name in marks_in_order(held) if name not in ("fluency", "overall"))]
    for name in (*shown, "KL (nats)"):
        table.add_column(name, justify="right")
    kls = {f"round {each['round']}": _kl(each.get("verdict")) for each in data.get("rounds", [])}
    names = {"base": "base", "sft": "SFT"}
    for who, marks in policies.items():
        cells = [mark(marks[name]["value"]) if name in marks else mark(None) for name in shown]
        kl = kls.get(who, 0.0 if who == "sft" else None)
        table.add_row(names.get(who, who), *cells, number(kl))
    return table


def figure_lines(figures: Mapping[str, Any], simulated: bool) -> list[str]:
    """The figures that matter, in sentences."""
    lines = []
    people = "simulated people" if simulated else "people"
    for key, who in (("people_win_rate", people), ("gold_win_rate", "the gold judge")):
        if found := figures[key]:
            lines.append(f"preferred to the first policy by {who}: {percent_interval(found)}{_of_whom(figures)}")
    if figures["rm_accuracy"] is not None:
        ceiling = figures["rm_ceiling"]
        beside = "" if ceiling is None else f"; people agree with one another in {percent(ceiling)}"
        lines.append(f"reward model right on held-out pairs: {percent(figures['rm_accuracy'])}{beside}")
    if asked := figures["rankings_per_round"]:
        lines.append(f"rankings by {people}: {' + '.join(map(str, asked))}")
    lines += _penalty_lines(figures)
    return lines


def _of_whom(figures: Mapping[str, Any]) -> str:
    """Which policy's figures these are, where it is not the one in service."""
    measured = figures["measured"]
    return f" (of round {measured['round']}, not promoted)" if measured and not measured["promoted"] else ""


def _penalty_lines(figures: Mapping[str, Any]) -> list[str]:
    """With the KL penalty and without it, where both were run and a gold judge measured them."""
    kept, free = figures["penalised"], figures["unpenalised"]
    if any(found[name] is None for found in (kept, free) for name in ("gold", "proxy")):
        return []
    return [
        f"without the KL penalty (round 1): gold {mark(free['gold'])} at a proxy score of {number(free['proxy'])};"
        f" with it: gold {mark(kept['gold'])} at {number(kept['proxy'])}"
    ]


def _kl(verdict: Mapping[str, Any] | None) -> float | None:
    return None if verdict is None else verdict.get("kl")
