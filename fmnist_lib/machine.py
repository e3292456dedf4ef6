"""Where a training runs: a CPU or a CUDA device, in bf16 or fp32, by which kernels; and which machine that is."""

import ctypes
import os
import platform
import re
import sys
from importlib import util
from importlib.metadata import version
from pathlib import Path

import numpy
import torch

from fmnist_lib import UserError
from fmnist_lib.kernels import compilable, rounded

NVIDIA = Path("/dev/nvidia0")  # there where a card is, whether or not its driver suits this PyTorch
# Variables that choose other instructions or sums: the same recipe then gives other bits.
CHANGES_BITS = re.compile(
    r"ATEN_CPU_CAPABILITY|(ONEDNN|DNNL)_(?!VERBOSE)\w+|MKL_(CBWR|ENABLE_INSTRUCTIONS|DEBUG_CPU_TYPE)"
    r"|CUBLAS_WORKSPACE_CONFIG|NVIDIA_TF32_OVERRIDE|TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"
    r"|NUMBA_(CPU_NAME|CPU_FEATURES|DISABLE_JIT|ENABLE_AVX|OPT|LOOP_VECTORIZE|SLP_VECTORIZE|DISABLE_INTEL_SVML)"
)


def resolve(device: str = "auto", precision: str = "auto", kernels: str = "auto") -> tuple[str, str, str]:
    """Return the device class, precision and kernels to use; UserError for CUDA or kernels that do not work here."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() or NVIDIA.exists() else "cpu"
    if device == "cuda":
        _check_cuda()
    if precision == "auto":
        precision = "bf16" if native_bf16(device) else "fp32"
    if kernels == "auto":
        kernels = "numba" if device == "cpu" and compilable() else "torch"
    elif kernels == "numba" and not compilable():
        raise UserError('kernels = "numba", but numba cannot compile here', 'set kernels to "torch" or "auto"')
    return device, precision, kernels


def _check_cuda():
    update = 'update the NVIDIA driver (580 or newer), or set device to "cpu"'
    if not torch.cuda.is_available() and NVIDIA.exists():
        raise UserError("there is an NVIDIA card, but this PyTorch cannot use it", update)
    if not torch.cuda.is_available():
        raise UserError("device = 'cuda', but PyTorch finds no CUDA device", 'set device to "cpu" or "auto"')
    try:
        torch.ones(2, device="cuda").sum().item()
    except RuntimeError as error:
        cause = f"the CUDA device does not work with this PyTorch: {str(error).splitlines()[0]}"
        raise UserError(cause, update) from error


def native_bf16(device: str) -> bool:
    """Say whether the hardware multiplies bf16 itself: compute capability ≥ 8.0; AVX-512 bf16 or AMX."""
    if device == "cuda":
        return torch.cuda.get_device_capability() >= (8, 0)
    return rounded.multiplied_here()


def prepare(threads: int = 1):
    """Make this process compute reproducibly, and on Linux keep the memory that it frees (a tenth of a CPU step)."""
    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(-4, 0)  # M_MMAP_MAX: no mapping of its own for a large tensor
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: give nothing back


def environment(device: str) -> dict:
    """Return where a run is trained: versions, system, processor, card, and the variables set that change bits."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "numba": version("numba") if util.find_spec("numba") else None,
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "card": torch.cuda.get_device_name() if device == "cuda" else None,
        "variables": {name: value for name, value in sorted(os.environ.items()) if CHANGES_BITS.fullmatch(name)},
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
