"""What an instance trusts: its public keys, and the list of revoked tokens."""
