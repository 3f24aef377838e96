"""Operations on tenants, and their effects on the data."""
