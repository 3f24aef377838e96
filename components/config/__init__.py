"""The settings of a stack file: types, checks, error texts and the JSON schema."""
