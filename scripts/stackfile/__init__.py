"""Stack files: reading and editing them with their comments kept."""
