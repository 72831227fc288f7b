"""Bars that tell how far trainings are. Layer 2."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .parallel import Job
from .training import Show, Training


@contextmanager
def progress_bar(wanted: bool) -> Iterator[Show | None]:
    """Yields what shows a look at a training: None if no bar is wanted.

    Raises:
      ValueError: a bar is wanted, and tqdm is not installed.
    """
    if not wanted:
        yield None
        return
    with _tqdm()(unit="step", dynamic_ncols=True) as bar:
        before = 0

        def show(step: int, best: Training) -> None:
            nonlocal before
            bar.set_description(f"beta {best.beta:.3g}, rate {best.rate:.3g}, accuracy {best.accuracy:.4f}", False)
            bar.update(step - before if step > before else step)  # fewer steps: another training has begun
            before = step

        yield show


@contextmanager
def training_bar(wanted: bool) -> Iterator[Callable[[Job], None] | None]:
    """Yields what counts trainings that are done: None if no bar is wanted.

    Raises:
      ValueError: a bar is wanted, and tqdm is not installed.
    """
    if not wanted:
        yield None
        return
    with _tqdm()(unit="training", dynamic_ncols=True) as bar:

        def show(job: Job) -> None:
            bar.set_description(f"beta {job.beta:.3g}, rate {job.rate:.3g}", False)
            bar.update(1)

        yield show


def _tqdm():
    try:
        from tqdm import tqdm
    except ImportError as error:
        raise ValueError("progress=True needs tqdm: pip install 'ase-learnedopt[temperature]'") from error
    return tqdm
