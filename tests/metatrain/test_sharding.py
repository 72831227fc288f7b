"""Many devices and many processes take the steps that one takes."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("optax")
ROOT = Path(__file__).parents[2]
CODE = """
import json, sys
import jax
from ase_learnedopt.metatrain.sharding import join, use_cores
if len(sys.argv) > 1:
    use_cores(2, 1)  # as the command does: joining must still be possible
    join(sys.argv[1], 2, int(sys.argv[2]))
from ase_learnedopt.metatrain.config import Rollout, Strategy, TrainConfig
from ase_learnedopt.metatrain.trainer import Trainer
import numpy as np
config = TrainConfig(steps=3, rollout=Rollout(budget=16, starts=2), strategy=Strategy(members=4, perturbation=0.1),
                     families=[{"family": "lennard_jones", "sizes": [6]}])
trainer = Trainer(config)
state = trainer.begin()
for _ in range(config.steps):
    state, metrics = trainer.step(state)
mean = np.asarray(trainer.strategy.mean(state.strategy)).tolist()
found = {"devices": len(jax.devices()), "evaluations": state.evaluations, "loss": metrics["loss"], "mean": mean}
print(json.dumps(found))
"""


def start(devices=1, arguments=()):
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    if not arguments:
        environment["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"
    command = [sys.executable, "-c", CODE, *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def result(process):
    out, _ = process.communicate(timeout=500)
    assert process.returncode == 0
    return json.loads(out.splitlines()[-1])


def agree(one, other):
    """The same but for rounding, which depends on how many members share a device, and in longer runs parts them."""
    assert one["evaluations"] == other["evaluations"]
    assert one["loss"] == pytest.approx(other["loss"], abs=1e-4)
    np.testing.assert_allclose(one["mean"], other["mean"], rtol=0, atol=1e-4)


@pytest.mark.slow
def test_devices_and_processes_change_nothing():
    one = result(start())
    four = result(start(devices=4))
    assert (one["devices"], four["devices"]) == (1, 4)
    agree(one, four)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    processes = [start(arguments=(address, str(k))) for k in range(2)]
    first, second = map(result, processes)
    assert first["devices"] == second["devices"] == 2
    assert first == second
    agree(one, first)


@pytest.mark.slow
def test_members_must_fit_the_devices():
    code = CODE.replace("members=4", "members=6")
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert "6 members cannot be spread over 4 devices" in done.stderr
