"""In which precision matrix products are computed while weights, sums and optimiser state stay fp32."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from assent.config.settings import ComputeSettings

WIDE = 256  # hidden size from which a CPU is quicker with bf16 weights at the products of one token a row


def choose_device(settings: ComputeSettings) -> torch.device:
    """The device asked for; `auto` takes a GPU where there is one."""
    if settings.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(settings.device)


def fast_products(settings: ComputeSettings, device: torch.device) -> AbstractContextManager[None]:
    """bf16 matrix products in training, if asked for, or on `auto` where the device has them in hardware.

    Enter it anew for every step: what it caches of the weights is dropped on leaving.
    """
    if settings.precision == "float32":
        return nullcontext()
    if settings.precision == "auto" and not has_bf16(device):
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def sample_in_bf16(settings: ComputeSettings, device: torch.device, width: int) -> bool:
    """Whether to sample from weights in bf16: if asked for, or on `auto` where that is quicker.

    Args:
        width: of the model's hidden states. A narrow one's products take less time than it takes to begin them.
    """
    if settings.precision == "auto":
        return has_bf16(device) and width >= WIDE
    return settings.precision == "bfloat16"


def has_bf16(device: torch.device) -> bool:
    """True if the device multiplies bf16 matrices in hardware; elsewhere it would be slower than fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
