"""Whatever settings of jax a user has: the same path to the last bit, or one clear line."""

import json
import os
import subprocess
import sys

import jax
import pytest

from ase_learnedopt.adapter.compiled import reads_programs_back

PROGRAM = """
import hashlib, json, sys
import jax
for name, value in json.loads(sys.argv[1]).items():
    if name in jax.config.values:  # older versions lack some, and some come with parts of jax that nothing here imports
        jax.config.update(name, jax.devices()[-1] if value == "a device" else value)
before = dict(jax.config.values)

import numpy as np
from ase import Atoms
from ase_learnedopt import Learn2Hop, LearnedHop, LearnedRelax
from ase_learnedopt.adapter.calculators import PotentialCalculator

def path_of(cls, steps, rattle=0.12, **keywords):
    corners = np.array(np.meshgrid(*[[0.0, 1.12]] * 3)).reshape(3, -1).T
    atoms = Atoms("Ar8", corners + np.random.default_rng(0).normal(0, rattle, (8, 3)))
    atoms.calc = PotentialCalculator("lennard_jones", epsilon=1.0, sigma=1.0)
    opt = cls(atoms, logfile=None, **keywords)
    path = np.array([atoms.positions.copy() for _ in opt.irun(fmax=1e-3, steps=steps)])
    return hashlib.sha256(path.tobytes()).hexdigest()[:12], opt

scales = {"length_scale": 1.12, "energy_scale": 1.0}
relaxed, _ = path_of(LearnedRelax, 12)
searched, opt = path_of(LearnedHop, 30, seed=1, **scales)
assert opt.n_hops > 3
walked, _ = path_of(Learn2Hop, 12, seed=1, weights="learn2hop_lj", **scales)
learned, opt = path_of(LearnedHop, 4, seed=1)
assert opt.length_scale < 1.5  # the scales were corrected
assert dict(jax.config.values) == before
print(json.dumps([relaxed, searched, walked, learned]))
"""
NUMBERS = {
    "jax_default_device": "a device",
    "jax_default_matmul_precision": "bfloat16",
    "jax_default_prng_impl": "rbg",
    "jax_enable_custom_prng": True,
    "jax_enable_x64": True,
    "jax_explicit_x64_dtypes": "error",
    "jax_random_seed_offset": 5,
    "jax_threefry_partitionable": False,
}
CHECKS = {
    "jax_array_garbage_collection_guard": "fatal",
    "jax_check_tracer_leaks": True,
    "jax_debug_infs": True,
    "jax_debug_key_reuse": True,
    "jax_debug_nans": True,
    "jax_enable_checks": True,
    "jax_error_checking_behavior_divide": "raise",
    "jax_error_checking_behavior_nan": "raise",
    "jax_error_checking_behavior_oob": "raise",
    "jax_legacy_prng_key": "error",
    "jax_numpy_dtype_promotion": "strict",
    "jax_numpy_rank_promotion": "raise",
    "jax_thread_guard": True,
}
GUARDS = {
    "jax_transfer_guard": "disallow_explicit",
    "jax_transfer_guard_device_to_device": "disallow_explicit",
    "jax_transfer_guard_device_to_host": "disallow_explicit",
    "jax_transfer_guard_host_to_device": "disallow_explicit",
}
FORBIDDEN = {"jax_disable_jit": True, "jax_no_execution": True, "jax_no_tracing": True}
COMPILATION = {
    "jax_captured_constants_report_frames": 2,
    "jax_compilation_cache_max_size": 1000,
    "jax_compiler_detailed_logging_min_ops": 1,
    "jax_embedded_constants_max_bytes": 0,
    "jax_exec_time_optimization_effort": 1.0,
    "jax_hlo_source_file_canonicalization_regex": "x",
    "jax_memory_fitting_effort": 1.0,
    "jax_memory_fitting_level": "O3",
    "jax_optimization_level": "O3",
    "jax_persistent_cache_min_entry_size_bytes": 1000,
    "jax_pgle_profiling_runs": 1,
    "jax_send_traceback_to_runtime": "full",
    "jax_traceback_filtering": "off",
    "jax_traceback_in_locations_limit": 0,
    "jax_use_magma": "off",
}
PROCESSES = {"jax_num_cpu_devices": 2, "jax_platform_name": "cpu", "jax_platforms": "cpu"}
SAID = ("jax_disable_most_optimizations",)
"""Told, because jax has it for the whole process only."""
OTHER_HARDWARE = ("cuda", "gpu", "host", "mock", "oneapi", "pjrt", "rocm", "tpu", "distributed", "pgle", "dump_ir")
"""Parts of names of settings of other machines than one processor, or of what is written for debugging."""


def others():
    """Returns all further settings that can be on or off, the other way round."""
    named = {*NUMBERS, *CHECKS, *GUARDS, *FORBIDDEN, *COMPILATION, *PROCESSES, *SAID}
    return {
        name: not value
        for name, value in jax.config.values.items()
        if isinstance(value, bool) and name not in named and not any(part in name for part in OTHER_HARDWARE)
    }


GROUPS = {
    "numbers": NUMBERS,
    "checks": CHECKS,
    "guards": GUARDS,
    "forbidden": FORBIDDEN,
    "compilation": COMPILATION,
    "processes": PROCESSES,
    "others": others(),
}


def run(settings, folder):
    environment = {**os.environ, "JAX_PLATFORMS": "", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1"}
    if reads_programs_back():
        environment["JAX_COMPILATION_CACHE_DIR"] = str(folder / "programs")
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(settings)],
        env=environment, cwd=folder, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("settings")


@pytest.fixture(scope="module")
def expected(folder):
    done = run({}, folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_same_path_to_the_last_bit(group, folder, expected):
    done = run(GROUPS[group], folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == expected


def test_what_is_of_the_whole_process_is_told(folder):
    done = run({"jax_disable_most_optimizations": True}, folder)
    assert "JAX_DISABLE_MOST_OPTIMIZATIONS is set: a search takes another path than without it" in done.stderr


TARGETS = {
    "an optimizer": "LearnedRelax(atoms, logfile=None).run(fmax=0.1, steps=3)",
    "a search into a folder": "search(atoms, evaluations=5, out='out')",
}


@pytest.mark.parametrize("platforms", ["cuda", "tpu", "nonsense", "cuda,tpu"])
@pytest.mark.parametrize("use", TARGETS)
def test_platforms_that_are_not_there(platforms, use, tmp_path):
    if any(device.platform != "cpu" for device in jax.devices()):
        pytest.skip("this machine may have it")
    code = f"""
import jax
jax.config.update("jax_platforms", "{platforms}")
from ase.build import molecule
from ase.calculators.emt import EMT
from ase_learnedopt import LearnedRelax
from ase_learnedopt.search import search
atoms = molecule("H2O", calculator=EMT())
{TARGETS[use]}
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith(f"ValueError: JAX finds no device of the platforms '{platforms}'")
    assert line.endswith("unset JAX_PLATFORMS, or set it to 'cpu'")
    assert not list(tmp_path.iterdir())
