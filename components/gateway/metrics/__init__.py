"""The metrics that the gateway pushes of itself, and those of back ends that it lets the collectors scrape."""
