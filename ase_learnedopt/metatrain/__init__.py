"""Meta-training: learns the parameters of an optimizer on families of tasks. Layer 2, without ASE."""
