"""GFN-xTB by tblite, which forgets the density of a cycle that did not converge. Layer 4; needs the extra `[xtb]`."""

from typing import Any

from tblite.ase import TBLite


class XTB(TBLite):
    """Calculates as `tblite.ase.TBLite` does, and begins afresh after a failure.

    The other one begins the next calculation with the density that the failed one has left. In a search failures then
    follow each other, or a cycle converges to energies of minus a billion eV.

    Raises:
      ase.calculators.calculator.CalculationFailed: from `calculate`, where the cycle does not converge.
    """

    def calculate(self, *args: Any, **kwargs: Any) -> None:
        """Calculates, see `tblite.ase.TBLite.calculate`."""
        try:
            super().calculate(*args, **kwargs)
        except Exception:
            parameters: Any = self.parameters
            keep, parameters.cache_api = parameters.cache_api, False
            self.reset()  # which without a cache forgets everything
            parameters.cache_api = keep
            raise
