"""Keys of KMS that S3 and Secrets Manager use as their caller."""
