"""The rights in AWS that an instance's updates and commands need, as statements of an IAM policy, by service.

Names of actions: Service Authorization Reference. They differ from the operations of S3's API. Where AWS lets a policy
name resources, a statement names the instance's: by their names, or by their tag `opstrace:instance`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components.core.names import alerts_role_name, role_name, secret_prefix
from components.core.tags import INSTANCE_TAG

ELB = "elasticloadbalancing"
ELB_ROLE = f"{ELB}.amazonaws.com"
Condition = Mapping[str, Mapping[str, str | list[str]]]


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Where a deployer works.

    Attributes:
        domain: The instance's own domain.
        eks_name: The name of the EKS cluster; None where it is not known.
        role_path: The path of the roles of tenants.
        permissions_boundary: The ARN of the policy that bounds these roles, if there is one.
        bucket_keys: The ARNs of the keys of KMS by which objects may be encrypted.
        secrets_key: The ARN of the key of the secrets, if it is not AWS's own.
    """

    instance: str
    domain: str
    account: str
    region: str
    vpc_id: str
    node_security_group_id: str
    oidc_provider_arn: str
    eks_name: str | None
    role_path: str = "/"
    permissions_boundary: str | None = None
    bucket_keys: tuple[str, ...] = ()
    secrets_key: str | None = None

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource in the account and region."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"


@dataclass(frozen=True)
class Right:
    """A statement of the policy: `why` says in words what it is for, and what limits it."""

    sid: str
    why: str
    actions: tuple[str, ...]
    resources: tuple[str, ...] = ("*",)
    condition: Condition | None = None

    def plain(self) -> dict[str, Any]:
        """Return the statement as a JSON value."""
        statement = {"Sid": self.sid, "Effect": "Allow", "Action": [*self.actions], "Resource": [*self.resources]}
        return statement | ({"Condition": self.condition} if self.condition else {})


def _actions(service: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{service}:{name}" for name in names)


def reading(_: Scope) -> list[Right]:
    """Return the rights to look at what policies cannot name."""
    attributes = ("ListenerAttributes", "LoadBalancerAttributes", "TargetGroupAttributes")
    balancing = ("CapacityReservation", "ListenerCertificates", "Listeners", "LoadBalancers", "Tags", "TargetGroups")
    network = ("InternetGateways", "NetworkInterfaces", "RouteTables", "SecurityGroupRules", "SecurityGroups")
    places = ("AccountAttributes", "AvailabilityZones", "Instances", "Regions", "Subnets", "Vpcs")
    return [
        Right(
            "Look",
            "Operations that only read. AWS limits most of them to no resource; certificates are public.",
            (
                *_actions("acm", "DescribeCertificate", "ListCertificates", "ListTagsForCertificate"),
                "autoscaling:DescribeAutoScalingGroups",
                *_actions("ec2", *(f"Describe{name}" for name in sorted(network + places))),
                "eks:DescribeClusterVersions",
                *_actions(ELB, *(f"Describe{name}" for name in sorted((*attributes, *balancing, "TargetHealth")))),
                "iam:GetAccountSummary",
                "route53:ListHostedZonesByName",
                "s3:ListAllMyBuckets",
                "servicequotas:ListServiceQuotas",
            ),
        )
    ]


def cluster(scope: Scope) -> list[Right]:
    """Return the rights to look at the cluster's identity provider, and at the EKS cluster where its name is known."""
    provider = Right(
        "IdentityProvider",
        "The identity provider of the cluster, which `check` compares with the issuer.",
        ("iam:GetOpenIDConnectProvider",),
        (scope.oidc_provider_arn,),
    )
    if scope.eks_name is None:
        return [provider]
    kinds = (f"cluster/{scope.eks_name}", f"fargateprofile/{scope.eks_name}/*", f"nodegroup/{scope.eks_name}/*")
    return [
        provider,
        Right(
            "Cluster",
            "The cluster, its node groups and Fargate profiles; `aws eks update-kubeconfig` reads the cluster.",
            _actions("eks", "DescribeCluster", "DescribeFargateProfile", "DescribeNodegroup", "ListFargateProfiles"),
            tuple(scope.arn("eks", kind) for kind in kinds),
        ),
    ]


def storage(scope: Scope) -> list[Right]:
    """Return the rights on buckets; none reads or writes an object."""
    bucket = f"arn:aws:s3:::{scope.instance}-*"
    access = ("BucketPolicy", "BucketPublicAccessBlock", "EncryptionConfiguration", "LifecycleConfiguration")
    # The official plugin reads these at each refresh of a bucket.
    of_bucket = ("Acl", "CORS", "Logging", "ObjectLockConfiguration", "RequestPayment", "Versioning", "Website")
    settings = (*(f"Bucket{name}" for name in of_bucket), "AccelerateConfiguration", "ReplicationConfiguration")
    listing = ("ListBucket", "ListBucketMultipartUploads", "ListBucketVersions", "ListTagsForResource")
    return [
        Right(
            "Buckets",
            "The buckets of tenants, whose names begin with that of the instance.",
            (
                *_actions("s3", "CreateBucket", "DeleteBucket", "DeleteBucketPolicy", *listing),
                *_actions("s3", *(f"Get{name}" for name in sorted((*access, *settings, "BucketTagging")))),
                *_actions("s3", *(f"Put{name}" for name in (*access, "BucketTagging")), "TagResource", "UntagResource"),
            ),
            (bucket,),
        ),
        Right(
            "PurgeObjects",
            "Deletes the objects of a tenant whose data is purged. No right reads or writes objects.",
            _actions("s3", "AbortMultipartUpload", "DeleteObject", "DeleteObjectVersion"),
            (f"{bucket}/*",),
        ),
    ]


def roles(scope: Scope) -> list[Right]:
    """Return the rights on roles, which create none without the permissions boundary where one is set."""
    iam = f"arn:aws:iam::{scope.account}:role"
    names = [name(scope.instance, "*") for name in (role_name, alerts_role_name)]
    own = tuple(f"{iam}{scope.role_path}{name}" for name in names)
    missing = tuple(f"{iam}/{name}" for name in names)  # a role that does not exist has no path
    granting = _actions("iam", "CreateRole", "PutRolePermissionsBoundary", "PutRolePolicy")
    bound: Condition | None = None
    if scope.permissions_boundary:
        bound = {"StringEquals": {"iam:PermissionsBoundary": scope.permissions_boundary}}
    else:
        granting += ("iam:DeleteRolePermissionsBoundary",)
    reads = ("GetRole", "GetRolePolicy", "ListAttachedRolePolicies", "ListInstanceProfilesForRole", "ListRolePolicies")
    changes = ("TagRole", "UntagRole", "UpdateAssumeRolePolicy", "UpdateRole", "UpdateRoleDescription")
    return [
        Right(
            "Roles",
            "The roles of tenants, by path and name. For a role that is missing, AWS asks for the right without the path.",
            _actions("iam", "DeleteRole", "DeleteRolePolicy", *reads, *changes),
            tuple(dict.fromkeys(own + missing)),
        ),
        Right(
            "GrantToRoles",
            "Creates these roles and their policies, with the permissions boundary alone where the stack file has one.",
            granting,
            own,
            bound,
        ),
        Right(
            "LoadBalancingRole",
            "AWS creates this role with the first load balancer of the account.",
            ("iam:CreateServiceLinkedRole",),
            (f"{iam}/aws-service-role/{ELB_ROLE}/AWSServiceRoleForElasticLoadBalancing",),
            {"StringEquals": {"iam:AWSServiceName": ELB_ROLE}},
        ),
    ]


def secrets(scope: Scope) -> list[Right]:
    """Return the rights on the secrets with public keys."""
    changes = ("CreateSecret", "DeleteSecret", "PutSecretValue", "TagResource", "UntagResource", "UpdateSecret")
    reads = ("DescribeSecret", "GetResourcePolicy", "GetSecretValue", "ListSecretVersionIds")
    return [
        Right(
            "Secrets",
            "The secrets with public keys and their limits, by name.",
            _actions("secretsmanager", *sorted((*changes, *reads, "UpdateSecretVersionStage"))),
            (scope.arn("secretsmanager", f"secret:{secret_prefix(scope.instance)}*"),),
        )
    ]


def domain_names(scope: Scope) -> list[Right]:
    """Return the rights on the zone, its records and its delegation; a zone's id is unknown before it exists."""
    zones = "arn:aws:route53:::hostedzone/*"
    names = [scope.domain, f"*.{scope.domain}"]
    reads = ("GetHostedZone", "GetHostedZoneLimit", "ListResourceRecordSets", "ListTagsForResource")
    return [
        Right("CreateZone", "Creates the zone. AWS limits this to no name.", ("route53:CreateHostedZone",)),
        Right(
            "Zones",
            "All zones, because ids are random. AWS deletes no zone that has records.",
            _actions("route53", "ChangeTagsForResource", "DeleteHostedZone", *reads, "UpdateHostedZoneComment"),
            (zones,),
        ),
        Right("ZoneChanges", "Whether a change is in effect.", ("route53:GetChange",), ("arn:aws:route53:::change/*",)),
        Right(
            "Records",
            "Records of the instance's names, also the delegation in the parent zone.",
            ("route53:ChangeResourceRecordSets",),
            (zones,),
            {"ForAllValues:StringLike": {"route53:ChangeResourceRecordSetsNormalizedRecordNames": names}},
        ),
    ]


def certificates(scope: Scope) -> list[Right]:
    """Return the rights on certificates, for the instance's names alone."""
    tag = {f"aws:RequestTag/{INSTANCE_TAG}": scope.instance}
    names = [scope.domain, f"*.{scope.domain}"]
    return [
        Right(
            "RequestCertificates",
            "Certificates with the instance's tag, for its names.",
            _actions("acm", "AddTagsToCertificate", "RequestCertificate"),
            ("*",),
            {"StringEquals": tag, "ForAllValues:StringLike": {"acm:DomainNames": names}},
        ),
        Right(
            "Certificates",
            "Certificates that have the instance's tag.",
            _actions("acm", "AddTagsToCertificate", "DeleteCertificate", "RemoveTagsFromCertificate"),
            (scope.arn("acm", "certificate/*"),),
            _of_instance(scope),
        ),
    ]


def _of_instance(scope: Scope) -> Condition:
    return {"StringEquals": {f"aws:ResourceTag/{INSTANCE_TAG}": scope.instance}}


def network(scope: Scope) -> list[Right]:
    """Return the rights on security groups: the instance's own, and the rules of the nodes' group."""
    groups = scope.arn("ec2", "security-group/*")
    vpc = f"arn:aws:ec2:{scope.region}:*:vpc/{scope.vpc_id}"  # another account may own it, and share its subnets
    ingress = ("AuthorizeSecurityGroupIngress", "ModifySecurityGroupRules", "RevokeSecurityGroupIngress")
    egress = ("AuthorizeSecurityGroupEgress", "RevokeSecurityGroupEgress")
    return [
        Right(
            "CreateSecurityGroup",
            "A security group with the instance's tag.",
            ("ec2:CreateSecurityGroup",),
            (groups,),
            {"StringEquals": {f"aws:RequestTag/{INSTANCE_TAG}": scope.instance}},
        ),
        Right(
            "TagSecurityGroup",
            "Tags of that security group, while it is created.",
            ("ec2:CreateTags",),
            (groups,),
            {"StringEquals": {"ec2:CreateAction": "CreateSecurityGroup"}},
        ),
        Right(
            "Vpc",
            "The VPC of the load balancer and its security group.",
            _actions("ec2", "CreateSecurityGroup", "GetSecurityGroupsForVpc"),
            (vpc,),
        ),
        Right(
            "SecurityGroups",
            "Security groups that have the instance's tag.",
            _actions("ec2", "CreateTags", "DeleteSecurityGroup", "DeleteTags", *ingress, *egress),
            (groups,),
            _of_instance(scope),
        ),
        Right(
            "NodeSecurityGroup",
            "The rule that admits the load balancer, in the security group of the nodes.",
            _actions("ec2", *ingress),
            (scope.arn("ec2", f"security-group/{scope.node_security_group_id}"),),
        ),
        Right(
            "SecurityGroupRules",
            "Rules, of the groups above alone: AWS asks for the right on the group, too.",
            _actions("ec2", egress[0], *ingress[:2]),
            (scope.arn("ec2", "security-group-rule/*"),),
        ),
    ]


def of_tenants(scope: Scope) -> list[Right]:
    """Return what the permissions boundary of tenants' roles must allow: all that any of these roles may do."""
    bucket = f"arn:aws:s3:::{scope.instance}-*"
    own: Condition = {"StringEquals": {"aws:ResourceAccount": scope.account}}
    objects = _actions("s3", "AbortMultipartUpload", "DeleteObject", "GetObject", "PutObject")
    listing, using = _actions("s3", "GetBucketLocation", "ListBucket"), _actions("kms", "Decrypt", "GenerateDataKey")
    return [
        Right("ListBuckets", "The buckets of tenants, in this account alone.", listing, (bucket,), own),
        Right("Objects", "The objects of tenants.", objects, (f"{bucket}/*",), own),
        *(
            [Right("BucketKeys", "S3 encrypts objects by these keys.", using, scope.bucket_keys)]
            if scope.bucket_keys
            else []
        ),
    ]


def load_balancing(scope: Scope) -> list[Right]:
    """Return the rights on the load balancer, its listener and its targets."""
    name, targets = f"net/opstrace-{scope.instance}/*", scope.arn(ELB, f"targetgroup/{scope.instance}-*")
    setting = ("SetIpAddressType", "SetSecurityGroups", "SetSubnets")
    kinds = ("Listener", "LoadBalancer", "TargetGroup")
    changes = [f"{verb}{kind}" for verb in ("Create", "Delete") for kind in kinds]
    changes += [f"Modify{kind}" for kind in ("Listener", "TargetGroup", *(f"{kind}Attributes" for kind in kinds))]
    listeners = ("AddListenerCertificates", "RemoveListenerCertificates")
    attached = {"autoscaling:TargetGroupARNs": [targets]}
    return [
        Right(
            "LoadBalancing",
            "The load balancer, its listener and target groups, by name.",
            _actions(ELB, "AddTags", "RemoveTags", *listeners, *sorted(changes), *setting),
            (scope.arn(ELB, f"loadbalancer/{name}"), scope.arn(ELB, f"listener/{name}"), targets),
        ),
        Right(
            "AutoScaling",
            "Attaches these target groups to autoscaling groups of the nodes. AWS names groups of node groups at random.",
            _actions("autoscaling", "AttachLoadBalancerTargetGroups", "DetachLoadBalancerTargetGroups"),
            (scope.arn("autoscaling", "autoScalingGroup:*"),),
            {"ForAllValues:ArnLike": attached},
        ),
    ]
