"""The lifecycle rules of buckets: a net below the retention that the compactors enforce, never shorter than that."""

# A compacted object is younger than the data in it, and a compactor that stands still has time to be mended.
SAFETY_DAYS = 30
UPLOAD_DAYS = 7  # until an upload that nobody finishes goes
