"""The resources of a tenant, and the effects of a change on them and on the data."""
