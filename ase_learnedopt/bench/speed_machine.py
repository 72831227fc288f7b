"""Says where and with what the speed was measured. Layer 4."""

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jax

from .runner import versions

RIVAL_PACKAGES = ("jax-md", "torch-sim-atomistic", "torch")
SETTINGS = ("XLA_FLAGS", "JAX_PLATFORMS", "JAX_ENABLE_X64", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Variables of the environment that change speed."""


def describe_machine() -> dict[str, Any]:
    """Returns processor, cores, devices of jax, and how busy the machine is."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "cores_usable": usable_cores(),
        "load": load(),
        "jax_backend": jax.default_backend(),
        "devices": [f"{device.platform}: {device.device_kind}" for device in jax.devices()],
        "environment": {name: os.environ[name] for name in SETTINGS if name in os.environ},
    }


def describe_software() -> dict[str, str]:
    """Returns the versions that speed depends on, rivals included."""
    found = versions()
    for package in RIVAL_PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def processor_name(info: Path = Path("/proc/cpuinfo")) -> str:
    """Returns the processor's name as the system gives it."""
    try:
        name = re.search(r"^model name\s*:\s*(.+)$", info.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    except OSError:
        name = None
    return name[1].strip() if name else platform.processor() or "unknown"


def usable_cores() -> int:
    """Returns the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load() -> float | None:
    """Returns the mean number of processes that wanted a core in the last minute, None where it is not known."""
    return round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
