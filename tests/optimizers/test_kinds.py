"""Which atoms can change places, what follows for moves and deformations, and how strong the bonds of ions count."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from ase_learnedopt.adapter.scales import COHESIVE_ENERGY, contact_radii, typical_bond_energy
from ase_learnedopt.optimizers import exchange, kinds, portfolio
from ase_learnedopt.optimizers.environment import environment
from ase_learnedopt.optimizers.noise import uniforms
from ase_learnedopt.optimizers.policy import warm_start
from ase_learnedopt.optimizers.units import single_atoms
from ase_learnedopt.types import System


def make_system(formula, pbc=False, fixed=()):
    numbers = Atoms(formula).numbers
    n = len(numbers)
    positions = jnp.asarray(np.random.default_rng(0).normal(size=(n, 3)) * 2.0)
    species = np.unique(numbers, return_inverse=True)[1].astype(np.int32)
    movable = ~np.isin(np.arange(n), fixed)
    scales = jnp.asarray(2.5), jnp.asarray(1.0)
    arrays = (species, 9.0 * np.eye(3), np.full(3, pbc), movable, contact_radii(numbers, None))
    return System(positions, *map(jnp.asarray, arrays), *scales)


def _logits(system, fresh=1.0):
    return portfolio.move_logits(system, single_atoms(system.positions, system), fresh)


@pytest.mark.parametrize(
    ("formula", "mixed", "compound"),
    [
        ("Cu38", False, False),
        ("Ag19Cu19", True, False),
        ("Ti4O8", False, True),
        ("(H2O)6", False, True),
        ("NaCl", False, True),
        ("SiC", True, False),
        ("CuAgO", True, True),
        ("Cu", False, False),
    ],
)
def test_what_can_change_places(dtype, formula, mixed, compound):
    system = make_system(formula)
    assert (bool(kinds.is_mixed(system)), bool(kinds.is_compound(system))) == (mixed, compound)
    exchanges = float(jnp.exp(_logits(system)[portfolio.EXCHANGE]))
    assert (exchanges > 0.1) == mixed


def test_atoms_that_do_not_move_make_no_compound(dtype):
    system = make_system("CuAgO", fixed=(2,))
    assert bool(kinds.is_mixed(system)) and not bool(kinds.is_compound(system))
    assert not bool(kinds.is_mixed(make_system("CuAgO", fixed=(1,))))


@pytest.mark.parametrize("pbc", [False, True])
def test_shares_of_moves_add_up(dtype, pbc):
    for formula in ("Cu4", "Cu2Ag2", "Cu2Ag2O2"):
        np.testing.assert_allclose(jnp.exp(_logits(make_system(formula, pbc))).sum(), 1.0, atol=1e-6)


def test_fresh_starts_are_for_one_element_and_can_be_turned_off(dtype):
    def share(formula, pbc, fresh=1.0):
        return float(jnp.exp(_logits(make_system(formula, pbc), fresh)[portfolio.FRESH]))

    assert share("Cu4", True) > 0.3 > share("Cu40", False) > share("Cu4", False) > 1e-4
    assert share("Cu2Ag2", False) < 1e-6 and share("Cu67", True) < 1e-6
    assert share("Cu4", True, 0.0) < 1e-6


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_only_atoms_of_similar_size_are_exchanged(seed):
    system = make_system("Cu3Ag3O6")
    noise = uniforms(jax.random.PRNGKey(seed), system.positions.dtype, *exchange.exchange_noise(12))
    swapped, _ = _exchange(noise, system)
    moved = np.flatnonzero(np.any(np.asarray(swapped != system.positions), axis=1))
    names = np.array(["Cu"] * 3 + ["Ag"] * 3 + ["O"] * 6)[moved]
    assert sorted(names) == ["Ag", "Cu"]


@jax.jit
def _exchange(noise, system):
    surroundings = environment(system.positions, system)
    model = exchange.init_model(system.positions.dtype)
    return exchange.exchange(
        noise, warm_start()["exchange"], model, system.positions, system, surroundings, jnp.asarray(1.0, jnp.float32)
    )


def test_compounds_begin_with_plain_relaxations(dtype):
    system = make_system("Ti4O8")
    noise = uniforms(jax.random.PRNGKey(0), jnp.float64, *portfolio.PLAY_NOISE)
    state, deformation = portfolio.play(
        noise, portfolio.init_portfolio(jnp.float64), system, jnp.zeros(len(portfolio.ARMS) + 3), explore=False
    )
    assert portfolio.ARMS[int(state.arm)] == "plain" and float(deformation.strength) == 0.0


@pytest.mark.parametrize(
    ("formula", "energy"),
    [
        ("Cu38", COHESIVE_ENERGY[29] / 6),
        ("Ag19Au19", (COHESIVE_ENERGY[47] + COHESIVE_ENERGY[79]) / 12),  # 0.6 apart: no ions
        ("TiO2", (COHESIVE_ENERGY[22] + 2 * COHESIVE_ENERGY[8]) / 18 + 4 / 9 * (3.44 - 1.54) ** 2),
        ("NaCl", (COHESIVE_ENERGY[11] + COHESIVE_ENERGY[17]) / 12 + (3.16 - 0.93) ** 2 / 2),
        ("UO", (3.0 + COHESIVE_ENERGY[8]) / 12),  # no electronegativity of uranium in the table
    ],
)
def test_bonds_of_ions_are_strong(formula, energy):
    assert typical_bond_energy(Atoms(formula).numbers) == pytest.approx(energy)
