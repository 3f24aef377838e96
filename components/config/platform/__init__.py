"""The settings by which an instance follows the rules of a platform: its registries, its nodes, its AWS account."""
