"""Data of tenants and of the instance that the page shows: queries, their plots, and why there are none."""
