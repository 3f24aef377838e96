"""The programs that the embedded cloud runs, each from the first source that can provide it."""
