"""The embedded AWS: moto's API, and the load balancer, name server and certificates that moto itself does not provide."""
