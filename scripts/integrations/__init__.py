"""Client configurations: written for a tenant, and checked by the data that arrives."""
