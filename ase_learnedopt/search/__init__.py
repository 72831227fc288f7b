"""Searches from the command line or a script: inputs, runs, databases of minima. Layer 4."""

from .minima import MinimaDatabase, Minimum
from .run import SearchResult, search

__all__ = ["MinimaDatabase", "Minimum", "SearchResult", "search"]
