"""Terminal output, and input of users: durations, scopes and files."""
