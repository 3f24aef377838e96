"""Key pairs and tokens: signing, reading and verifying tokens, and the ledger of issued tokens."""
