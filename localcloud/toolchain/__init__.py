"""The programs that the embedded cloud runs, each from the first place that has it."""
