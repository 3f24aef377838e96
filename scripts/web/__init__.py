"""The tenants page: an application of Starlette on 127.0.0.1."""
