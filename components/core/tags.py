"""The keys of tags in AWS and of labels and annotations in Kubernetes.

They are a contract with existing resources: the tools find an instance's buckets and objects by them.
"""

# Tags in AWS.
OWN_PREFIX = "opstrace:"
RESERVED_PREFIX = "aws:"  # AWS's own (AWS General Reference, 'Tag naming limits')
INSTANCE_TAG = "opstrace:instance"
TENANT_TAG = "opstrace:tenant"
OWNER_TAG = "opstrace:owner"
KIND_TAG = "opstrace:kind"  # of a bucket
RETENTION_TAG = "opstrace:retention-days"  # of a bucket; it outlives the tenant with the bucket
FORMER_KEY_TAG = (
    "opstrace:former-kms-key-"  # and a number; of a bucket, with the ARN of a key that some objects may have
)
PURGING_TAG = "opstrace:purging"  # of a bucket whose deletion has begun
ADOPTING_TAG = "opstrace:adopting"  # of a bucket that is being given back to its tenant

# Labels recommended by Kubernetes (kubernetes.io, 'Recommended Labels').
NAME_LABEL = "app.kubernetes.io/name"
COMPONENT_LABEL = "app.kubernetes.io/component"
INSTANCE_LABEL = "app.kubernetes.io/instance"
PART_OF_LABEL = "app.kubernetes.io/part-of"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"

# Our own labels and annotations.
TENANT_LABEL = "opstrace/tenant"
OWNER_ANNOTATION = "opstrace/owner"
SKIP_AWAIT_ANNOTATION = "pulumi.com/skipAwait"  # of Pulumi: an update does not wait for the object
CONFIG_ANNOTATION = "opstrace/config"  # a hash of the configuration: another one replaces the pods
