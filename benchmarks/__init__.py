"""Ratios measured side by side in one run: `make benchmarks` prints the only figures that the documentation quotes."""
