"""Runs a piece of code in a fresh Python process. Layer 4."""

import json
import os
import subprocess
import sys
from typing import Any

CACHE = "JAX_COMPILATION_CACHE_DIR"
"""Where jax keeps compiled code between processes."""


def in_fresh_process(code: str, cache: str | None = None) -> Any:
    """Returns what the code prints on its last line, a JSON value.

    Args:
      code: Python.
      cache: folder of jax's persistent compilation cache, for everything that is compiled; None: without one.

    Raises:
      RuntimeError: the code fails; the message ends with what it said.
    """
    environment = {name: value for name, value in os.environ.items() if name != CACHE}
    if cache is not None:
        environment |= {CACHE: cache, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    done = subprocess.run(  # noqa: S603, our own interpreter and code
        [sys.executable, "-c", code], env=environment, check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"a process of the speed suite ended with {done.returncode}: {done.stderr[-1500:]}")
    return json.loads(done.stdout.splitlines()[-1])
