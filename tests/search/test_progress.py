"""The progress line, on a terminal and in a file."""

import io

import pytest

from ase_learnedopt.search.progress import Bar, TqdmBar, progress_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(bar, stream, n: int = 50) -> str:
    for k in range(10, n + 1):
        bar.update(k, -1.5, k // 10, k // 20)
    bar.close()
    return stream.getvalue()


@pytest.mark.parametrize("kind", [Bar, TqdmBar])
def test_terminal(kind):
    stream = Terminal()
    text = shown(kind(100, stream), stream)
    last = text.rstrip("\n").split("\r")[-1]
    assert "\r" in text
    assert all(piece in last for piece in ("50%", "50/100", "best -1.5000 eV", "5 hops", "2 minima"))


def test_file_gets_plain_lines():
    stream = io.StringIO()
    text = shown(Bar(100, stream, interval=0.0), stream)
    assert "\r" not in text
    assert len(text.splitlines()) == 41


@pytest.mark.parametrize(("show", "stream", "kind"), [(False, Terminal(), "Silent"), (True, io.StringIO(), "Bar")])
def test_choice(show, stream, kind):
    assert type(progress_bar(10, show, stream)).__name__ == kind


def test_without_tqdm(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tqdm", None)
    assert type(progress_bar(10, True, Terminal())).__name__ == "Bar"
