"""Servers, clients, mocks and factories for the tests."""
