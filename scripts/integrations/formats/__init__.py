"""The formats of client configurations: what each is, and the content of its file."""
