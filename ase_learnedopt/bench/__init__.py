"""Problems, methods and protocol of the benchmark. Layer 4."""
