"""Spreads the members of a population over all devices, of one host or of many. Layer 2.

Every process draws the same population and starts, runs its devices' share of the members, and is told all losses; so
all of them take the same step and nothing else needs to be sent.
"""

import contextlib
import os
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec


def join(coordinator: str, n_processes: int, process: int) -> None:
    """Makes this process one of many; call it before anything else touches jax.

    Args:
      coordinator: address and port of process 0, such as "node1:1234".
      n_processes: how many there are.
      process: number of this one, from 0.
    """
    jax.distributed.initialize(coordinator, n_processes, process)


def use_cores(n_members: int, n_cores: int | None = None) -> None:
    """Makes jax see as many devices on the processor as cores, since one device hardly uses a second core.

    Call it before anything is computed; later it changes nothing. A GPU, where jax sees one, is used all the same.

    Args:
      n_members: that this process runs at once; they must be a multiple of the devices.
      n_cores: to use at most; None: all that this process may use.
    """
    if n_cores is None:
        n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    n_devices = max(n for n in range(1, n_cores + 1) if n_members % n == 0)
    with contextlib.suppress(RuntimeError):  # jax is at work already, in a script or a notebook, and keeps what it has
        jax.config.update("jax_num_cpu_devices", n_devices)


def shard_members(population: Any) -> Any:
    """Returns a population whose leading axis is spread over all devices; a single member stays where it is.

    Raises:
      ValueError: the members are no multiple of the devices.
    """
    devices = jax.devices()
    n_members = jax.tree.leaves(population)[0].shape[0]
    if len(devices) == 1 or n_members == 1:
        return population
    if n_members % len(devices):
        raise ValueError(
            f"{n_members} members cannot be spread over {len(devices)} devices: give a multiple of them as "
            "strategy.members (and rollout.micro_batch)"
        )
    return jax.tree.map(lambda leaf: _place(leaf, _over_members()), population)


def keep_sharded(tree: Any) -> Any:
    """Says inside of what is compiled that arrays `[n_members, ..]` stay spread as `shard_members` spreads them.

    Else the compiler spreads some of them otherwise, and what takes them is compiled twice.
    """
    n_devices, n_members = len(jax.devices()), jax.tree.leaves(tree)[0].shape[0]
    if n_devices == 1 or n_members % n_devices:
        return tree
    return jax.lax.with_sharding_constraint(tree, _over_members())


def gather(tree: Any) -> Any:
    """Returns arrays in NumPy, whole on every process."""
    if jax.process_count() == 1:
        return jax.device_get(tree)
    return jax.tree.map(_gather, tree)


def is_first() -> bool:
    """Whether this process is the one that writes files."""
    return jax.process_index() == 0


def decided(value: bool) -> bool:
    """Returns what the first process says, so that all of them stop at the same step."""
    if jax.process_count() == 1:
        return value
    return bool(multihost_utils.broadcast_one_to_all(np.asarray(value)))


def _over_members() -> NamedSharding:
    return NamedSharding(Mesh(np.array(jax.devices()), ("members",)), PartitionSpec("members"))


def _place(leaf: Any, spread: NamedSharding) -> Any:
    value = np.asarray(leaf)
    return jax.make_array_from_callback(value.shape, spread, lambda index: value[index])


def _gather(leaf: Any) -> Any:
    if leaf.is_fully_addressable:  # the same on every process
        return np.asarray(leaf)
    return multihost_utils.process_allgather(leaf, tiled=True)
