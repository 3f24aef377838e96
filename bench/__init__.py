"""Benchmarks. Each is a module that prints a table, and fails where a figure misses its limit."""
