"""The preflight: checks of an AWS account, its network, domain and cluster before an update, which change nothing."""
