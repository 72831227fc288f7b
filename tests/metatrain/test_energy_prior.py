"""What is known of energies before a run: the potentials it is learned from, and how."""

import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import precision

from ase_learnedopt.cli import main
from ase_learnedopt.metatrain import prior_runs
from ase_learnedopt.metatrain.energy_prior import evidence, fit_prior, make_prior, square_root
from ase_learnedopt.metatrain.prior_runs import Told, what_runs_tell
from ase_learnedopt.metatrain.random_potentials import draw_potential, random_energy
from ase_learnedopt.optimizers.energy_features import features, morse_coefficients, n_features
from ase_learnedopt.optimizers.energy_model import PRECISION, PRIORS, EnergyModel, mean_coefficients
from ase_learnedopt.optimizers.learned import load_learned
from ase_learnedopt.optimizers.policy import HEADS
from ase_learnedopt.potentials import gupta, lennard_jones, make_system, morse
from ase_learnedopt.potentials.gupta_table import GuptaTable

FORMS = {"gupta": 0, "morse": 1, "lennard-jones": 2}


def _drawn(form, kinds, seed=0):
    """Returns a random potential of a form, a system of six atoms and the scales it is told."""
    rng = np.random.default_rng(seed)
    while True:
        potential, scales = draw_potential(rng, kinds)
        if potential.form == FORMS[form]:
            grid = np.array([[i, j, k] for i in range(3) for j in range(2) for k in range(1)]) * 1.05
            system = make_system(np.arange(6) % kinds, scales, dtype="float64")
            x = jnp.asarray(grid + 0.1 * rng.normal(size=grid.shape))
            return potential, system, x


def _independent(form, kinds):
    """Returns a random potential, and the package's own of the same parameters."""
    potential, system, x = _drawn(form, kinds)
    if form == "gupta":
        table = GuptaTable(
            ("X", "Y")[:kinds],
            "drawn",
            *(potential.repulsion, np.sqrt(potential.overlap), potential.steep, potential.flat, potential.contact),
        )
        return potential, system, x, gupta(table)
    if form == "morse":
        depth, contact, decay = (float(a[0, 0]) for a in (potential.depth, potential.contact, potential.decay))
        return potential, system, x, morse(depth, contact, decay)
    potential = potential._replace(exponent=np.full_like(potential.exponent, 6.0))
    return (
        potential,
        system,
        x,
        lennard_jones(float(potential.depth[0, 0]), float(potential.contact[0, 0]) / 2 ** (1 / 6)),
    )


@pytest.mark.parametrize(("form", "kinds"), [("gupta", 1), ("gupta", 2), ("morse", 1), ("lennard-jones", 1)])
def test_random_potentials_are_those_of_the_package(form, kinds):
    with precision("float64"):
        potential, system, x, same = _independent(form, kinds)
        energy, gradient = jax.value_and_grad(lambda y: random_energy(potential, y, system))(x)
        value, forces = same(x, system)
        np.testing.assert_allclose(energy, value, rtol=1e-6)
        np.testing.assert_allclose(gradient, -forces, atol=1e-6 * np.abs(forces).max())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kinds", [1, 2])
def test_atoms_that_overlap_are_pushed_apart(form, kinds):
    with precision("float64"):
        potential, system, x = _drawn(form, kinds)
        gradient = jax.grad(lambda y: random_energy(potential, y, system))(x.at[1].set(x[0] + 0.3))
        assert np.isfinite(gradient).all()
        assert gradient[0, 0] - gradient[1, 0] > 1.0


def test_tables_are_symmetric_and_bonds_are_one_long_and_strong():
    rng, lengths, energies = np.random.default_rng(0), [], []
    for _ in range(200):
        potential, scales = draw_potential(rng, 2)
        for table in potential[1:]:
            np.testing.assert_allclose(table, table.T)
        lengths.append(np.mean(np.diag(potential.contact)))
        energies.append(np.mean(np.diag(potential.depth)))
        assert len(scales.radii) == 2
    np.testing.assert_allclose(lengths, 1.0)
    np.testing.assert_allclose(energies, 1.0)


def _made_up(n=400):
    """Returns what runs tell whose coefficients are of a known distribution, and mean and covariance of that."""
    k, rng = n_features(1) - 1, np.random.default_rng(0)
    mean, factor = rng.normal(size=k), rng.normal(size=(k, k)) / np.sqrt(k) + np.eye(k)
    precisions, seen = [], []
    for _ in range(n):
        rows = rng.normal(size=(2 * k, k)) * 3.0
        read = rows @ (mean + factor @ rng.normal(size=k)) + rng.normal(size=2 * k)
        precisions.append(rows.T @ rows)
        seen.append(rows.T @ read)
    return Told(np.array(precisions), np.array(seen)), mean, factor @ factor.T


def test_the_distribution_of_coefficients_is_found():
    told, mean, covariance = _made_up()
    found_mean, found = fit_prior(told, 1)
    error = np.sqrt(np.diag(covariance) / len(told.seen))
    assert np.all(np.abs(found_mean - mean) < 5.0 * error)
    np.testing.assert_allclose(found, covariance, atol=0.3 * np.diag(covariance).max())
    assert np.linalg.norm(found - covariance) < 0.3 * np.linalg.norm(covariance)


def test_evidence_is_the_probability_of_what_was_read():
    rng = np.random.default_rng(1)
    k, rows = 4, rng.normal(size=(7, 4))
    read = rng.normal(size=7)

    def exactly(mean, covariance):
        total = rows @ covariance @ rows.T + np.eye(7)
        off = read - rows @ mean
        return -0.5 * (np.linalg.slogdet(total)[1] + off @ np.linalg.solve(total, off))

    told = Told((rows.T @ rows)[None], (rows.T @ read)[None])
    one, other = (np.zeros(k), np.eye(k)), (np.ones(k), np.diag([0.5, 1.0, 2.0, 3.0]))
    found = evidence(told, *one) - evidence(told, *other)
    np.testing.assert_allclose(found, [exactly(*one) - exactly(*other)], rtol=1e-10)


def test_a_prior_is_kept_as_its_square_root():
    _, mean, covariance = _made_up(1)
    root = square_root(mean, covariance)
    assert np.all(np.tril(root, -1) == 0.0)
    zero = jnp.zeros(())
    with precision("float64"):
        model = EnergyModel(jnp.asarray(root), zero, zero, zero, zero)
        np.testing.assert_allclose(mean_coefficients(model), [0.0, *mean], atol=1e-9)
    k = len(mean) + 1
    np.testing.assert_allclose(np.linalg.inv(root[:k, :k].T @ root[:k, :k])[1:, 1:], covariance, rtol=1e-6, atol=1e-9)
    assert root[0, 0] ** 2 == pytest.approx(PRECISION)


def test_a_run_tells_its_coefficients(monkeypatch):
    """On an energy that the model can express, they are what it was made of; its atoms must not begin in each other."""
    monkeypatch.setattr(prior_runs, "EVALUATIONS", 60)
    monkeypatch.setattr(prior_runs, "_run", prior_runs._run.__wrapped__)
    coefficients = np.append(0.0, morse_coefficients(1)[1:] + 0.1 * np.random.default_rng(2).normal(size=13))

    def energy(potential, positions, system):
        del potential
        return system.energy_scale * (jnp.asarray(coefficients) @ features(positions, system, 1))

    monkeypatch.setattr(prior_runs, "random_energy", energy)
    params, constants, _ = load_learned("learned_hop", "learned_hop")
    told = what_runs_tell(params, constants, 1, np.random.default_rng(1), 8, 3)
    precise, seen = told.precision.sum(axis=0), told.seen.sum(axis=0)
    certain = np.sqrt(np.diag(np.linalg.inv(precise)))
    assert np.all(np.abs(np.linalg.solve(precise, seen) - coefficients[1:]) < 3.0 * certain)
    assert certain.min() < 0.5


@pytest.mark.slow
def test_runs_at_once_tell_what_runs_one_by_one_do(monkeypatch):
    """The way of a GPU, for alloys of three kinds."""
    monkeypatch.setattr(prior_runs, "EVALUATIONS", 12)
    monkeypatch.setattr(prior_runs, "_run", prior_runs._run.__wrapped__)
    params, constants, _ = load_learned("learned_hop", "learned_hop")
    told = []
    for backend in ("cpu", "gpu"):
        monkeypatch.setattr(jax, "default_backend", lambda name=backend: name)
        told.append(what_runs_tell(params, constants, 3, np.random.default_rng(0), 7, 2))
    for one, other in zip(*told, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-8 * np.abs(one).max())
    assert not np.allclose(told[0].seen[0], told[0].seen[1])


@pytest.mark.slow
def test_weights_with_a_new_prior(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(prior_runs, "EVALUATIONS", 20)
    monkeypatch.setattr(prior_runs, "SIZES", (6,))
    assert main(["train", "prior", "learned_hop", "--out", str(tmp_path / "mine"), "--runs", "12"]) == 0
    out = capsys.readouterr().out
    assert "three kinds, 6 atoms: 0 of 14 runs" in out
    assert "one kind: each of 2 other runs" in out
    assert "mine.npz" in out
    before, constants, _ = load_learned("learned_hop", "learned_hop")
    params, same, card = load_learned("learned_hop", tmp_path / "mine")
    assert same == constants
    for head in HEADS:
        jax.tree.map(np.testing.assert_array_equal, params[head], before[head])
    assert not np.array_equal(params["prior"]["two kinds"], before["prior"]["two kinds"])
    assert card["prior"]["found"].keys() == set(PRIORS.values())
    assert "--runs 12 --seed 0" in card["prior"]["command"]


def test_a_run_that_was_stopped_goes_on(monkeypatch, tmp_path, capsys):
    """With the same result as one that was not; what the runs tell is made up."""
    made = []

    def make_up(params, constants, kinds, rng, n_atoms, n):
        k = n_features(kinds) - 1
        rows = rng.normal(size=(n, 2 * k, k))
        made.append((kinds, n_atoms))
        if len(made) == 3:
            signal.raise_signal(signal.SIGINT)
        return Told(np.swapaxes(rows, 1, 2) @ rows, rng.normal(size=(n, k)))

    monkeypatch.setattr(prior_runs, "what_runs_tell", make_up)
    monkeypatch.setattr(prior_runs, "SIZES", (6, 7))
    command = ["train", "prior", "learned_hop", "--runs", "10", "--out"]
    assert main([*command, str(tmp_path / "mine")]) == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert not (tmp_path / "mine.npz").exists()
    with pytest.raises(ValueError, match=r"other settings.*'runs': 10.*delete it, or give another --out"):
        make_prior("learned_hop", tmp_path / "mine", "none", runs=11)
    assert main([*command, str(tmp_path / "mine")]) == 0
    assert made == [(kinds, size) for kinds in PRIORS for size in (6, 7)]
    assert {file.name for file in tmp_path.iterdir()} == {"mine.npz", "mine.json"}
    assert main([*command, str(tmp_path / "whole")]) == 0
    jax.tree.map(
        np.testing.assert_array_equal, *(load_learned("learned_hop", tmp_path / name)[0] for name in ("mine", "whole"))
    )


def test_too_few_runs(tmp_path):
    with pytest.raises(ValueError, match="runs is 9; a covariance needs 10 or more"):
        make_prior("learned_hop", tmp_path / "mine", "none", runs=9)
