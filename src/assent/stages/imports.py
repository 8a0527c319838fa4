"""Imported judgements, where the settings say that they are learnt from: never by themselves."""

from __future__ import annotations

from assent.stages.project import Project
from assent.store import Run, counts, list_runs
from assent.store.records import IMPORT
from assent.types.errors import SettingsError


def imported_runs(project: Project, round: int, first: int = 1) -> list[str]:
    """The runs of the imports that `people.imports` names, of rounds `first` to `round`.

    Raises:
        SettingsError: there is no such import; those that there are are named.
    """
    wanted = project.settings.people.imports
    if wanted == "none":
        return []
    runs = list_runs(project.store, kind=IMPORT)
    if wanted != "all":
        names = [name.strip() for name in wanted.split(",") if name.strip()]
        known = list(dict.fromkeys(name_of(run) for run in runs))
        if unknown := [name for name in names if name not in known]:
            raise SettingsError(
                f"people.imports names '{unknown[0]}', and there is no such import",
                f"there are {', '.join(known)}" if known else "bring judgements in with `assent import`",
            )
        runs = [run for run in runs if name_of(run) in names]
    return [run.id for run in runs if first <= run.round <= round]


def tell_unused(project: Project) -> None:
    """Say so where there are imported judgements that the settings leave out."""
    if project.settings.people.imports != "none":
        return
    names = list(dict.fromkeys(name_of(run) for run in list_runs(project.store, kind=IMPORT)))
    if names:
        held = counts(project.store, [run.id for run in list_runs(project.store, kind=IMPORT)]).submitted
        project.progress.say(
            f"{held} imported judgements are not learnt from: name them with --people.imports"
            f" ({', '.join(names)}; or all)"
        )


def name_of(run: Run) -> str:
    """The import's name, which several runs may have."""
    return str(run.settings["import"])
