"""The network load balancer, which terminates TLS in front of the gateway."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.config.load_balancer import LoadBalancerConfig
from components.core.resource_names import ENTRANCE_TYPE
from components.instance.security_group import SecurityGroup, SecurityGroupArgs
from components.instance.targets import TargetsArgs, declare_targets, target_port
from components.shared.certificate import CertificateArgs, validated_certificate
from components.shared.options import child

TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06"


@dataclass(frozen=True, kw_only=True)
class EntranceArgs:
    """The instance of the load balancer; `domain` is the instance's own, `eks_name` the EKS cluster's name if it is known."""

    instance: str
    domain: str
    zone_id: pulumi.Input[str]
    allowed_cidrs: list[str]
    node_security_group_id: str
    load_balancer: LoadBalancerConfig
    eks_name: str | None
    tags: Mapping[str, str]


class Entrance(pulumi.ComponentResource):
    """Load balancer with the instance's name, security group, targets, and a listener that tenants attach certificates to."""

    listener_arn: pulumi.Output[str]
    dns_name: pulumi.Output[str]
    serving_target_group_arn: pulumi.Output[str]

    def __init__(self, name: str, args: EntranceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(ENTRANCE_TYPE, name, None, opts)
        group = self._security_group(name, args)
        balancer = aws.lb.LoadBalancer(
            f"{name}-load-balancer",
            name=f"opstrace-{args.instance}",
            load_balancer_type="network",
            internal=args.load_balancer.internal,
            subnets=args.load_balancer.subnet_ids,
            security_groups=[group.id],
            enable_cross_zone_load_balancing=True,
            enable_deletion_protection=args.load_balancer.deletion_protection or None,
            tags=dict(args.tags),
            opts=child(self),
        )
        # DNS allows no CNAME at the top of a zone; Route 53 allows an alias record there (developer guide, 'Choosing between
        # alias and non-alias records').
        aws.route53.Record(
            f"{name}-record",
            zone_id=args.zone_id,
            name=args.domain,
            type="A",
            aliases=[{"name": balancer.dns_name, "zone_id": balancer.zone_id, "evaluate_target_health": False}],
            opts=child(self),
        )
        wanted = TargetsArgs(
            instance=args.instance, load_balancer=args.load_balancer, eks_name=args.eks_name, tags=args.tags
        )
        targets = declare_targets(name, wanted, self)
        request = CertificateArgs(domain=args.domain, zone_id=args.zone_id, tags=args.tags)
        certificate = validated_certificate(name, request, self)
        listener = aws.lb.Listener(
            f"{name}-listener",
            load_balancer_arn=balancer.arn,
            port=args.load_balancer.port,
            protocol="TLS",
            ssl_policy=TLS_POLICY,
            certificate_arn=certificate.arn,
            default_actions=[{"type": "forward", "target_group_arn": targets.arn}],
            tags=dict(args.tags),
            opts=child(self),
        )
        self.listener_arn = listener.arn
        self.dns_name = balancer.dns_name
        # Targets are checked only while a listener forwards to their group.
        self.serving_target_group_arn = pulumi.Output.all(targets.arn, listener.arn).apply(lambda arns: str(arns[0]))
        self.register_outputs({"listener_arn": self.listener_arn, "dns_name": self.dns_name})

    def _security_group(self, name: str, args: EntranceArgs) -> SecurityGroup:
        inputs = SecurityGroupArgs(
            name=f"opstrace-{args.instance}",
            description=f"Who may reach the tenant APIs of the Opstrace instance {args.instance}",
            vpc_id=args.load_balancer.vpc_id,
            tags=args.tags,
        )
        group = SecurityGroup(f"{name}-security-group", inputs, child(self))
        for cidr in args.allowed_cidrs:
            aws.vpc.SecurityGroupIngressRule(
                f"{name}-from-{cidr}",
                security_group_id=group.id,
                cidr_ipv4=cidr,
                from_port=args.load_balancer.port,
                to_port=args.load_balancer.port,
                ip_protocol="tcp",
                opts=child(self),
            )
        port = target_port(args.load_balancer)
        aws.vpc.SecurityGroupEgressRule(
            f"{name}-to-nodes",
            security_group_id=group.id,
            referenced_security_group_id=args.node_security_group_id,
            from_port=port,
            to_port=port,
            ip_protocol="tcp",
            opts=child(self),
        )
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-nodes-from-load-balancer",
            security_group_id=args.node_security_group_id,
            referenced_security_group_id=group.id,
            from_port=port,
            to_port=port,
            ip_protocol="tcp",
            opts=child(self),
        )
        return group
