"""AWS on this machine: moto's API, and beside it what AWS itself would do with what the API was told."""
