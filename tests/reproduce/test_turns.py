"""A folder is at one process at a time, and free again afterwards."""

from ase_learnedopt.reproduce.turns import take_turns


def test_a_folder_under_way_is_passed_over(tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    first = take_turns(folders)
    assert next(first) == folders[0]
    assert list(take_turns(folders)) == [folders[1]]
    assert next(first) == folders[1]
    assert list(take_turns(folders)) == [folders[0]]
    assert list(first) == []
    assert list(take_turns(folders)) == folders
