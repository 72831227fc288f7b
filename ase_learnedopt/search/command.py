"""From the options of `ase-learnedopt search` to a search. Layer 4."""

from pathlib import Path
from typing import Any

from ase import Atoms
from ase.calculators.calculator import CalculatorError

from ..adapter.energies import energy_of
from .calculators import make_calculator, natural_scales, parse_keywords
from .folder import Folder
from .inputs import Structure, place, read_structure
from .run import SearchResult, run_search

STARTS = 20
"""Random starts that are tried where the calculator fails."""
DEFAULTS: dict[str, Any] = {"calculator": "emt", "calculator_kwargs": None, "seed": 0, "evaluations": 5000}
"""Of the options that neither the command line nor a search to resume gives; `run_search` knows the others."""

ENDINGS = {
    "budget": "budget of evaluations used",
    "target": "target energy reached",
    "patience": "no new best for too long",
    "walltime": "time is up",
    "interrupted": "stopped, continue with --resume",
}


def search_command(
    given: dict[str, Any], out: str | Path, *, resume: bool, overwrite: bool, show_progress: bool
) -> SearchResult:
    """Does a search as the command line asks for it.

    Args:
      given: options given, by their names in `run_search`, and `input`, `calculator`, `calculator_kwargs`; a resumed
        search has the others from its `run.json`.
      out: folder of the results.
      resume: continue the search in the folder.
      overwrite: replace the search in the folder.
      show_progress: whether to draw a progress bar.
    """
    folder = Folder(out)
    before = folder.check_resumable()["arguments"] if resume else {}
    options = {**DEFAULTS, **before, **given}
    # A search that was killed before it wrote its start begins again.
    anew = "input" in given or not folder.start.exists()
    structure = read_structure(options["input"]) if anew else None
    start = folder.read_start() if structure is None else structure.atoms
    keywords = parse_keywords(options["calculator_kwargs"])
    calculator = make_calculator(options["calculator"], keywords, start)
    length_scale, energy_scale = natural_scales(calculator)
    settings = {"length_scale": length_scale, "energy_scale": energy_scale, **options}
    for name in ("input", "calculator", "calculator_kwargs"):
        settings.pop(name, None)
    if structure is not None:
        start = _first_start(structure, calculator, settings["seed"], settings["length_scale"])
    start.calc = calculator
    return run_search(
        start,
        out=out,
        resume=resume,
        overwrite=overwrite,
        show_progress=show_progress,
        calculator_name=options["calculator"],
        fresh_calculator=lambda: make_calculator(options["calculator"], keywords, start),
        arguments=options,
        **settings,
    )


def _first_start(structure: Structure, calculator: Any, seed: int, length_scale: float | None) -> Atoms:
    """Returns the structure that was given, or the first random start that the calculator can evaluate."""
    for attempt in range(STARTS):
        atoms = place(structure, seed, length_scale, attempt)
        atoms.calc = calculator
        if structure.parts is None:
            return atoms
        try:
            energy_of(atoms)
            return atoms
        except CalculatorError:  # such as a self-consistent cycle that does not converge
            continue
        except Exception:  # noqa: BLE001 such as an element without parameters: no other start would do
            break
    return atoms  # what is wrong is said by those who check


def describe_ending(result: SearchResult) -> str:
    """Returns in a line why a search ended and what it cost."""
    minutes, seconds = divmod(result.seconds, 60)
    clock = f"{minutes:.0f} min {seconds:.0f} s" if minutes else f"{seconds:.1f} s"
    counts = f"{result.n_evaluations} evaluations, {result.n_hops} hops, {len(result.minima)} distinct minima, {clock}"
    return f"{ENDINGS.get(result.status, result.status)}; {counts}"
