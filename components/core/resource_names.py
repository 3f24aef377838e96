"""The grammar of Pulumi's names: type tokens, URNs, and the logical names that other modules look for in the state.

They are a contract with every existing state: another type token or logical name replaces the resource. Pulumi
documents the grammar under 'Resource names' and 'URNs'.
"""

import re

PROJECT = "opstrace"  # as in Pulumi.yaml

# Our components. A token does not follow the name of its module.
COMPONENT_PREFIX = f"{PROJECT}:"
INSTANCE_TYPE = "opstrace:instance:Instance"
TRUST_STORE_TYPE = "opstrace:trust_store:TrustStore"
ENTRANCE_TYPE = "opstrace:entrance:Entrance"
GATEWAY_TYPE = "opstrace:gateway:Gateway"
TENANT_TYPE = "opstrace:tenant:Tenant"
CORTEX_TYPE = "opstrace:cortex:Cortex"
LOKI_TYPE = "opstrace:loki:Loki"
ALERTMANAGER_TYPE = "opstrace:alertmanager:Alertmanager"
COLLECTORS_TYPE = "opstrace:collectors:Collectors"

# The engine's own.
ENGINE_PREFIX = "pulumi:"
STACK_TYPE = "pulumi:pulumi:Stack"
STACK_REFERENCE_TYPE = "pulumi:pulumi:StackReference"
PROVIDER_PREFIX = "pulumi:providers:"
READ_STACK_OUTPUTS = "pulumi:pulumi:readStackOutputs"
READ_STACK_RESOURCE_OUTPUTS = "pulumi:pulumi:readStackResourceOutputs"

# Of the plugin `random`.
RANDOM_ID_TYPE = "random:index/randomId:RandomId"

# Of the plugin `aws`.
AWS_PREFIX = "aws:"
BUCKET_TYPE = "aws:s3/bucket:Bucket"
BUCKET_POLICY_TYPE = "aws:s3/bucketPolicy:BucketPolicy"
PUBLIC_ACCESS_BLOCK_TYPE = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
LIFECYCLE_TYPE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
ENCRYPTION_TYPE = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
ROLE_TYPE = "aws:iam/role:Role"
ROLE_POLICY_TYPE = "aws:iam/rolePolicy:RolePolicy"
SECRET_TYPE = "aws:secretsmanager/secret:Secret"
SECRET_VERSION_TYPE = "aws:secretsmanager/secretVersion:SecretVersion"
ZONE_TYPE = "aws:route53/zone:Zone"
RECORD_TYPE = "aws:route53/record:Record"
CERTIFICATE_TYPE = "aws:acm/certificate:Certificate"
CERTIFICATE_VALIDATION_TYPE = "aws:acm/certificateValidation:CertificateValidation"
LOAD_BALANCER_TYPE = "aws:lb/loadBalancer:LoadBalancer"
TARGET_GROUP_TYPE = "aws:lb/targetGroup:TargetGroup"
LISTENER_TYPE = "aws:lb/listener:Listener"
LISTENER_CERTIFICATE_TYPE = "aws:lb/listenerCertificate:ListenerCertificate"
ATTACHMENT_TYPE = "aws:autoscaling/attachment:Attachment"
GET_NODE_GROUP = "aws:eks/getNodeGroup:getNodeGroup"  # a function
SECURITY_GROUP_TYPE = "aws:ec2/securityGroup:SecurityGroup"
INGRESS_RULE_TYPE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS_RULE_TYPE = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"

# Of the plugin `kubernetes`.
KUBERNETES_PREFIX = "kubernetes:"
WORKLOAD_PREFIX = "kubernetes:apps/v1:"
NAMESPACE_TYPE = "kubernetes:core/v1:Namespace"
CONFIG_MAP_TYPE = "kubernetes:core/v1:ConfigMap"
SERVICE_TYPE = "kubernetes:core/v1:Service"
SERVICE_ACCOUNT_TYPE = "kubernetes:core/v1:ServiceAccount"
STATEFUL_SET_TYPE = "kubernetes:apps/v1:StatefulSet"
DEPLOYMENT_TYPE = "kubernetes:apps/v1:Deployment"
DAEMON_SET_TYPE = "kubernetes:apps/v1:DaemonSet"
NETWORK_POLICY_TYPE = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
PRIORITY_CLASS_TYPE = "kubernetes:scheduling.k8s.io/v1:PriorityClass"
CLUSTER_ROLE_TYPE = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole"
CLUSTER_ROLE_BINDING_TYPE = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding"
ADMISSION_POLICY_TYPE = "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy"
ADMISSION_BINDING_TYPE = "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicyBinding"
DISRUPTION_BUDGET_TYPE = "kubernetes:policy/v1:PodDisruptionBudget"

_TENANT = "tenant-"
_BUCKET_OF_TENANT = re.compile(rf"{_TENANT}([a-z0-9]+)-\w+-bucket")


def provider_type(package: str) -> str:
    """Return the type token of the providers of a plugin, such as `aws`."""
    return f"{PROVIDER_PREFIX}{package}"


def child_type(parent: str, token: str) -> str:
    """Return the qualified type of a resource of type `token` below a parent of the qualified type `parent`."""
    return f"{parent}${token}"


def build_urn(stack: str, qualified_type: str, name: str) -> str:
    """Return the URN of a resource of this project; `name` is its logical name."""
    return f"urn:pulumi:{stack}::{PROJECT}::{qualified_type}::{name}"


def qualified_type(urn: str) -> str:
    """Return the type token of a resource after those of its parents, with `$` between them."""
    return urn.split("::")[2]


def type_token(urn: str) -> str:
    """Return the type token of a resource without those of its parents."""
    return qualified_type(urn).rsplit("$", 1)[-1]


def logical_name(urn: str) -> str:
    """Return the name that the program gives a resource."""
    return urn.rsplit("::", 1)[-1]


def provider_reference(urn: str, identity: str | None) -> str:
    """Return how the state names a provider: its URN with its id."""
    return f"{urn}::{identity}"


def tenant_name(tenant: str) -> str:
    """Return the logical name of a user tenant's component."""
    return f"{_TENANT}{tenant}"


def tenant_of(name: str) -> str:
    """Return the tenant whose component has this logical name; the instance's own tenant has no prefix."""
    return name.removeprefix(_TENANT)


def bucket_suffix_name(component: str) -> str:
    """Return the logical name of the random end of a tenant's bucket names."""
    return f"{component}-bucket-suffix"


def bucket_name(component: str, kind: str) -> str:
    """Return the logical name of a tenant's bucket."""
    return f"{component}-{kind}-bucket"


def bucket_kind(name: str) -> str:
    """Return the kind of the bucket with this logical name, as `bucket_name` makes it."""
    return name.removesuffix("-bucket").rsplit("-", 1)[-1]


def tenant_of_bucket(name: str) -> str | None:
    """Return the user tenant whose bucket has this logical name, None for any other name."""
    match = _BUCKET_OF_TENANT.fullmatch(name)
    return match and match[1]


def bucket_part_name(component: str, kind: str, part: str) -> str:
    """Return the logical name of a resource that belongs to a bucket: `access`, `policy`, `lifecycle` or `encryption`."""
    return f"{component}-{kind}-{part}"


def config_map_name(component: str) -> str:
    """Return the logical name of a back end's ConfigMap."""
    return f"{component}-config"


def stateful_set_name(component: str) -> str:
    """Return the logical name of a back end's StatefulSet."""
    return f"{component}-stateful-set"


def attachment_name(component: str, autoscaling_group: str) -> str:
    """Return the logical name of the attachment of an autoscaling group that the settings name."""
    return f"{component}-nodes-{autoscaling_group}"


def node_group_attachment_name(component: str, node_group: str, number: int) -> str:
    """Return the logical name of the attachment of an EKS node group's autoscaling group; most have one alone."""
    return f"{component}-node-group-{node_group}" + (f"-{number + 1}" if number else "")


def program_of(name: str) -> tuple[str, str]:
    """Return the tenant's component and the program to which a ConfigMap or a StatefulSet of this logical name belongs.

    The component is '' where the name has another form.
    """
    component, _, program = name.removesuffix("-stateful-set").removesuffix("-config").rpartition("-")
    return component, program
