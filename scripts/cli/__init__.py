"""The commands of `opstrace`: they parse arguments, call one function and print its result."""
