"""Every script in docs/examples runs in its short form and does what it says."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"


def check_relax_cluster(main):
    optimizer = main(n_steps=60)
    assert optimizer.status == "converged"
    assert optimizer.n_hops == 0


def check_search_cu38(main):
    optimizer = main(n_steps=150)
    assert optimizer.n_evaluations <= 151
    assert optimizer.best_energy < 40.0


def check_batched_search(main):
    energies = np.asarray(main(n_steps=64, n_walkers=2))
    assert energies.shape == (2,)
    assert np.all(energies < 0.0)


CHECKS = {
    "relax_cluster": check_relax_cluster,
    "search_cu38": check_search_cu38,
    "batched_search": check_batched_search,
}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_example(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    CHECKS[path.stem](module.main)
    assert not list(tmp_path.iterdir()), "an example leaves no files unless asked"
