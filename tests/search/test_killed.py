"""A search that was killed, at whatever moment, and resumed leaves what an uninterrupted one does."""

import json
import shutil

import pytest
from ase.constraints import FixAtoms
from ase.io import read

from ase_learnedopt.adapter.restart_file import RestartFile
from ase_learnedopt.cli import main
from ase_learnedopt.search import MinimaDatabase, recorder, run

EVALUATIONS = 40


def contents(folder):
    """Returns all that a search leaves but for times."""
    figures = json.loads((folder / "run.json").read_text())["figures"]
    figures.pop("seconds")
    found = {"figures": figures, "status": json.loads((folder / "run.json").read_text())["status"]}
    found["files"] = sorted(path.name for path in folder.iterdir())
    found |= {name: (folder / name).read_text() for name in ("trace.csv", "best.xyz")}
    minima = MinimaDatabase(folder / "minima.db")
    found["minima"] = [(m.energy, m.evaluation, m.times_seen, m.atoms.positions.tolist()) for m in minima]
    if (folder / "trajectory.traj").exists():
        frames = read(folder / "trajectory.traj", ":")
        found["frames"] = [(a.positions.tolist(), a.get_potential_energy()) for a in frames]
    return found


@pytest.fixture
def snapshots(tmp_path, monkeypatch):
    """Copies the folder of a search as a kill would leave it, at every moment that matters."""
    taken = []

    def snapshot(name):
        copy = tmp_path / f"{len(taken)} {name}"
        shutil.copytree(tmp_path / "x", copy, ignore=lambda *_: ["search.lock"])
        taken.append(copy)

    def after(owner, name, label):
        original = getattr(owner, name)

        def both(*args, **kwargs):
            result = original(*args, **kwargs)
            snapshot(label)
            return result

        monkeypatch.setattr(owner, name, both)

    monkeypatch.setattr(RestartFile, "due", property(lambda self: self._path is not None))
    after(RestartFile, "write", "restart")
    after(recorder.TraceFile, "add", "trace")
    after(recorder.Recorder, "close", "closed")
    after(run, "plot_trace", "picture")
    return taken


@pytest.mark.parametrize(
    ("saved", "options"),
    [
        (1e9, []),
        pytest.param(1e9, ["--no-trajectory"], marks=pytest.mark.slow),
        pytest.param(1e9, ["fixed"], marks=pytest.mark.slow),
        pytest.param(0.0, [], marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_killed_at_the_end_and_resumed_is_uninterrupted(tmp_path, monkeypatch, snapshots, saved, options):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(recorder, "SAVE_INTERVAL", saved)
    start = "Cu7"
    if options == ["fixed"]:
        from ase.cluster import Icosahedron

        atoms, start, options = Icosahedron("Cu", 2), "fixed.traj", []
        atoms.rattle(0.1, seed=0)
        atoms.set_constraint(FixAtoms([0, 1]))
        atoms.write(start)
    command = ["search", start, "--evaluations", str(EVALUATIONS), "--quiet", *options]
    assert main([*command, "--out", "x"]) == 0
    whole, moments = contents(tmp_path / "x"), list(snapshots)
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    last = next(k for k, path in enumerate(moments) if path.name.endswith("closed"))
    chosen = [*moments[len(moments) // 3 :: 40], *moments[last - 5 :]]
    for killed in chosen:
        assert main(["search", "--resume", "--out", str(killed), "--quiet"]) == 0
        assert contents(killed) == whole, killed.name
