"""The data that tenants with `onDelete: retain` leave behind in S3."""
