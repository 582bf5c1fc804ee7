"""Where a model computes: the device that --device names, if this machine has it, and what a record says of it."""

import platform
from pathlib import Path

import torch

from training import distributed
from trajectories.errors import UserError

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

CHOICES = "auto, cpu, cuda, cuda:1 (the second GPU) or mps"


def find_device(name: str) -> torch.device:
    """The device called `name`; "auto" is this process's GPU where there is one, else the processor.

    Raises:
        UserError: there is no such device, or not on this machine.
    """
    if name == "auto":
        return distributed.device() if torch.cuda.is_available() else torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps"):
        raise UserError(f"--device is {name!r}: choose {CHOICES}.")
    if reason := missing(device):
        raise UserError(f"--device is {name}, but {reason}: leave --device out, or give another.")
    return device


def missing(device: torch.device) -> str:
    """Why this machine does not have a device; empty if it does."""
    if device.type == "cuda" and not torch.backends.cuda.is_built():  # type: ignore[no-untyped-call]
        return f"this torch ({torch.__version__}) is built without CUDA"
    if device.type == "cuda" and not torch.cuda.is_available():
        return "torch finds no GPU or no driver for it"
    if device.type == "mps" and not torch.backends.mps.is_available():
        return "torch finds no GPU of Apple's"
    count = torch.cuda.device_count() if device.type == "cuda" else 1
    if (device.index or 0) >= count:
        return f"there is {count}, counted from 0" if count == 1 else f"there are {count}, counted from 0"
    return ""


def device_name(device: torch.device) -> str:
    """The processor or the GPU, as its maker calls it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    lines = _cpu_info().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{device.type} ({names[0] if names else platform.machine()})"


def peak_memory_mb(device: torch.device) -> float:
    """The most memory held so far: of the GPU if there is one, else of this process; 0 if no system call gives it."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    if resource is None:
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if platform.system() == "Darwin" else 2**10)


def has_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is faster there than float32: instructions for it, not an emulation."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    avx512 = device.type == "cpu" and torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    return avx512 and any(flag in _cpu_info() for flag in ("avx512_bf16", "amx_bf16"))


def _cpu_info() -> str:
    """What Linux says of the processor."""
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8") if path.exists() else ""
