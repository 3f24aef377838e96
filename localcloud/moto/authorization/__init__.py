"""Authentication and authorization of the embedded AWS: credentials, signatures, sessions and policies."""
