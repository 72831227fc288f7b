"""What moves as one: that molecules are found where there are some, and stay whole in every hop."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, graphene, molecule
from ase.cluster import Icosahedron
from ase.constraints import FixAtoms
from helpers import precision
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist
from scipy.spatial.transform import Rotation

from ase_learnedopt.adapter.convert import describe, resolve_scales, to_system
from ase_learnedopt.neighbors import neighbor_rows
from ase_learnedopt.optimizers.environment import REACH
from ase_learnedopt.optimizers.hop_state import LearnedHopConfig
from ase_learnedopt.optimizers.learned_hop import learned_hop
from ase_learnedopt.optimizers.policy import HOP_OUTPUTS, warm_start
from ase_learnedopt.optimizers.portfolio import FRESH, STEERED
from ase_learnedopt.optimizers.units import all_molecules, find_units, placed, single_atoms
from ase_learnedopt.search.inputs import Structure, parse_formula, place


def _system(atoms):
    rows = describe(atoms, atoms.__ase_optimizable__())
    return jax.tree.map(jnp.asarray, to_system(rows, atoms.positions.ravel(), *resolve_scales(rows, None, None)))


def _thrown(text, seed=0):
    parts = parse_formula(text)
    return place(Structure(sum(parts, Atoms()), parts), seed)


def _water_in_a_cell():
    """Three molecules, one of them across a face and a corner."""
    atoms = _thrown("(H2O)3")
    atoms.set_cell([11.0, 12.0, 13.0])
    atoms.pbc = True
    atoms.positions += 5.0 - atoms.positions[0]
    atoms.positions[3:6] += np.array([10.9, 11.9, 12.9]) - atoms.positions[3]
    atoms.positions[6:9] += np.array([0.1, 6.0, 9.0]) - atoms.positions[6]
    atoms.wrap()
    return atoms


def _water_on_metal(constrained, height):
    atoms = fcc111("Cu", (3, 3, 2), vacuum=8.0)
    water = molecule("H2O")
    water.positions += atoms.positions[-1] + [0.0, 0.0, height]
    if constrained:
        atoms.set_constraint(FixAtoms(range(9)))
    return atoms + water


def _layers():
    """Two sheets that nothing but the cell ends: what is endless is no molecule."""
    sheet = graphene(size=(3, 3, 1), vacuum=0.0)
    sheet.cell[2, 2] = 6.8
    other = sheet.copy()
    other.positions[:, 2] += 3.4
    atoms = sheet + other
    atoms.pbc = True
    return atoms


CASES = {
    "water": (lambda: _thrown("(H2O)4"), [3, 3, 3, 3]),
    "ion in water": (lambda: _thrown("Na(H2O)3"), [1, 3, 3, 3]),
    "benzene and methane": (lambda: _thrown("(C6H6)2(CH4)"), [12, 12, 5]),
    "one molecule": (lambda: molecule("C6H6"), [1] * 12),
    "a cluster": (lambda: Icosahedron("Cu", 3), [1] * 55),
    "a crystal": (lambda: bulk("NaCl", "rocksalt", 5.64, cubic=True), [1] * 8),
    "water in a cell": (_water_in_a_cell, [3, 3, 3]),
    "water above metal": (lambda: _water_on_metal(True, 3.0), [1] * 18 + [3]),
    "water above free metal": (lambda: _water_on_metal(False, 3.0), [1] * 18 + [3]),
    "bound to metal": (lambda: _water_on_metal(True, 2.0), [1] * 21),
    "endless layers": (_layers, [1] * 36),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("listed", [False, True])
def test_molecules_are_found(dtype, case, listed):
    build, expected = CASES[case]
    atoms = build()
    system = _system(atoms)
    neighbors = None
    if listed:
        reach = 2.0 * REACH * float(system.radii.max())
        rows = neighbor_rows(system.positions, system.cell, system.pbc, reach, mask=system.species >= 0)
        neighbors = jax.tree.map(jnp.asarray, rows)
    units = find_units(system.positions, system, neighbors)
    leader = np.asarray(units.leader)[: len(atoms)]
    assert [np.sum(leader == k) for k in np.unique(leader)] == expected
    assert bool(units.molecular) == (max(expected) > 1)
    assert np.sum(units.system.species >= 0) == len(expected)
    if max(expected) == 1:
        found, plain = units.system, single_atoms(system.positions, system).system
        jax.tree.map(np.testing.assert_array_equal, found, plain)


def test_chains_through_a_small_cell_are_endless(dtype):
    chain = Atoms(
        "C2H4", [[0.42, 0, 0], [-0.42, 0, 1.27], [1.0, 0.9, 0], [1.0, -0.9, 0], [-1.0, 0.9, 1.27], [-1.0, -0.9, 1.27]]
    )
    other = chain.copy()
    other.positions[:, 1] += 4.5
    atoms = chain + other
    atoms.set_cell([5.0, 9.0, 2.54])
    atoms.pbc = True
    system = _system(atoms)
    reach = 2.0 * REACH * float(system.radii.max())
    rows = neighbor_rows(system.positions, system.cell, system.pbc, reach, mask=system.species >= 0)
    assert not bool(find_units(system.positions, system, jax.tree.map(jnp.asarray, rows)).molecular)


@pytest.mark.parametrize("case", CASES)
def test_units_left_alone_are_where_they_were(dtype, case):
    system = _system(CASES[case][0]())
    units = find_units(system.positions, system)
    back = np.asarray(placed(units, units.system.positions, jnp.zeros_like(system.positions)))
    turns = (back - system.positions) @ np.linalg.pinv(system.cell)  # whole cells, where a molecule was across a face
    np.testing.assert_allclose(turns, np.round(turns), atol=1e-9)
    np.testing.assert_allclose(back - system.positions, np.round(turns) @ system.cell, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), angles=st.tuples(*[st.floats(-3, 3)] * 3), shift=st.floats(-5, 5))
def test_units_do_not_know_directions(seed, angles, shift):
    atoms = _thrown("(H2O)2(NH3)", seed)
    turned = atoms.copy()
    turned.positions = atoms.positions @ Rotation.from_rotvec(angles).as_matrix().T + shift
    with precision("float64"):
        found = (find_units(s.positions, s) for s in map(_system, (atoms, turned)))
        a, b = (jax.tree.map(np.asarray, units) for units in found)
    np.testing.assert_array_equal(a.leader, b.leader)
    np.testing.assert_allclose(a.system.radii, b.system.radii, atol=1e-9)
    np.testing.assert_allclose(pdist(a.system.positions[:9:3]), pdist(b.system.positions[:9:3]), atol=1e-9)


@pytest.mark.parametrize(
    ("text", "molecules"),
    [("(CO2)4", True), ("(N2)5", True), ("(H2O)2(NH3)", True), ("Na(H2O)3", False), ("Cu13", False)],
)
def test_a_start_of_molecules_is_not_compressed(dtype, text, molecules):
    system, key = _system(_thrown(text)), jax.random.PRNGKey(0)
    assert bool(all_molecules(system.positions, system)) == molecules
    deformed = [
        bool(learned_hop(None, LearnedHopConfig(molecules=whole)).init(key, system).deforming)
        for whole in (True, False)
    ]
    by_size = "H" in text  # of atoms of very different size no cluster is, whatever they form
    assert deformed == [not (molecules or by_size), not by_size]


def test_middles_and_kinds_of_molecules(dtype):
    system = _system(_thrown("(H2O)2(NH3)"))
    units = find_units(system.positions, system)
    np.testing.assert_allclose(units.system.positions[3], np.mean(system.positions[3:6], axis=0), atol=1e-9)
    kinds = np.asarray(units.system.species)[[0, 3, 6]]
    assert kinds[0] == kinds[1] != kinds[2]
    assert np.all(np.asarray(units.system.species)[[1, 2, 4, 5, 7, 8, 9]] < 0)


@cache
def _hops(name, molecules, precise):
    """Returns a system, and a function that hops from it with each of several random streams, compiled once."""
    system = _system(CASES[name][0]())
    floats = jnp.dtype(precise)
    system = jax.tree.map(lambda x: x.astype(floats) if jnp.issubdtype(x.dtype, jnp.floating) else x, system)

    @jax.jit
    @partial(jax.vmap, in_axes=(0, None, None))
    def hop(key, params, fresh):
        optimizer = learned_hop(params, LearnedHopConfig(molecules=molecules, fresh=fresh, imagined=0))
        state = optimizer.init(key, system, jnp.asarray(1e4, floats))
        relax = state.relax._replace(value=jnp.asarray(-1.0, floats))
        return optimizer.hop(state._replace(relax=relax, pending=jnp.ones((), bool)))

    return system, hop


def _hopped(name, move, molecules=True, precise="float64"):
    """Returns the positions before and after a hop by a move, and the leaders."""
    with precision(precise):
        params = warm_start()
        if move != FRESH:
            output = HOP_OUTPUTS.index(f"move {STEERED[move]}")
            params["hop"]["output_bias"] = params["hop"]["output_bias"].at[output].set(50.0)
        system, hop = _hops(name, molecules, precise)
        fresh = jnp.asarray(1e9 if move == FRESH else 0.0, precise)
        states = hop(jax.random.split(jax.random.PRNGKey(0), 6), params, fresh)
        return np.asarray(system.positions), states, np.asarray(find_units(system.positions, system).leader)


def _stretch(before, after, leader, cell=None):
    """Returns by how much distances within units have changed at most."""
    changes = [0.0]
    for k in np.unique(leader):
        rows = np.flatnonzero(leader == k)
        if len(rows) > 1:
            changes.append(np.abs(pdist(before[rows]) - pdist(after[rows])).max())
    return max(changes)


HOPS = [("water", precise, move) for precise in ("float64", "float32") for move in (0, 1, 2, FRESH)]
HOPS += [("ion in water", "float64", move) for move in (*range(len(STEERED)), FRESH)]


@pytest.mark.parametrize(("name", "precise", "move"), HOPS)
def test_hops_keep_molecules_whole(name, precise, move):
    before, states, leader = _hopped(name, move, precise=precise)
    for after in np.asarray(states.positions):
        assert _stretch(before, after, leader) < 1e-4
        assert np.abs(after - before).max() > 0.05
    assert not np.any(states.deforming)
    assert np.all(np.asarray(states.softness) < 1.0)


def test_atoms_hop_alone_where_that_is_wanted():
    before, states, leader = _hopped("water", 0, molecules=False)
    assert all(_stretch(before, after, leader) > 0.01 for after in np.asarray(states.positions))
    assert np.all(np.asarray(states.softness) == 1.0)
