"""Tenants with stacks of their own: adding several, and updating each stack among others."""
