"""What verbs and the page say of tenants."""
