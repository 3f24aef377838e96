"""The group `integrations`."""
