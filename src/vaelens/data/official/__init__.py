"""Readers of the five benchmarks' official files, and the formats that these are in."""
