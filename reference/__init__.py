"""Reference pages that are generated from the code: the commands from click, the stack file from its JSON schema."""
