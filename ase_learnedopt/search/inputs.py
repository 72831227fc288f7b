"""What a search starts from: a file that ASE reads, or a formula whose atoms are thrown into a sphere. Layer 4."""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.formula import Formula

from ..adapter.scales import contact_radii

CLOSEST = 0.65
"""Least distance of two atoms of a random start, in contact distances: potentials blow up below."""
APART = 0.9
"""The same of molecules, and where a calculator has failed at the first start."""

MOLECULE_GAP = 1.0
"""Angstrom around every molecule of a random start."""


class Structure(NamedTuple):
    """Holds what was asked for, before anything is placed."""

    atoms: Atoms  # of a formula: all at the origin
    parts: list[Atoms] | None  # atoms and molecules still to be placed; None: the positions are from a file


def read_structure(text: str) -> Structure:
    """Reads a file (`name` or `name@index`) or a formula: `Cu38`, `Ag32Cu6`, `(H2O)4` for whole molecules.

    A file of that name comes before a formula, a formula before a folder: results may lie in a folder `Cu38`.

    Raises:
      ValueError: it is neither, or holds no atoms.
    """
    if not text:
        raise ValueError("the formula is empty and holds no atoms")
    path = file_of(text)
    if path.is_file():
        return Structure(_read_file(text), None)
    try:
        parts = parse_formula(text)
    except ValueError:
        if path.exists():  # a folder, which some formats are
            return Structure(_read_file(text), None)
        if "/" in text or "." in text:
            raise ValueError(f"there is no file {path}") from None
        raise
    atoms = Atoms()
    for part in parts:
        atoms += part
    return Structure(atoms, parts)


def file_of(text: str) -> Path:
    """Returns the path in `name` or `name@index`; an existing path of the whole name is that."""
    return Path(text if Path(text).exists() else text.rpartition("@")[0] or text)


def place(structure: Structure, seed: int, length_scale: float | None = None, attempt: int = 0) -> Atoms:
    """Returns the atoms to start from: those of the file, or a random start.

    Atoms (or centres of molecules, turned at random) are uniform in a sphere of twice the close-packed volume, drawn
    again where they come closer than `CLOSEST` contact distances.

    Args:
      structure: what was asked for.
      seed: of the random start.
      length_scale: Angstrom, typical bond; from covalent radii if None.
      attempt: after the first, another start, in which no atoms come closer than `APART` contact distances.
    """
    if structure.parts is None:
        return structure.atoms.copy()
    rng = np.random.default_rng([seed, attempt] if attempt else seed)
    closest = CLOSEST if len(structure.parts) == len(structure.atoms) and not attempt else APART
    contact = contact_radii(structure.atoms.numbers, length_scale)
    first = np.cumsum([0, *map(len, structure.parts)])
    radii = np.array([_radius(part, contact[k]) for part, k in zip(structure.parts, first[:-1], strict=True)])
    centres = random_centres(rng, radii, closest)
    placed = Atoms()
    for part, centre in zip(structure.parts, centres, strict=True):
        turned = part.copy()
        turned.positions = (part.positions - part.positions.mean(axis=0)) @ _random_rotation(rng) + centre
        placed += turned
    return placed


def random_centres(rng: np.random.Generator, radii: np.ndarray, closest: float) -> np.ndarray:
    """Draws centres `[n, 3]` uniformly in a sphere of twice the close-packed volume of spheres of given radii.

    Args:
      rng: the random stream.
      radii: `[n]` Angstrom; spheres i and j touch at `radii[i] + radii[j]`.
      closest: least distance of two centres, in contact distances; eased by a tenth where there is no room.
    """
    volume = np.sum((2.0 * radii) ** 3) / np.sqrt(2.0)
    radius = (2.0 * volume * 3.0 / (4.0 * np.pi)) ** (1.0 / 3.0)
    centres = np.zeros((len(radii), 3))
    for k in range(len(radii)):
        tries, factor = 0, closest
        while True:
            direction = rng.normal(size=3)
            centres[k] = direction / np.linalg.norm(direction) * radius * rng.random() ** (1.0 / 3.0)
            distance = np.linalg.norm(centres[:k] - centres[k], axis=1)
            if np.all(distance >= factor * (radii[:k] + radii[k])):
                break
            tries += 1
            factor *= 0.9 if tries % 1000 == 0 else 1.0
    return centres


def _read_file(text: str) -> Atoms:
    from ase.io import read

    path = file_of(text)
    if re.fullmatch(r".*@-\d+", text) and not text.endswith("@-1"):  # some formats read the first for what is before it
        _require_index(text, path)
    try:
        atoms = read(text, do_not_split_by_at_sign=str(path) == text)
        if isinstance(atoms, list) and len(atoms) == 1:
            atoms = atoms[0]
    except Exception as error:
        _require_index(text, path)
        raise ValueError(f"ASE cannot read {text}: {type(error).__name__}: {error}") from error
    if isinstance(atoms, list):
        if not atoms:
            _require_index(text, path)
        raise ValueError(f"{text} means {len(atoms)} structures, but one is needed: add @-1 for the last")
    if len(atoms) == 0:
        raise ValueError(f"{text} holds no atoms")
    atoms.calc = None
    return atoms


def _require_index(text: str, path: Path) -> None:
    """Raises ValueError where a file can be read and holds nothing at the index of `name@index`."""
    from ase.io import read

    index = text.rpartition("@")[2]
    try:
        n = 0 if str(path) == text else len(read(path, ":", do_not_split_by_at_sign=True))
    except Exception:  # noqa: BLE001  the file itself is the trouble
        return
    if n and not (re.fullmatch(r"-?\d+", index) and -n <= int(index) < n):
        numbers = "@0" if n == 1 else f"@0 to @{n - 1}"
        raise ValueError(f"{path} holds {n} structure{'s' * (n != 1)}, {numbers}, and none @{index}")


def parse_formula(text: str) -> list[Atoms]:
    """Takes a formula apart into single atoms and whole molecules."""
    from ase.build import molecule
    from ase.collections import g2

    parts: list[Atoms] = []

    def take(match: re.Match) -> str:
        name, count = match[1], int(match[2] or 1)
        if name not in g2.names:
            return match[0]
        parts.extend(molecule(name) for _ in range(count))
        return ""

    rest = re.sub(r"\((\w+)\)(\d*)", take, text)
    try:
        atoms = Atoms(str(Formula(rest, strict=True))) if rest else Atoms()
    except (ValueError, KeyError) as error:
        raise ValueError(
            f"{text!r} is neither an existing file nor a formula such as Cu38, Ag32Cu6 or (H2O)4"
        ) from error
    parts = [Atoms([number]) for number in atoms.numbers] + parts
    if not parts:
        raise ValueError(f"{text!r} holds no atoms")
    return parts


def _radius(part: Atoms, contact: float) -> float:
    if len(part) == 1:
        return float(contact)
    return float(np.linalg.norm(part.positions - part.positions.mean(axis=0), axis=1).max()) + MOLECULE_GAP


def _random_rotation(rng: np.random.Generator) -> np.ndarray:
    """Draws a rotation `[3, 3]`, uniform over all."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))[None, :]
    return q * np.linalg.det(q)
