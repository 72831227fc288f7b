"""The database of minima: one row per structure, safe to re-open, to repeat and to merge."""

import pytest
from ase import Atoms
from ase.cluster import Icosahedron, Octahedron
from ase.db import connect

from ase_learnedopt.search import MinimaDatabase


def test_dropped_minima_are_gone(tmp_path):
    path = tmp_path / "minima.db"
    minima = MinimaDatabase(path)
    atoms = [Atoms("Cu2", [[0, 0, 0], [0, 0, z]]) for z in (2.2, 2.6, 3.0)]
    for k, structure in enumerate(atoms):
        minima.add(structure, -1.0 - k, 10 + k, label="seed 0")
    minima.add(atoms[1], -2.0, 5, label="seed 1")
    minima.drop("seed 0", 12)
    minima.drop("seed 0", 11)  # another search has seen it, too
    minima.drop("seed 0", 99)  # which there is not
    assert [m.energy for m in minima] == [m.energy for m in MinimaDatabase(path)] == [-2.0, -1.0]
    assert minima.sorted()[0].sightings == {"seed 1:5": 1}
    assert minima.add(atoms[2], -3.0, 12, label="seed 0").energy == -3.0 and len(minima) == 3


def variant(structure, seed: int) -> Atoms:
    atoms = Atoms(structure)
    atoms.rotate(37.0 * seed, (1, 2, 3))
    atoms.rattle(0.005, seed=seed)
    return atoms


def filled(path=None) -> MinimaDatabase:
    """Icosahedra at -1 eV, octahedra nearly degenerate with them, and icosahedra far above."""
    database = MinimaDatabase(path)
    for seed in range(3):
        database.add(variant(Icosahedron("Cu", 2), seed), -1.0 + 1e-4 * seed, 10 + seed, label="seed 0")
        database.add(variant(Octahedron("Cu", 3, 1), seed), -1.0 - 1e-4 * seed, 20 + seed, label="seed 0")
    database.add(variant(Icosahedron("Cu", 2), 7), 2.0, 5, times_seen=4, label="seed 0")
    return database


def summary(database: MinimaDatabase) -> list[tuple]:
    return [(round(m.energy, 6), m.evaluation, m.times_seen) for m in database]


EXPECTED = [(-1.0002, 20, 3), (-1.0, 10, 3), (2.0, 5, 4)]


@pytest.mark.parametrize("on_disk", [False, True])
def test_distinct_minima(tmp_path, on_disk):
    assert summary(filled(tmp_path / "minima.db" if on_disk else None)) == EXPECTED


def test_reopened_file_is_the_same_and_repeats_change_nothing(tmp_path):
    path = tmp_path / "minima.db"
    filled(path)
    assert summary(MinimaDatabase(path)) == EXPECTED
    assert summary(filled(path)) == EXPECTED
    assert connect(str(path)).count() == 3


def test_rows_are_ase_db_rows(tmp_path):
    filled(tmp_path / "minima.db")
    row = next(iter(connect(str(tmp_path / "minima.db")).select(evaluation=20)))
    assert (row.energy, row.times_seen, row.label) == (pytest.approx(-1.0002), 3, "seed 0")
    assert [file.name for file in tmp_path.iterdir()] == ["minima.db"]


def test_a_later_report_of_the_same_sighting_updates_it(tmp_path):
    database = MinimaDatabase(tmp_path / "minima.db")
    for energy, times in ((-1.0, 1), (-1.001, 3), (-1.001, 2)):
        database.add(variant(Icosahedron("Cu", 2), times), energy, 12, times, label="a")
    assert summary(MinimaDatabase(database.path)) == [(-1.001, 12, 3)]


def test_merge_counts_every_search_once(tmp_path):
    first, second = filled(tmp_path / "0.db"), MinimaDatabase(tmp_path / "1.db")
    second.add(variant(Icosahedron("Cu", 2), 9), -1.00005, 3, label="seed 1")
    merged = MinimaDatabase(tmp_path / "all.db")
    for _ in range(2):
        merged.merge([first.path, second.path])
    assert summary(merged) == [(-1.0002, 20, 3), (-1.00005, 3, 4), (2.0, 5, 4)]
    assert [m.label for m in merged] == ["seed 0", "seed 0,seed 1", "seed 0"]


@pytest.mark.parametrize(("content", "message"), [(None, "no file"), ("garbage", "no ase.db file")])
def test_bad_files(tmp_path, content, message):
    path = tmp_path / "bad.db"
    if content:
        path.write_text(content)
    with pytest.raises(ValueError, match=message):
        MinimaDatabase().merge([path])
