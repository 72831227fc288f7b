"""The experiments of the papers this package is made after, each as one command. Layer 4."""
