"""Imports point down only; the lower layers work without ase, and importing the package loads next to nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ase_learnedopt

PACKAGE = Path(ase_learnedopt.__file__).parent
LAYERS = {
    "types": 0,
    "stopping": 0,
    "precision": 0,
    "forked": 0,
    "whole_file": 0,
    "one_writer": 0,
    "geometry": 1,
    "neighbors": 1,
    "sanity": 1,
    "potentials": 1,
    "optimizers": 1,
    "rollout": 1,
    "released_weights": 1,
    "weights_io": 1,
    "markup": 1,
    "plot_style": 2,
    "metatrain": 2,
    "temperature": 2,
    "adapter": 3,
    "motifs": 4,
    "search": 4,
    "bench": 4,
    "reproduce": 4,
    "cli": 4,
}
APART = {("temperature", "metatrain")}  # the other way is allowed: a head is trained as a classifier
FORBIDDEN = {  # layer: what no module of it may import
    0: ("ase", "numpy", "scipy", "tqdm", "matplotlib", "evosax", "optax"),
    1: ("ase", "tqdm", "matplotlib", "evosax", "optax"),
    2: ("ase",),
    3: ("tqdm", "matplotlib", "evosax", "optax"),
    4: ("evosax",),
}
NO_LAYER = {PACKAGE / "__init__.py", PACKAGE / "weights" / "__init__.py"}  # weights: where it is installed
OF_EXTRAS = ("tblite",)  # what a module may import first of all, since it is only for those who have it
MODULES = sorted(set(PACKAGE.rglob("*.py")) - NO_LAYER)


def imported(source, module, is_package):
    """Yields the dotted name of everything that a module imports, also `module.name` for `from module import name`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".")
                parents = parents[: len(parents) - node.level + is_package]
                base = ".".join([*parents, *filter(None, [node.module])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def top(name):
    """Returns the part of a dotted name that has a layer: `optimizers` of `ase_learnedopt.optimizers.relax`."""
    return name.split(".")[1] if name.startswith("ase_learnedopt.") else None


def violations(source, module, is_package=False):
    own = top(module)
    found = set()
    for name in imported(source, module, is_package):
        other = top(name)
        points_up = LAYERS.get(other, -1) > LAYERS[own] or (own, other) in APART
        if points_up or name.split(".")[0] in FORBIDDEN[LAYERS[own]]:
            found.add(name)
    return found


def dotted(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_imports_point_down(path):
    assert top(dotted(path)) in LAYERS, f"give {dotted(path)} a layer in {Path(__file__).name}"
    assert not violations(path.read_text(), dotted(path), path.name == "__init__.py")


@pytest.mark.parametrize(
    ("source", "module", "is_package", "caught"),
    [
        ("import ase", "ase_learnedopt.rollout", False, {"ase"}),
        ("def f():\n    from ase import Atoms", "ase_learnedopt.metatrain.tasks", False, {"ase", "ase.Atoms"}),
        ("from . import adapter", "ase_learnedopt.rollout", False, {"ase_learnedopt.adapter"}),
        ("from .. import cli", "ase_learnedopt.search.run", False, set()),
        ("from .. import search", "ase_learnedopt.adapter", True, {"ase_learnedopt.search"}),
        ("from ..search import x", "ase_learnedopt.adapter.a", False, {"ase_learnedopt.search"}),
        ("from .relax import x", "ase_learnedopt.optimizers", True, set()),
        ("from ..metatrain import x", "ase_learnedopt.temperature.a", False, {"ase_learnedopt.metatrain"}),
        ("import ase_learnedopt.search.run", "ase_learnedopt.types", False, {"ase_learnedopt.search.run"}),
        ("import asec", "ase_learnedopt.types", False, set()),
    ],
)
def test_the_test_itself(source, module, is_package, caught):
    found = violations(source, module, is_package)
    assert caught <= found
    assert bool(caught) == bool(found)


def run(code):
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


BLOCK_ASE = "import sys; sys.modules['ase'] = None\n"
LOWER = [dotted(p) for p in MODULES if LAYERS[top(dotted(p))] < 3]


def test_lower_layers_work_without_ase():
    run(BLOCK_ASE + "from importlib import import_module\n" + f"for name in {LOWER!r}: import_module(name)")


def test_public_functional_names_work_without_ase():
    run(BLOCK_ASE + "from ase_learnedopt import learned_hop, load_weights, rollout\nlearned_hop()")


def test_import_loads_neither_jax_nor_ase():
    loaded = run("import sys, ase_learnedopt; print([m for m in ('jax', 'ase', 'scipy', 'numpy') if m in sys.modules])")
    assert loaded == "[]"


def test_every_public_name_can_be_had():
    for name in ase_learnedopt.__all__:
        assert getattr(ase_learnedopt, name) is not None
    assert set(ase_learnedopt.__all__) <= set(dir(ase_learnedopt))


def test_no_global_setting_of_jax_is_touched():
    code = """
import jax
before = dict(jax.config.values)
from importlib import import_module
for name in MODULES:
    try: import_module(name)
    except ModuleNotFoundError as error:
        if error.name.partition(".")[0] not in OF_EXTRAS: raise
from ase.build import bulk
from ase.calculators.emt import EMT
from ase_learnedopt import LearnedHop
atoms = bulk("Cu", cubic=True)
atoms.rattle(0.1, seed=0)
atoms.calc = EMT()
LearnedHop(atoms, seed=0, logfile=None).run(fmax=0.1, steps=8)
changed = {k: v for k, v in jax.config.values.items() if before.get(k, v) != v}
print(changed)
"""
    names = f"MODULES = {[dotted(p) for p in MODULES]!r}\nOF_EXTRAS = {OF_EXTRAS!r}\n"
    assert run(names + code) == "{}"
