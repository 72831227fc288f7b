"""The relaxation core: quadratics, clusters, and all that a calculator may throw at it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import BOND, lennard_jones, make_system, precision
from numpy.testing import assert_allclose, assert_array_equal

from ase_learnedopt.optimizers import relax
from ase_learnedopt.optimizers.model_hessian import inverse_model_hessian, untrained_springs
from ase_learnedopt.optimizers.relax import relax_init, relax_step

MAXSTEP = 0.2
SPRINGS = untrained_springs()


@partial(jax.jit, static_argnames=("potential", "memory", "n"))
def run(potential, start, memory=6, n=100, inverse_curvature=0.01, metric=None):
    """Returns the state after `n` evaluations, the points evaluated and the rms gradients there."""

    def body(carry, _):
        state, x = carry
        value, gradient = potential(x)
        state, proposal = relax_step(state, x, value, gradient, MAXSTEP, metric=metric)
        return (state, proposal), (x, jnp.sqrt(jnp.mean(gradient * gradient)))

    carry = relax_init(start, inverse_curvature, memory), start
    (state, _), (points, rms) = jax.lax.scan(body, carry, None, length=n)
    return state, points, rms


def stiffness(x, condition):
    return jnp.logspace(-jnp.log10(condition), 0.0, x.size, dtype=x.dtype).reshape(x.shape) * 50.0


def quadratic(x, condition=100.0, offset=0.0):
    k = stiffness(x, condition)
    return 0.5 * jnp.sum(k * x * x) + offset, k * x


def argon(x):
    energy, forces = lennard_jones(x, make_system(np.zeros((13, 3)), dtype=x.dtype.name, n_rows=13))
    return energy, -forces


def overlap(x):
    """Two atoms repel within a distance of one, within a half with a gradient that overflows when squared."""
    d = x[1] - x[0]
    r = jnp.sqrt(jnp.sum(d * d)) + 1e-6
    size = jnp.where(r < 0.5, 1e30, 1.0).astype(x.dtype)
    gap = jnp.maximum(1.0 - r, 0.0)
    push = (size * gap / r) * d
    return 0.5 * size * gap**2, jnp.stack([push, -push])


def translation(x):
    return jnp.sum(x), jnp.ones_like(x)


def flat(x):
    return jnp.zeros((), x.dtype), jnp.zeros_like(x)


def cliff(x):
    """A well that has no energy outside a radius of one."""
    value, gradient = quadratic(x)
    return jnp.where(jnp.max(jnp.abs(x)) > 1.0, jnp.nan, value), gradient


def normals(n, seed=0, scale=1.0):
    return scale * np.random.default_rng(seed).normal(size=(n, 3))


def cluster(seed, n=13):
    directions = normals(n, seed)
    return directions / np.linalg.norm(directions, axis=1)[:, None] * 1.4 * np.linspace(0.2, 1, n)[:, None] ** (1 / 3)


@pytest.mark.parametrize(
    ("condition", "n_atoms", "memory", "budget"),
    [(1.0, 38, 6, 20), (100.0, 38, 6, 120), (100.0, 1, 6, 30), (1e4, 38, 6, 1200), (1e4, 38, 100, 300)],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"], indirect=True)
def test_reaches_the_minimum_of_a_quadratic(condition, n_atoms, memory, budget, dtype):
    start = jnp.asarray(normals(n_atoms), dtype)
    _, _, rms = run(partial_quadratic(condition), start, memory, budget)
    assert rms.min() < 1e-4


_QUADRATICS: dict = {}


def partial_quadratic(condition, offset=0.0):
    """Returns the same object for the same quadratic, so that `run` is compiled once for it."""
    return _QUADRATICS.setdefault((condition, offset), partial(quadratic, condition=condition, offset=offset))


@pytest.mark.parametrize("dtype", ["float32", "float64"], indirect=True)
@pytest.mark.parametrize(
    ("potential", "start"),
    [
        (overlap, np.zeros((2, 3)) + np.array([[0.0], [1e-3]])),
        (overlap, np.zeros((2, 3))),
        (translation, normals(3)),
        (flat, normals(1)),
        (flat, normals(5)),
        (cliff, normals(4, scale=0.1)),
        (argon, np.zeros((13, 3))),
        (argon, cluster(0) * 1e-3),
        (argon, cluster(0) * 50.0),
    ],
)
def test_stays_finite_and_within_maxstep(potential, start, dtype):
    state, points, _ = run(potential, jnp.asarray(start, dtype), memory=3, n=60)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))
    moves = np.linalg.norm(np.diff(points, axis=0), axis=-1)
    # A step is made from the last accepted point, which may be another one than the last evaluated.
    assert moves.max() <= 2.0 * MAXSTEP + 1e-5


def test_separates_overlapping_atoms(dtype):
    _, points, rms = run(overlap, jnp.asarray([[0.0, 0.0, 0.0], [1e-3, 0.0, 0.0]], dtype))
    assert np.linalg.norm(points[-1, 1] - points[-1, 0]) > 1.0 - 1e-6
    assert rms[-1] < 1e-6


@pytest.mark.parametrize("bad", [(np.nan, 1.0), (np.inf, 1.0), (1.0, np.nan)], ids=["nan", "inf", "nan gradient"])
def test_goes_back_from_a_point_without_energy_or_gradient(bad, dtype):
    x = jnp.asarray(normals(4), dtype)
    state, proposal = relax_step(relax_init(x, 0.01, 6), x, *quadratic(x), MAXSTEP)
    back, again = relax_step(state, proposal, bad[0], jnp.full_like(x, bad[1]), MAXSTEP)
    assert_array_equal(back.positions, x)
    assert back.n_rejected == 1
    assert_array_equal(back.weights, state.weights)
    assert 0 < jnp.max(jnp.abs(again - x)) <= 0.5 * jnp.max(jnp.linalg.norm(proposal - x, axis=1)) + 1e-12


def test_rejects_a_rise_and_tries_a_step_of_at_most_half_the_length(dtype):
    x = jnp.asarray(normals(4, scale=0.01), dtype)
    state, proposal = relax_step(relax_init(x, 10.0, 6), x, *quadratic(x), MAXSTEP)
    value, gradient = quadratic(proposal)
    assert value > state.value
    state, again = relax_step(state, proposal, value, gradient, MAXSTEP)
    assert_array_equal(state.positions, x)
    longest, before = (jnp.max(jnp.linalg.norm(p - x, axis=1)) for p in (again, proposal))
    assert longest <= 0.5 * before
    assert quadratic(again)[0] < state.value


@pytest.mark.parametrize(("dtype", "offset"), [("float32", -300.0), ("float64", -1e9)], indirect=["dtype"])
def test_rounding_of_a_large_energy_does_not_stop_it(dtype, offset):
    # The energy of the last steps is lost in rounding: only the slopes can tell.
    state, _, rms = run(partial_quadratic(100.0, offset), jnp.asarray(normals(10), dtype), n=150)
    assert rms.min() < 1e-5
    assert state.n_rejected < relax.MAX_REJECTIONS


def test_an_objective_that_is_not_known_still_relaxes(dtype):
    _, _, rms = run(_gradient_only, jnp.asarray(normals(10), dtype), n=150)
    assert rms.min() < 1e-5


def _gradient_only(x):
    return jnp.zeros((), x.dtype), quadratic(x)[1]


@pytest.mark.parametrize("memory", [6, 20])
def test_is_deterministic_and_resumes_bit_for_bit(memory, dtype):
    step = jax.jit(relax_step)

    def go(state, x, n):
        for _ in range(n):
            state, x = step(state, x, *argon(x), MAXSTEP)
        return state, x

    start = jnp.asarray(cluster(1), dtype)
    whole = go(relax_init(start, 0.01, memory), start, 12)
    half = jax.tree.map(np.array, go(relax_init(start, 0.01, memory), start, 7))
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(go(*half, 5)), strict=True):
        assert_array_equal(a, b)


def test_the_loop_and_the_written_out_recursion_agree(dtype, monkeypatch):
    start = jnp.asarray(cluster(2), dtype)
    unrolled = run(argon, start, n=15)[1]
    monkeypatch.setattr(relax, "UNROLLED_MEMORY", 0)
    looped = run.__wrapped__(argon, start, n=15)[1]
    assert_allclose(unrolled, looped, rtol=1e-6)


def test_a_loop_compiles_to_less():
    x = jnp.asarray(cluster(2))

    def size(unrolled):
        step = jax.jit(partial(relax_step, unrolled=unrolled))
        return len(step.lower(relax_init(x, 0.01, 6), x, *quadratic(x), MAXSTEP).as_text())

    assert size(unrolled=False) < size(unrolled=True)


def test_turns_with_the_cluster_and_batches(dtype):
    starts = jnp.asarray(np.stack([cluster(3), cluster(4)]), dtype)
    turn = jnp.asarray(np.linalg.qr(normals(3, 5))[0], dtype)
    single = run(argon, starts[0], n=15)[1]
    assert_allclose(run(argon, starts[0] @ turn, n=15)[1], single @ turn, atol=1e-6)
    assert_allclose(jax.vmap(lambda x: run(argon, x, n=15)[1])(starts)[0], single, atol=1e-6)


def test_five_thousand_atoms(dtype):
    _, _, rms = run(quadratic, jnp.asarray(normals(5000, scale=0.3), dtype), 20, 60)
    assert rms[-1] < 1e-2 * rms[0]


@pytest.mark.parametrize("memory", [6, 30])
def test_clusters_in_few_evaluations(memory):
    with precision("float32"):
        starts = jnp.asarray(np.stack([cluster(seed) for seed in range(16)]), "float32")
        rms = jax.vmap(lambda x: run(argon, x, memory, 200, 0.015)[2])(starts)
    needed = np.argmax(np.asarray(rms) < 0.01 / np.sqrt(3.0), axis=1)
    assert (needed > 0).mean() >= 15 / 16
    assert np.mean(np.where(needed > 0, needed, 200)) < 95


def test_the_exact_inverse_hessian_is_the_best_metric(dtype):
    start = jnp.asarray(normals(10, scale=0.05), dtype)
    exact = jnp.diag(1.0 / stiffness(start, 1e4).reshape(-1))
    _, _, plain = run(partial_quadratic(1e4), start, 20, 30)
    _, _, guided = run(partial_quadratic(1e4), start, 20, 30, metric=exact, inverse_curvature=1.0)
    assert guided[3] < 1e-8
    assert plain.min() > 1e-4


@pytest.mark.parametrize(
    "where", [{}, {"pbc": True, "cell": np.diag([4.0, 4.5, 5.0])}, {"fixed": (0, 3)}, {"n_rows": 15}], ids=str
)
def test_model_hessian_is_positive_and_keeps_strangers_apart(where, dtype):
    system = make_system(cluster(6) * 1.5, dtype=dtype.name, **({"n_rows": 13} | where))
    metric = np.asarray(inverse_model_hessian(SPRINGS, system.positions, system))
    assert_allclose(metric, metric.T, atol=1e-10)
    assert np.linalg.eigvalsh(metric).min() > 0
    n = len(system.positions)
    blocks = np.abs(metric.reshape(n, 3, n, 3)).sum((1, 3))
    apart = ~(np.asarray(system.movable) & (np.asarray(system.species) >= 0))
    assert_allclose(blocks[apart][:, ~apart], 0.0, atol=1e-12)


def test_model_hessian_is_stiff_along_bonds_whatever_the_radii_and_order(dtype):
    system = make_system([[0, 0, 0], [BOND, 0, 0], [0, 2 * BOND, 0]], dtype=dtype.name, n_rows=3)
    metric = np.asarray(inverse_model_hessian(SPRINGS, system.positions, system))
    stretch = np.array([1, 0, 0, -1, 0, 0, 0, 0, 0.0])
    slide = np.array([0, 0, 1, 0, 0, -1, 0, 0, 0.0])
    assert stretch @ metric @ stretch < 0.2 * (slide @ metric @ slide)
    scaled = inverse_model_hessian(SPRINGS, system.positions, system._replace(radii=system.radii * 1.9))
    assert_allclose(scaled, metric, rtol=1e-9)
    order = np.array([2, 0, 1])
    rows = (3 * order[:, None] + np.arange(3)).ravel()
    permuted = inverse_model_hessian(SPRINGS, system.positions[order], system)
    assert_allclose(permuted, metric[np.ix_(rows, rows)], rtol=1e-9)


def test_model_hessian_saves_evaluations(dtype):
    system = make_system(cluster(0), dtype=dtype.name, n_rows=13)
    saved = []
    for seed in range(6):
        minimum = run(argon, jnp.asarray(cluster(seed), dtype), 20, 200)[0].positions
        start = minimum + jnp.asarray(normals(13, seed, 0.05), dtype)
        metric = inverse_model_hessian(SPRINGS, start, system)
        plain = run(argon, start, 20, 80)[2]
        guided = run(argon, start, 20, 80, metric=metric)[2]
        saved.append(np.argmax(plain < 1e-3) - np.argmax(guided < 1e-3))
    assert np.mean(saved) > 2
