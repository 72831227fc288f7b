"""The lowest structures that this project has found, one extended XYZ file per problem. Layer 4.

Each file holds energy (eV), who found it (`found_by`), how often (`found`) and the command that does it again.
"""

from importlib import resources

from ase import Atoms


def stored_minimum(name: str) -> Atoms | None:
    """Returns the lowest structure found for a problem, its energy with it; None where none is stored."""
    from ase.io import read

    source = resources.files(__package__).joinpath(f"{name}.xyz")
    if not source.is_file():
        return None
    with source.open(encoding="utf-8") as file:
        atoms = read(file, format="extxyz")
    assert isinstance(atoms, Atoms)
    return atoms
