"""Importing the package is quick: neither jax nor ase is imported before it is needed."""

import subprocess
import sys

import pytest

import ase_learnedopt


def test_import_time():
    code = "import ase_learnedopt"
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, check=True
    )
    imported = {line.rsplit("|", 1)[-1].strip() for line in result.stderr.splitlines() if "|" in line}
    assert "ase_learnedopt" in imported
    assert not {"jax", "ase", "numpy", "scipy"} & imported


def test_optimizers_need_no_ase():
    code = "import sys, ase_learnedopt; ase_learnedopt.learned_hop; assert 'ase' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ase_learnedopt.__all__)
def test_public_names(name):
    assert getattr(ase_learnedopt, name) is not None
    assert name in dir(ase_learnedopt)


def test_unknown_name():
    with pytest.raises(AttributeError, match="LearnedJump"):
        ase_learnedopt.LearnedJump  # noqa: B018
