"""Files whole or not at all, and one writer for a folder."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from ase_learnedopt import one_writer as module
from ase_learnedopt.one_writer import one_writer
from ase_learnedopt.whole_file import PREFIX, remove_unfinished, whole_file

HOLDER = """
import sys, time
from pathlib import Path
from ase_learnedopt.one_writer import one_writer
with one_writer(Path(sys.argv[1]), "it"):
    print("held", flush=True)
    time.sleep(60)
"""
CONTENDER = """
import sys, time
from pathlib import Path
from ase_learnedopt.one_writer import one_writer
lock, inside = Path(sys.argv[1]), Path(sys.argv[1] + ".inside")
while time.time() < float(sys.argv[2]):
    pass
for _ in range(30):
    try:
        with one_writer(lock, "it"):
            inside.touch(exist_ok=False)  # fails where two are inside
            time.sleep(0.002)
            inside.unlink()
    except ValueError:
        continue
"""


def environment():
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.mark.parametrize("name", ["a.json", "a.xyz.gz", "n" * 255, "b" * 200 + "." + "c" * 54, "\u00e4" * 127])
def test_it_is_replaced_whole_or_not_at_all(tmp_path, name):
    path = tmp_path / name
    path.write_text("old")
    with pytest.raises(FileNotFoundError), whole_file(path) as temporary:
        (temporary.write_text("half"), (tmp_path / "missing").read_text())
    assert path.read_text() == "old"
    with whole_file(path) as temporary:
        temporary.write_text("new")
        assert (temporary.suffix, temporary.parent) == (path.suffix if len(path.suffix) < 8 else "", tmp_path)
    assert path.read_text() == "new"
    (tmp_path / temporary.name).write_text("of one that was killed")
    (tmp_path / f"{PREFIX}trial" / "inside").mkdir(parents=True)
    remove_unfinished(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


def test_one_writer_at_a_time(tmp_path):
    lock = tmp_path / "lock"
    with one_writer(lock, "it"):
        assert json.loads(lock.read_text())["pid"] == os.getpid()
        message = f"it is being written to by process {os.getpid()} on .*, since 20.*delete {lock}"
        with pytest.raises(ValueError, match=message), one_writer(lock, "it"):
            pass
        assert lock.exists()
    assert list(tmp_path.iterdir()) == []


def test_it_is_given_back_after_an_error(tmp_path):
    with pytest.raises(KeyboardInterrupt), one_writer(tmp_path / "lock", "it"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("links", [True, False])
def test_the_lock_of_a_killed_process_is_taken_over(tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(PermissionError("no links here")))
    lock = tmp_path / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lock)], env=environment(), stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(ValueError, match=f"process {holder.pid}"), one_writer(lock, "it"):
        pass
    holder.send_signal(signal.SIGKILL)
    while module._began(holder.pid) not in ("ended", None):  # dead, but not yet waited for: a zombie
        time.sleep(0.01)
    with one_writer(lock, "it"):
        assert json.loads(lock.read_text())["pid"] == os.getpid()
    holder.wait()
    holder.stdout.close()
    assert list(tmp_path.iterdir()) == []


GONE = 2**22 - 3
"""Above the greatest number that a process gets by default."""


@pytest.mark.parametrize(
    ("change", "dead"),
    [
        ({"pid": GONE}, True),
        ({"began": "1"}, True),  # the number of the dead one is another process's by now
        ({"began": None}, False),
        ({"host": "elsewhere"}, False),
        ({"host": "elsewhere", "pid": GONE}, False),
        ({"numbering": "pid:[1]", "pid": GONE}, False),  # another container of the same host name
        ("", False),
        ("{", False),
        ("[]", False),
        ({"pid": "x"}, False),
    ],
)
def test_only_what_is_surely_dead_is_replaced(tmp_path, change, dead):
    lock = tmp_path / "lock"
    text = change if isinstance(change, str) else json.dumps({**module._this_process(), **change})
    lock.write_text(text)
    if dead:
        with one_writer(lock, "it"):
            assert lock.read_text() != text
        assert not lock.exists()
        return
    with pytest.raises(ValueError, match=f"it is being written to by .*delete {lock}"), one_writer(lock, "it"):
        pass
    assert lock.read_text() == text


def test_many_at_a_stale_lock_never_hold_it_together(tmp_path):
    lock = tmp_path / "lock"
    lock.write_text(json.dumps({**module._this_process(), "pid": GONE}))
    begin = str(time.time() + 1.0)
    command = [sys.executable, "-c", CONTENDER, str(lock), begin]
    contenders = [subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True) for _ in range(4)]
    errors = [process.communicate(timeout=60)[1] for process in contenders]
    assert [process.returncode for process in contenders] == [0] * 4, errors
    assert list(tmp_path.iterdir()) == []
