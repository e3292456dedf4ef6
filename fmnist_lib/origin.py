"""Where a run comes from: the machine that computes, what changes its bits, and the very source."""

import functools
import hashlib
import os
import platform
import re
import subprocess
from importlib import util
from importlib.metadata import version
from pathlib import Path

import numpy
import torch

from fmnist_lib import ROOT

# Variables that choose other instructions or sums: the same recipe then gives other bits.
CHANGES_BITS = re.compile(
    r"ATEN_CPU_CAPABILITY|(ONEDNN|DNNL)_(?!VERBOSE)\w+|MKL_(CBWR|ENABLE_INSTRUCTIONS|DEBUG_CPU_TYPE)"
    r"|CUBLAS_WORKSPACE_CONFIG|NVIDIA_TF32_OVERRIDE|TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"
    r"|NUMBA_(CPU_NAME|CPU_FEATURES|DISABLE_JIT|ENABLE_AVX|OPT|LOOP_VECTORIZE|SLP_VECTORIZE|DISABLE_INTEL_SVML)"
)


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


@functools.cache
def source() -> dict:
    """Return the commit, whether tracked files differ from it, and the SHA-256 of the lock and of the preregistration.

    None stands for what cannot be known: without git, outside a checkout, without the file.
    """
    commit = _git("rev-parse", "HEAD") if (ROOT / ".git").exists() else None  # never that of a folder around it
    changes = commit and _git("status", "--porcelain", "--untracked-files=no", "--", "fmnist_lib", "constraints.txt")
    return {
        "commit": commit,
        "changed": None if changes is None else changes != "",
        "lock": _sha256(ROOT / "constraints.txt"),
        "preregistration": _sha256(ROOT / "reports" / "PREREGISTRATION.md"),
    }


def _git(*words: str) -> str | None:
    """Ask git about this checkout, whatever repository the variables of the caller name; None without an answer."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command, options = ["git", "-C", str(ROOT), *words], {"capture_output": True, "text": True, "timeout": 10}
    try:
        done = subprocess.run(command, env=plain | {"GIT_OPTIONAL_LOCKS": "0"}, **options)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else done.stdout.strip()


def _sha256(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
