"""The way in: a network load balancer with TLS in front of the gateway's node port."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.certificate import CertificateArgs, validated_certificate
from components.config import LoadBalancerConfig
from components.options import child
from components.security_group import SecurityGroup

TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06"


@dataclass(frozen=True)
class EntranceArgs:
    """`domain` is the instance's; `load_balancer` says where it stands."""

    instance: str
    domain: str
    zone_id: pulumi.Input[str]
    allowed_cidrs: list[str]
    node_security_group_id: str
    load_balancer: LoadBalancerConfig
    tags: Mapping[str, str]


class Entrance(pulumi.ComponentResource):
    """Load balancer with the instance's name, security group, targets, and a listener that tenants attach certificates to."""

    listener_arn: pulumi.Output[str]
    dns_name: pulumi.Output[str]

    def __init__(self, name: str, args: EntranceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("opstrace:entrance:Entrance", name, None, opts)
        group = self._security_group(name, args)
        balancer = aws.lb.LoadBalancer(
            f"{name}-load-balancer",
            name=f"opstrace-{args.instance}",
            load_balancer_type="network",
            internal=args.load_balancer.internal,
            subnets=args.load_balancer.subnet_ids,
            security_groups=[group.id],
            enable_cross_zone_load_balancing=True,
            tags=dict(args.tags),
            opts=child(self),
        )
        # At the head of a zone no CNAME may stand: an alias, Route53's own (developer guide, 'Choosing between alias and
        # non-alias records'), can.
        aws.route53.Record(
            f"{name}-record",
            zone_id=args.zone_id,
            name=args.domain,
            type="A",
            aliases=[{"name": balancer.dns_name, "zone_id": balancer.zone_id, "evaluate_target_health": False}],
            opts=child(self),
        )
        targets = self._targets(name, args)
        certificate = validated_certificate(name, CertificateArgs(args.domain, args.zone_id, args.tags), self)
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
        self.register_outputs({"listener_arn": self.listener_arn, "dns_name": self.dns_name})

    def _security_group(self, name: str, args: EntranceArgs) -> SecurityGroup:
        group = SecurityGroup(
            f"{name}-security-group",
            called=f"opstrace-{args.instance}",
            description=f"Who may reach the tenant APIs of the Opstrace instance {args.instance}",
            vpc_id=args.load_balancer.vpc_id,
            tags=args.tags,
            opts=child(self),
        )
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
        port = args.load_balancer.node_port
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

    def _targets(self, name: str, args: EntranceArgs) -> aws.lb.TargetGroup:
        targets = aws.lb.TargetGroup(
            f"{name}-targets",
            # Another port needs another group, and the listener lets the old one go only for a group that is there.
            name=f"{args.instance}-{args.load_balancer.node_port}",
            port=args.load_balancer.node_port,
            protocol="TCP",
            vpc_id=args.load_balancer.vpc_id,
            target_type="instance",
            proxy_protocol_v2=True,  # the gateway sees the client's address
            # With it, a pod whose request comes back to its own node would never get an answer.
            preserve_client_ip="false",
            deregistration_delay=30,
            health_check={"protocol": "TCP", "interval": 10, "healthy_threshold": 2, "unhealthy_threshold": 2},
            tags=dict(args.tags),
            opts=child(self),
        )
        for group in args.load_balancer.autoscaling_groups:
            aws.autoscaling.Attachment(
                f"{name}-nodes-{group}",
                autoscaling_group_name=group,
                lb_target_group_arn=targets.arn,
                opts=child(self),
            )
        return targets
