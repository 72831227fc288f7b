"""Configs of training that the package ships: `ase-learnedopt train run NAME` makes the weights anew."""
