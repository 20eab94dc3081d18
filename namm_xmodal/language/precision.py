"""The number format in which a model computes."""

from typing import Any

from namm_xmodal.errors import ConfigError

DTYPES = ("auto", "float32", "bfloat16", "float16")


def choose_dtype(dtype: str, device: str) -> Any:
    """The torch dtype for a device.

    `auto` is bfloat16 on CUDA and on CPUs with bfloat16 instructions, where it halves time and memory, and float32
    elsewhere: without those instructions linear layers in bfloat16 take six times as long as in float32 (measured on
    an AVX2 machine).

    Args:
        dtype: One of `DTYPES`.
        device: Anything `torch.device` takes.

    Raises:
        ConfigError: If either is unknown.
    """
    import torch

    if dtype not in DTYPES:
        raise ConfigError(f"dtype: {dtype!r}: expected one of {', '.join(DTYPES)}")
    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise ConfigError(f"device: {device!r}: expected a torch device, such as cpu, cuda or cuda:1") from None
    if dtype != "auto":
        return getattr(torch, dtype)
    if kind == "cuda" or (kind == "cpu" and _cpu_has_bfloat16()):
        return torch.bfloat16
    return torch.float32


def check_precision(dtype: str, device: str) -> None:
    """Refuses a precision that does not exist, and a device that this machine lacks.

    Raises:
        ConfigError: With the value and what is expected.
    """
    import torch

    choose_dtype(dtype, device)
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # torch built without it raises AssertionError
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"device: {device!r}: {reason}; expected a device of this machine, such as cpu") from None


def _cpu_has_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 numbers natively (AVX512_BF16 or AMX tiles)."""
    import torch

    # No public name for this exists in all supported torch versions; one that is absent counts as no.
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(probe() for name in probes if (probe := getattr(torch.cpu, name, None)) is not None)
