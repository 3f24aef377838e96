"""Changes that the page makes: each runs a service of the commands in a thread, and any browser follows it."""
