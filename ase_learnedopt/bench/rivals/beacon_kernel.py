"""The kernel of BEACON, of energies and forces with a squared exponential, without its loop over pairs of structures.

ase-gpatom calls five functions of small arrays for every pair, most of the time that BEACON takes. Here all structures
are done at once, and the products of their fingerprints, which do not change with the hyperparameters, are kept.
"""

import numpy as np


def fast_kernel():
    """Returns a kernel for `gpatom.gpfp.gp.GaussianProcess` with the numbers of its `FPKernel`, but for rounding."""
    from gpatom.gpfp.kernel import FPKernel

    class FastKernel(FPKernel):
        """Keeps what belongs to the structures asked for last."""

        def __init__(self):
            super().__init__("sqexp")
            self._known, self._features, self._products = [], None, None

        def kernel_matrix(self, X):
            features = self._of(X)
            if self._products is None:
                self._products = features.products(features)
            return self._assemble(*self._products)

        def kernel_vector(self, x, X):
            return self._assemble(*_Features([x]).products(self._of(X)))

        def _of(self, structures):
            known = self._known
            if len(known) != len(structures) or any(a is not b for a, b in zip(known, structures, strict=True)):
                self._known, self._features, self._products = list(structures), _Features(structures), None
            return self._features

        def _assemble(self, square, here, there, both):
            """Returns the matrix from the products of `_Features.products`."""
            inverse = 1.0 / self.kerneltype.scale**2
            value = self.kerneltype.weight**2 * np.exp(-0.5 * inverse * square)
            n, m = value.shape
            slope = inverse * value[:, :, None]
            matrix = np.empty((n, 1 + here.shape[2], m, 1 + there.shape[2]))
            matrix[:, 0, :, 0] = value
            matrix[:, 1:, :, 0] = np.swapaxes(-slope * here, 1, 2)
            matrix[:, 0, :, 1:] = -slope * there
            bend = inverse * here[:, :, :, None] * there[:, :, None, :] + both
            matrix[:, 1:, :, 1:] = np.swapaxes(slope[..., None] * bend, 1, 2)
            return matrix.reshape(n * matrix.shape[1], -1)

    return FastKernel()


class _Features:
    """Holds the fingerprints of n structures, `vectors` `[n, n_features]`, `gradients` `[n, 3 n_atoms, n_features]`."""

    def __init__(self, structures):
        self.vectors = np.stack([one.vector for one in structures])
        gradients = [one.reduce_coord_gradients() for one in structures]  # [n_atoms, n_features, 3]
        self.gradients = np.stack([np.swapaxes(g, 1, 2).reshape(-1, g.shape[1]) for g in gradients])

    def products(self, other):
        """Returns what the kernel between these n and other m structures is made of, whatever its hyperparameters.

        Returns:
          square: `[n, m]` squared distances.
          here: `[n, m, 3 n_atoms]` their derivatives by the coordinates of these, halved.
          there: likewise by those of the others.
          both: `[n, m, 3 n_atoms, 3 n_atoms]` minus the derivative by one and the other, halved.
        """
        difference = self.vectors[:, None] - other.vectors[None]
        here = np.einsum("nmf,ncf->nmc", difference, self.gradients, optimize=True)
        there = -np.einsum("nmf,mcf->nmc", difference, other.gradients, optimize=True)
        (n, c, features), (m, d, _) = self.gradients.shape, other.gradients.shape
        both = (self.gradients.reshape(-1, features) @ other.gradients.reshape(-1, features).T).reshape(n, c, m, d)
        return np.sum(difference**2, axis=2), here, there, np.swapaxes(both, 1, 2)
