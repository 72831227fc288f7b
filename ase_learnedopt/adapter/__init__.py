"""The ASE edge: optimizer classes and calculators. Layer 3, the only code below the search that imports ase."""

from .learn2hop import Learn2Hop
from .learned_hop import LearnedHop
from .learned_relax import LearnedRelax
from .optimizer import LearnedOptimizer

__all__ = ["Learn2Hop", "LearnedHop", "LearnedOptimizer", "LearnedRelax"]
