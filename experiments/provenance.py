"""What a run was made with: code, versions, device, memory. For its record."""

import platform
import resource
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("torch", "numpy", "gymnasium", "mujoco", "h5py", "safetensors")


def commit() -> tuple[str, bool]:
    """The commit of this code, and whether the files outside results/ differ from it; ("unknown", True) without git."""
    try:
        head = git("rev-parse", "HEAD")
        return head, bool(git("status", "--porcelain", "--", ".", ":!results"))
    except (OSError, subprocess.CalledProcessError):
        return "unknown", True


def versions() -> dict[str, str]:
    """Python's version and those of the packages that numbers depend on, where they are installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def device_name(device: torch.device) -> str:
    """The processor or the GPU, as its maker calls it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"cpu ({names[0] if names else platform.machine()})"


def peak_memory_mb(device: torch.device) -> float:
    """The most memory held so far: of the GPU if there is one, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if platform.system() == "Darwin" else 2**10)


def has_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is faster there than float32: instructions for it, not an emulation."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and bool(torch.backends.cpu.get_cpu_capability().startswith("AVX512")) and _cpu_bf16()


def _cpu_bf16() -> bool:
    path = Path("/proc/cpuinfo")
    return path.exists() and any(flag in path.read_text() for flag in ("avx512_bf16", "amx_bf16"))


def git(*arguments: str) -> str:
    """What git answers; CalledProcessError where it does not know."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()
