import configparser
import json
import re
import subprocess
import sys
from importlib.metadata import distribution, entry_points
from pathlib import Path

import pytest

import ase_learnedopt

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ase_learnedopt"


@pytest.fixture(scope="module")
def setup():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return config


def names(requirements):
    return [re.match(r"[\w-]+", line).group() for line in requirements.split("\n") if line]


def test_every_package_is_listed(setup):
    folders = {p.parent for p in PACKAGE.rglob("*.py")}
    found = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    assert set(setup["options"]["packages"].split()) == found | {"ase_learnedopt.weights"}
    assert all((folder / "__init__.py").is_file() for folder in folders)


def test_every_data_file_is_listed(setup):
    patterns = {name: re.split(r",\s*", globs) for name, globs in setup["options.package_data"].items()}
    data = [p for folder in (PACKAGE, ROOT / "weights") for p in folder.rglob("*") if p.is_file()]
    data = [p for p in data if p.suffix != ".py" and "__pycache__" not in p.parts]
    for path in data:
        parts = path.parent.relative_to(ROOT).parts
        package = "ase_learnedopt.weights" if parts == ("weights",) else ".".join(parts)
        assert any(path.match(glob) for glob in patterns.get(package, ())), f"{path} would not be installed"


def test_dependencies_stay_at_five(setup):
    assert names(setup["options"]["install_requires"]) == ["ase", "jax", "jaxlib", "numpy", "scipy"]
    for package in ("jax", "jaxlib"):
        assert re.search(rf"^{package}>=.*,!=0\.10\.2$", setup["options"]["install_requires"], re.MULTILINE)


def test_version_is_one(setup):
    version = setup["metadata"]["version"]
    assert ase_learnedopt.__version__ == distribution("ase-learnedopt").version == version
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text()


def test_the_command_is_there():
    (command,) = entry_points(group="console_scripts", name="ase-learnedopt")
    assert callable(command.load())


def test_data_are_readable_outside_the_repository(tmp_path):
    code = """
import json
from importlib.resources import files
from ase_learnedopt.weights_io import list_weights, read_card
weights = sorted(item.name for item in files("ase_learnedopt.weights").iterdir() if item.name[-4:] in (".npz", "json"))
table = json.loads(files("ase_learnedopt.potentials").joinpath("gupta_parameters.json").read_text())
print(json.dumps([weights, [read_card(name)["name"] for name in list_weights()], len(table)]))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    weights, cards, n_table = json.loads(done.stdout)
    assert weights == sorted(p.name for p in (ROOT / "weights").iterdir() if p.suffix in {".npz", ".json"})
    assert cards == [name[:-4] for name in weights if name.endswith(".npz")]
    assert "aliases.json" in weights
    assert n_table > 0


def test_readme_and_gate_give_the_same_commands():
    readme, gate = (ROOT / "README.md").read_text(), (ROOT / ".ci" / "run").read_text()
    job = "ase-learnedopt search Cu38 --calculator emt --evaluations {} --seed 0 --out cu38"
    assert f"pip install . && {job.format(5000)}\n" in readme
    assert 'pip install -e ".[test]" && pytest\n' in readme
    assert job.format(300) in gate
    assert 'install --quiet -e ".[test]"' in gate
