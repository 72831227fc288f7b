"""A bar that tells how far trainings are. Layer 2."""

from collections.abc import Iterator
from contextlib import contextmanager

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
    try:
        from tqdm import tqdm
    except ImportError as error:
        raise ValueError("progress=True needs tqdm: pip install 'ase-learnedopt[temperature]'") from error
    with tqdm(unit="step", dynamic_ncols=True) as bar:
        before = 0

        def show(step: int, best: Training) -> None:
            nonlocal before
            bar.set_description(f"beta {best.beta:.3g}, rate {best.rate:.3g}, accuracy {best.accuracy:.4f}", False)
            bar.update(step - before if step > before else step)  # fewer steps: another training has begun
            before = step

        yield show
