"""The store: one database that holds the whole chain from a prompt to the weights a judgement shaped.

A `Workspace` is the folder, a `Store` its open database. What is done with the rows is a function that takes the
store first, named after what it does; judging goes through `Judgements`, the `FeedbackStore` of `assent.types`.
"""

from assent.store import service_tables  # noqa: F401 - its tables belong to the metadata
from assent.store.artifacts import (
    Artifact,
    Promotion,
    get_artifact,
    latest,
    list_artifacts,
    list_promotions,
    promoted,
    record_promotion,
    register_artifact,
)
from assent.store.atomic import atomic_dir, atomic_file, translate_os_errors, write_atomic, write_json_atomic
from assent.store.completions import Completion, add_completions, completions_of_run, get_completions
from assent.store.database import Store
from assent.store.dump import dump_rows
from assent.store.hashing import artifact_id, canonical_json, hash_folder, hash_json
from assent.store.judged import judged_tasks
from assent.store.judgements import Judgements
from assent.store.lineage import Node, Reference, ancestors, descendants, find
from assent.store.people import NewPerson, Person, add_people, add_person, get_person, list_people
from assent.store.prompts import add_prompts, get_prompts, list_prompts
from assent.store.rankings import AgreementRow, Counts, agreement_rows, counts, rankings
from assent.store.runs import Run, drop_run, fail_run, finish_run, get_run, list_runs, start_run
from assent.store.tasks import NewTask, Task, add_tasks, get_tasks, open_tasks
from assent.store.workspace import Workspace

__all__ = [
    "AgreementRow",
    "Artifact",
    "Completion",
    "Counts",
    "Judgements",
    "NewPerson",
    "NewTask",
    "Node",
    "Person",
    "Promotion",
    "Reference",
    "Run",
    "Store",
    "Task",
    "Workspace",
    "add_completions",
    "add_people",
    "add_person",
    "add_prompts",
    "add_tasks",
    "agreement_rows",
    "ancestors",
    "artifact_id",
    "atomic_dir",
    "atomic_file",
    "canonical_json",
    "completions_of_run",
    "counts",
    "descendants",
    "drop_run",
    "dump_rows",
    "fail_run",
    "find",
    "finish_run",
    "get_artifact",
    "get_completions",
    "get_person",
    "get_prompts",
    "get_run",
    "get_tasks",
    "hash_folder",
    "hash_json",
    "judged_tasks",
    "latest",
    "list_artifacts",
    "list_people",
    "list_promotions",
    "list_prompts",
    "list_runs",
    "open_tasks",
    "promoted",
    "rankings",
    "record_promotion",
    "register_artifact",
    "start_run",
    "translate_os_errors",
    "write_atomic",
    "write_json_atomic",
]
