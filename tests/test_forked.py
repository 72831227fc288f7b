"""A forked process computes, or says at once that it cannot and what to do instead; it never waits for ever."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

PRELUDE = """
import multiprocessing, pickle, sys, warnings
warnings.simplefilter("ignore")  # jax warns of every fork
"""
RUN = """
def atoms_of():
    from ase.build import molecule
    from ase.calculators.emt import EMT
    atoms = molecule("H2O")
    atoms.rattle(0.05, seed=1)
    atoms.calc = EMT()
    return atoms

def relax(_=0):
    from ase_learnedopt import LearnedRelax
    opt = LearnedRelax(atoms_of(), logfile=None)
    return opt.run(fmax=0.05, steps=20)
"""
CHILD = """
def answer(work):
    try:
        return str(work())
    except Exception as error:
        return f"{type(error).__name__}: {error}"

def of_child(work):
    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe(False)
    child = context.Process(target=lambda: send.send(answer(work)), daemon=True)
    child.start()
    print(receive.recv() if receive.poll(90) else "it waits for ever")
    child.join(5)

def of_spawned(work):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.apply_async(work).get(90))
"""
USES = {  # what computes in the child
    "relaxation": "relax",
    "search": "lambda: ase_learnedopt.LearnedHop(atoms_of(), logfile=None)",
    "network": "lambda: ase_learnedopt.Learn2Hop(atoms_of(), logfile=None)",
    "run of an optimizer made before": "lambda: opt.run(fmax=0.01, steps=20)",
    "generator of one": "lambda: next(opt.irun(fmax=0.01, steps=20))",
    "pickle of one": "lambda: pickle.loads(data).run(fmax=0.01, steps=20)",
    "folder": "lambda: ase_learnedopt.search.search(atoms_of(), evaluations=9, out='nowhere')",
    "calculator": "lambda: calculator.get_potential_energy(Atoms('Ar2', [(0, 0, 0), (0, 0, 4)]))",
    "rollout": "lambda: ase_learnedopt.rollout.rollout(None, None, None, 1, 0.0, n_windows=1)",
    "classifier": "lambda: classifier.fit([[0.0], [1.0]] * 20, [0, 1] * 20)",
    "sweep": "lambda: sweep_beta([[0.0], [1.0]] * 20, [0, 1] * 20)",
    "training": "lambda: train(None, 'nowhere')",
}


def run(code, tmp_path):
    """Runs a program in a file, which a spawned process must be able to import, and returns what it prints."""
    path = tmp_path / "program.py"
    path.write_text(PRELUDE + RUN + CHILD + "if __name__ == '__main__':\n    " + code.strip().replace("\n", "\n    "))
    done = subprocess.run(
        [sys.executable, path], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()


def test_a_child_of_a_process_that_has_computed_says_so_at_once(tmp_path):
    pytest.importorskip("sklearn")
    code = """
from ase import Atoms
import ase_learnedopt, ase_learnedopt.search
from ase_learnedopt.adapter.calculators import PotentialCalculator
from ase_learnedopt.metatrain.driver import train
from ase_learnedopt.temperature import TemperatureClassifier, sweep_beta
opt = ase_learnedopt.LearnedHop(atoms_of(), logfile=None, seed=0)
opt.run(fmax=0.05, steps=3)
other = ase_learnedopt.LearnedRelax(Atoms("Ar2", [(0, 0, 0), (0, 0, 4)]), logfile=None)
other.atoms.calc = PotentialCalculator("lennard_jones", epsilon=0.01, sigma=3.4)
other.run(fmax=1e-6, steps=2)
data = pickle.dumps(other)
calculator, classifier = PotentialCalculator("lennard_jones", epsilon=0.01, sigma=3.4), TemperatureClassifier()
"""
    uses = [f"of_child({use})" for use in USES.values()]
    lines = run(code + "\n".join([*uses, "of_spawned(relax)"]), tmp_path)
    assert lines[-1] == "True"  # the way out, taken
    answers = dict(zip(USES, lines[:-1], strict=True))
    for use, answer in answers.items():
        assert answer.startswith("RuntimeError: this process was forked from one that had used JAX"), (use, answer)
        assert "get_context('spawn')" in answer, use
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("before", "answer"),
    [
        ("", "True"),
        ("import jax", "True"),
        ("import ase_learnedopt; ase_learnedopt.LearnedHop", "True"),
        ("import ase_learnedopt, jax; jax.numpy.ones(3) + 1", "RuntimeError"),
        ("import jax; jax.numpy.ones(3) + 1", "RuntimeError"),  # the package is first imported in the child
    ],
    ids=["nothing", "jax imported", "package imported", "jax used", "jax used without us"],
)
def test_a_child_works_if_nothing_was_computed_before(tmp_path, before, answer):
    if answer != "True" and "ase_learnedopt" not in before and not sys.platform.startswith("linux"):
        pytest.skip("the system does not tell how many threads there are")
    (line,) = run(f"{before}\nof_child(relax)", tmp_path)
    assert line.partition(":")[0] == answer
