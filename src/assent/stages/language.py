"""Where the initial model comes from: pretrained from scratch or the user's own, then fine-tuned on demonstrations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assent.data.chat import ChatFormat, conversation_text
from assent.data.files import read_demonstrations, read_texts
from assent.data.tokenizer import train_tokenizer
from assent.models.loading import build_llama, context_length, load_causal_lm, load_tokenizer
from assent.models.policy import add_adapter, save_merged
from assent.stages.project import Project
from assent.stages.rewrites import read_rewrites
from assent.store import artifact_id, hash_folder, list_artifacts, register_artifact
from assent.store.runs import finish_run
from assent.training.language_model import Example, LanguageModelTraining, mean_nll, packed_examples
from assent.training.loop import LoopSettings, run_steps
from assent.types.errors import DataError, ModelError, WorkspaceError
from assent.types.messages import Prompt
from assent.types.protocols import Environment, SpokenEnvironment

HELD_OUT_ROWS = 32  # of the corpus, never trained on: the perplexity reported
LONGEST_ROW = 512  # tokens of text in a row, for a user's own model: its context may be far longer
SPACE_RESERVE = 4  # tokens


def base_model(project: Project, run_id: str = "pretrain") -> str:
    """The base: the user's checkpoint as it is, or a model pretrained from scratch. Returns the artifact's id."""
    if project.settings.model.path is not None:
        return import_checkpoint(project)
    run = project.begin(run_id, "pretrain", 0, ("model", "pretrain"))
    if run.done:
        return str(run.result["base"])
    settings = project.settings
    texts = _corpus(project)
    tokenizer = train_tokenizer(texts, settings.model.shape.vocab_size, settings.model.shape.context)
    rows, held_out = _rows_of(texts, tokenizer, settings.model.shape.context // 2)
    model = build_llama(settings.model.shape, tokenizer, project.seed("weights")).to(project.device)
    training = LanguageModelTraining(model, rows, settings.pretrain, project.seed("pretrain"), settings.compute)
    loop = LoopSettings(settings.pretrain.steps, settings.pretrain.checkpoint_every)
    project.require_memory(run_id, training.memory)
    run_steps(training, project.run_dir(run_id), loop, project.progress, "pretrain")
    nll = mean_nll(model, held_out, settings.compute.tokens_per_microbatch)
    card = {"parameters": sum(p.numel() for p in model.parameters()), "held_out_nats_per_token": nll}
    name = project.keep("base", run_id, lambda folder: _save(model, tokenizer, folder), card)
    finish_run(project.store, run_id, {"base": name, **card})
    project.tidy(run_id)
    return name


def text_rows(project: Project, tokenizer: Any, context: int) -> tuple[list[Example], list[Example]]:
    """(rows to learn, rows held out) of the pretraining texts, for a model that is there already.

    Where the base was pretrained here they are the rows that it learnt and those that it did not.

    Raises:
        DataError: there are too few texts.
    """
    own = project.settings.model.path is not None
    return _rows_of(_corpus(project), tokenizer, min(context, LONGEST_ROW) if own else context // 2)


def _rows_of(texts: list[str], tokenizer: Any, row_tokens: int) -> tuple[list[Example], list[Example]]:
    documents = [[*tokenizer(text.rstrip())["input_ids"], tokenizer.eos_token_id] for text in texts]
    if sum(map(len, documents)) <= 2 * HELD_OUT_ROWS * row_tokens:
        raise DataError(
            f"the pretraining texts hold only {sum(map(len, documents))} tokens: too few to learn a language from",
            f"give at least {3 * HELD_OUT_ROWS * row_tokens} tokens of text (pretrain.texts)",
        )
    rows = packed_examples(documents, row_tokens)
    step = len(rows) // HELD_OUT_ROWS
    return [row for index, row in enumerate(rows) if index % step], rows[::step]


def fine_tune(project: Project, base: str, run_id: str = "sft", rewrites: str | None = None) -> str:
    """Supervised fine-tuning on demonstrations; where there are none, the base model is the initial policy.

    Args:
        project: the project.
        base: the base model's id.
        run_id: of the run.
        rewrites: a dataset version of better answers that people wrote, which are learnt beside the demonstrations.

    Returns:
        The id of the model.
    """
    written = [] if rewrites is None else read_rewrites(project, rewrites)
    demonstrations = [*(demonstrations_of(project) or []), *written]
    if not demonstrations:
        return base
    inputs = {"base": base} if rewrites is None else {"base": base, "rewrites": rewrites}
    run = project.begin(run_id, "sft", 0, ("model", "sft", "prompts"), inputs)
    if run.done:
        return str(run.result["sft"])
    settings = project.settings
    chat = project.chat(base)
    model: Any = load_causal_lm(project.folder(base), settings.model.dtype, tokenizer=chat.tokenizer)
    examples = sft_examples(project, demonstrations, chat, context_length(model))
    if settings.model.lora.rank > 0:
        model = add_adapter(model, settings.model.lora, "CAUSAL_LM", project.seed("sft", "adapter"))
    model.to(project.device).train()
    training = LanguageModelTraining(model, examples, settings.sft, project.seed("sft"), settings.compute)
    loop = LoopSettings(settings.sft.steps, settings.sft.checkpoint_every)
    project.require_memory(run_id, training.memory)
    run_steps(training, project.run_dir(run_id), loop, project.progress, "sft")

    def write(folder: Path) -> None:
        if settings.model.lora.rank > 0:
            save_merged(model, folder)
            chat.tokenizer.save_pretrained(folder)
        else:
            _save(model, chat.tokenizer, folder)

    card = {"demonstrations": len(examples), **({} if rewrites is None else {"rewrites": len(written)})}
    name = project.keep("sft", run_id, write, card, parents=list(inputs.values()))
    finish_run(project.store, run_id, {"sft": name, **card})
    project.tidy(run_id)
    return name


def import_checkpoint(project: Project) -> str:
    """Register the user's checkpoint where it lies; a hub id is downloaded first.

    Raises:
        ModelError: no checkpoint or tokenizer there, or they do not fit together.
        DataError: the file of prompts is wrong, or a prompt does not fit into the context.
        WorkspaceError: the checkpoint is not what it was when this workspace first used it.
    """
    folder = local_checkpoint(project)
    tokenizer = load_tokenizer(folder)
    model = load_causal_lm(folder, tokenizer=tokenizer)
    chat = ChatFormat(tokenizer, project.settings.prompts.template)
    for prompts in project.prompts.values():  # before anything is written
        project.encode(chat, prompts, context_length(model))
    digest = hash_folder(folder)
    _require_unchanged(project, folder, digest)
    card = {"source": project.settings.model.path}
    return register_artifact(project.store, "base", digest, str(folder), card, artifact_id=artifact_id("base", digest))


def local_checkpoint(project: Project) -> Path:
    """The local folder of model.path; hub ids go through the hub's own cache."""
    path = project.settings.model.path or ""
    if (folder := project.resolve(path)).exists():
        return folder.absolute()
    if path.startswith((".", "/", "~")) or path.count("/") > 1:
        raise ModelError(f"{path}: no such directory", "check model.path")
    import huggingface_hub

    try:
        found = huggingface_hub.snapshot_download(path, revision=project.settings.model.revision)
    except Exception as error:
        raise ModelError(
            f"{path}: no such directory, and the hub does not give it: {str(error).splitlines()[0]}",
            "check model.path, the network, or your access to the model",
        ) from error
    return Path(found)


def _save(model: Any, tokenizer: Any, folder: Path) -> None:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _corpus(project: Project) -> list[str]:
    if project.settings.pretrain.texts is not None:
        return read_texts(project.resolve(project.settings.pretrain.texts))
    if project.environment is not None:
        return spoken_texts(project.environment(), project.settings.prompts.template, project.seed("corpus"))
    if project.world is None:
        raise ModelError("nothing to pretrain on", "give model.path, or pretrain.texts, or a bundled task")
    return project.world.pretraining_texts(project.seed("corpus"))


def spoken_texts(environment: Environment, template: str, seed: int) -> list[str]:
    """An environment's conversations as running text.

    Raises:
        ModelError: it has none to show.
    """
    if not isinstance(environment, SpokenEnvironment):
        raise ModelError(
            f"nothing to pretrain on: {type(environment).__name__} has no `conversations`",
            "give model.path (a checkpoint that can play), or pretrain.texts, or that method",
        )
    return [conversation_text(template, each, answered=True) for each in environment.conversations(seed)]


def _require_unchanged(project: Project, folder: Path, digest: str) -> None:
    for known in list_artifacts(project.store, "base"):
        if known.path == str(folder) and known.content_hash != digest:
            raise WorkspaceError(
                f"{folder}: its files are not those that this workspace began with ({known.id})",
                "restore them, or begin a new workspace with the checkpoint as it is now",
            )


def has_demonstrations(project: Project) -> bool:
    """Whether there is anything to fine-tune on; without, the base model is the initial policy."""
    return project.settings.sft.demonstrations is not None or bool(_of_the_task(project))


def demonstrations_of(project: Project) -> list[tuple[Prompt, str]] | None:
    """What to fine-tune on: the user's file, or the task's own demonstrations, or nothing.

    Raises:
        DataError: the file is wrong, or it answers a prompt that is held out for the comparison.
    """
    if (given := project.settings.sft.demonstrations) is not None:
        path = project.resolve(given)
        found = read_demonstrations(path)
        held_out = {prompt.messages for prompt in project.prompts["test"]}
        for prompt, _ in found:
            if prompt.messages in held_out:
                raise DataError(
                    f"{path}, line {prompt.meta['line']}: this prompt is one of the test prompts: {prompt.text[:60]!r}",
                    "what is trained on cannot be held out: remove the line, or give the prompt the split 'train'",
                )
        return found
    return _of_the_task(project) or None


def _of_the_task(project: Project) -> list[tuple[Prompt, str]]:
    """The bundled task's demonstrations: none where there is no task, or where it is asked something else."""
    if project.world is None or project.settings.prompts.path is not None:
        return []
    return project.world.demonstrations(project.seed("demonstrations"))


def sft_examples(project: Project, pairs: list[tuple[Prompt, str]], chat: Any, context: int) -> list[Example]:
    """Demonstrations as tokens.

    Raises:
        DataError: one does not fit into the context.
    """
    where = project.settings.sft.demonstrations or f"task {project.settings.task}"
    answers = [chat.completion_ids(answer) for _, answer in pairs]
    longest = max(map(len, answers))
    if longest >= context:
        number = max(range(len(answers)), key=lambda index: len(answers[index])) + 1
        raise DataError(
            f"{where}, demonstration {number}: its completion has {longest} tokens; the context is {context}",
            "shorten it, or leave it out",
        )
    prompts = chat.encode_prompts([prompt for prompt, _ in pairs], context - SPACE_RESERVE, where)
    for number, (prompt, answer) in enumerate(zip(prompts, answers, strict=True), start=1):
        if len(prompt) + len(answer) > context:
            raise DataError(
                f"{where}, demonstration {number}: {len(prompt) + len(answer)} tokens; the context is {context}",
                "shorten it, or leave it out",
            )
    return list(zip(prompts, answers, strict=True))
