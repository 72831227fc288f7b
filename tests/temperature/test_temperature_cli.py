"""The command `temperature`: what a user types and sees."""

import json

import pytest

from ase_learnedopt.cli import main

SHORT = ("--hidden", 6, "--betas", "1,3", "--rates", "1,10", "--seeds", 1, "--final-seeds", 1, "--steps", 50, "--quiet")


def run(*arguments) -> int:
    return main([str(argument) for argument in arguments])


def test_sweep_leaves_table_numbers_and_plot(tmp_path, capsys):
    assert run("temperature", "sweep", "iris", *SHORT, "--out", tmp_path) == 0
    printed, errors = capsys.readouterr()
    assert errors == ""
    assert "| beta | learning rate |" in printed
    assert json.loads((tmp_path / "sweep.json").read_text())["n_examples"] == [95, 24, 30]
    assert (tmp_path / "sweep.svg").read_text().startswith("<svg")
    assert run("temperature", "sweep", "iris", *SHORT, "--out", tmp_path) == 0
    assert capsys.readouterr().out == printed
    assert run("temperature", "sweep", "wine", *SHORT, "--out", tmp_path) == 1
    assert "holds other trainings" in capsys.readouterr().err


def test_diagnose_prints_a_table(capsys):
    assert run("temperature", "diagnose", "wine", "--betas", "0.1,1", "--scaling", "none") == 0
    printed = capsys.readouterr().out
    assert len([line for line in printed.splitlines() if line.startswith("     ")]) == 2
    assert "beta_one" in printed
    assert "scale the inputs" in printed


def test_reproduce(tmp_path, capsys):
    options = ("--pairs", "wine-mlp-norm", "--short", "--quiet", "--out", tmp_path)
    assert run("temperature", "reproduce", "collapse", *options) == 0
    assert "wine-mlp-norm: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("sweep irises --out x", 1, "data is 'irises'"),
        ("sweep iris --betas 0 --out x", 2, "0 is not a positive number"),
        ("sweep iris --hidden 1.5 --out x", 2, "invalid list of whole numbers value"),
        ("diagnose iris --scaling log", 1, "scaling is 'log'"),
        ("diagnose iris --model x", 1, "there is no model 'x'; give one of mlp"),
        ("reproduce everything --out x", 1, "no claim 'everything'"),
    ],
)
def test_refusals(tmp_path, monkeypatch, capsys, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    try:
        found = run("temperature", *arguments.split())
    except SystemExit as error:
        found = error.code
    assert found == code
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
