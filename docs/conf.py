"""Sphinx configuration: `sphinx-build -W docs docs/_build`."""

from ase_learnedopt import __version__

project = "ase-learnedopt"
author = copyright = "The ase_learnedopt developers"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "claims"]
html_theme = "furo"
html_title = "ase-learnedopt"
html_static_path = ["_static"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
nitpicky = False
