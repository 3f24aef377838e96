"""The recording and alerting rules of the platform, which the system tenant's ruler evaluates."""
