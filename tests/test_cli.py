"""The command line: what a user types and sees."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from ase.build import bulk
from ase.io import read

from ase_learnedopt.cli import main


def run(*arguments) -> int:
    return main([str(argument) for argument in arguments])


def test_search_shows_a_table_and_leaves_results(tmp_path, capsys):
    out = tmp_path / "cu13"
    assert run("search", "Cu13", "--evaluations", 200, "--out", out, "--quiet") == 0
    printed, errors = capsys.readouterr()
    assert errors == ""
    assert "first seen" in printed
    assert "icosahedral Ih" in printed
    assert read(out / "best.xyz").get_potential_energy() == pytest.approx(9.3614, abs=1e-3)
    met = json.loads((out / "run.json").read_text())["figures"]["minimum_first_met"]
    assert printed.splitlines()[-1].endswith(f"first met at evaluation {met}. Results are in {out}/")
    arguments = json.loads((out / "run.json").read_text())["arguments"]
    assert arguments == {
        "input": "Cu13", "calculator": "emt", "calculator_kwargs": None, "seed": 0, "evaluations": 200,
    }  # fmt: skip
    assert run("search", "--resume", "--evaluations", 250, "--out", out, "--quiet") == 0
    assert json.loads((out / "run.json").read_text())["figures"]["n_evaluations"] > 200


def test_scales_of_the_calculator_are_used(tmp_path, capsys):
    options = ("--calculator", "lj", "--calculator-kwargs", '{"sigma": 2.0}', "--quiet")
    assert run("search", "Ar13", *options, "--evaluations", 200, "--out", tmp_path / "ar") == 0
    assert "-44.326" in capsys.readouterr().out


@pytest.mark.parametrize("cell", [False, True])
def test_relax(tmp_path, capsys, cell):
    path = tmp_path / "cu.traj"
    crystal = bulk("Cu", "fcc", a=3.7, cubic=True)
    crystal.rattle(0.1, seed=0)
    crystal.write(path)
    assert run("relax", path, "--fmax", 0.01, "--log", tmp_path / "log", *(["--cell"] if cell else [])) == 0
    relaxed = read(tmp_path / "cu-relaxed.xyz")
    assert capsys.readouterr().out.startswith("converged: ")
    assert (abs(relaxed.cell[0, 0] - 3.59) < 0.02) == cell
    assert run("relax", path, "--evaluations", 2, "--log", tmp_path / "log", "--out", tmp_path / "b.traj") == 1
    assert "NOT converged" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("", 2, "COMMAND"),
        ("search Cu3", 2, "--out"),
        ("search --out x", 2, "a formula or file is needed"),
        ("search Cu3 --out x --evaluations 0", 2, "0 is not 1 or more"),
        ("search Cu3 --out x --seed -1", 2, "not between"),
        ("search Cu3 --out x --resume --overwrite", 2, "not allowed with"),
        ("search Cu3 --out x --calculator emmt", 1, "did you mean"),
        ("search Fe3 --out x", 1, "no parameters for Fe"),
        ("search Cu3 --out x --calculator-kwargs {a}", 1, "column 2"),
        ("search Cu3 --out x --resume", 1, "no search in x"),
        ("search missing.xyz --out x", 1, "no file missing.xyz"),
        ("relax missing.xyz", 1, "no file missing.xyz"),
        ("relax Cu3", 1, "relax needs a file"),
        ("weights show nothing", 1, "no weights 'nothing'"),
    ],
)
def test_mistakes(tmp_path, monkeypatch, capsys, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    if code == 2:
        with pytest.raises(SystemExit, match="2"):
            run(*arguments.split())
    else:
        assert run(*arguments.split()) == code
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["", "search", "relax", "weights", "weights list", "weights show"])
def test_help_has_an_example_and_imports_nothing_heavy(command):
    program = (
        "import sys; from ase_learnedopt.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "assert not {'jax', 'ase', 'numpy', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *command.split(), "--help"], capture_output=True, text=True, check=True
    )
    assert "example: ase-learnedopt " + command in done.stdout


def test_version_and_weights(capsys):
    with pytest.raises(SystemExit, match="0"):
        run("--version")
    assert capsys.readouterr().out.startswith("ase-learnedopt ")
    assert run("weights", "list") == 0
    assert capsys.readouterr().out


def test_ctrl_c_keeps_everything(tmp_path):
    command = [sys.executable, "-m", "ase_learnedopt.cli", "search", "Cu7", "--evaluations", "100000", "--out", "x"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    trace, end = tmp_path / "x" / "trace.csv", time.monotonic() + 120
    while time.monotonic() < end and not (trace.exists() and trace.read_text().count("\n") > 60):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped, continue with --resume" in printed
    assert "first seen" in printed
    assert "Stopping after this evaluation" in errors
    assert json.loads((tmp_path / "x" / "run.json").read_text())["status"] == "interrupted"
    assert {"best.xyz", "minima.db", "trajectory.traj", "trace.png"} <= {f.name for f in (tmp_path / "x").iterdir()}
