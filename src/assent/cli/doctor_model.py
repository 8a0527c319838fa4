"""How the workspace's model would be trained and sampled from on this machine, and why."""

from __future__ import annotations

from pathlib import Path

from assent.cli.findings import Finding
from assent.config import load_settings
from assent.store import Workspace, list_artifacts

_POLICIES = ("policy", "sft", "base")


def newest_model(workspace: Workspace) -> Path | None:
    """The folder of the newest language model here, with weights in it."""
    with workspace.open_store() as store:
        kept = [artifact for artifact in list_artifacts(store) if artifact.kind in _POLICIES and artifact.path]
    folders = (workspace.path / artifact.path for artifact in reversed(kept) if artifact.path)
    return next((folder for folder in folders if any(folder.glob("*.safetensors"))), None)


def check_backends(workspace: Workspace, folder: Path) -> Finding:
    """Which way of reading, writing and multiplying is taken: each was tried on the model itself."""
    import torch

    from assent.kernels import missing
    from assent.models.loading import load_causal_lm
    from assent.models.packed import plain_head, reads_packed
    from assent.models.slots import steps_quickly, works_in_slots
    from assent.training.precision import choose_device, fast_products, sample_in_bf16

    settings = load_settings([workspace.settings_file])
    device = choose_device(settings.compute)
    model = load_causal_lm(folder, settings.model.dtype).eval()
    parts = []
    if device.type != "cpu":
        parts.append(f"read padded ({model.config._attn_implementation} attention), as packing is for CPUs")
    elif reads_packed(model) and plain_head(model) is not None:
        parts.append("read packed, shared prompts once: it says the same so as padded")
    else:
        parts.append("read padded: packed it does not say the same, or cannot be read")
    if not works_in_slots(model):
        parts.append("written with the cache of transformers")
    else:
        parts.append(f"written in slots by {'quick' if steps_quickly(model) else 'its own'} steps")
    if device.type == "cpu":
        parts.append("between products by compiled kernels" if missing() is None else f"no kernels: {missing()}")
    with fast_products(settings.compute, device):
        trained = "bf16" if torch.is_autocast_enabled(device.type) else "fp32"
    sampled = "bf16" if sample_in_bf16(settings.compute, device, model.config.hidden_size) else "fp32"
    parts.append(f"products in {trained} in training, weights in {sampled} in sampling (compute.precision)")
    return Finding("backends", "ok", f"{folder.name}: {'; '.join(parts)}")
