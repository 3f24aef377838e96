"""The IAM policies of an instance's deployer."""
