"""Checks of the network: the subnets of the load balancer, their routes and zones, and the nodes' security group."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from components.config.load_balancer import LoadBalancerConfig
from scripts.checks.finding import Finding, error, or_ok, warning
from scripts.checks.subject import Subject, zone_of
from scripts.clients.aws import is_code

FREE_ADDRESSES = 8  # Elastic Load Balancing, 'Network Load Balancers': of each subnet
SUBNETS, GROUP = "subnets", "security group"
SETTING = "opstrace:loadBalancer.subnetIds"


def find_subnets(subject: Subject) -> list[Finding]:
    """Check the subnets of the load balancer against its VPC, its scheme and the zones of the nodes."""
    balancer = subject.config.load_balancer
    try:
        subnets = subject.account.ask("ec2", "describe_subnets", SubnetIds=balancer.subnet_ids)["Subnets"]
    except ClientError as refused:
        if not is_code(refused, "InvalidSubnetID.NotFound", "InvalidSubnetID.Malformed"):
            raise
        message = refused.response["Error"]["Message"]
        return [error(SUBNETS, message, f"correct {SETTING}, or the region and the account")]
    filters = [{"Name": "vpc-id", "Values": [balancer.vpc_id]}]
    tables = subject.account.ask("ec2", "describe_route_tables", Filters=filters)["RouteTables"]
    zones = {*filter(None, map(zone_of, subject.nodes))}
    found = [
        *subnet_findings(balancer, subnets),
        *route_findings(balancer, subnets, tables),
        *zone_findings(subnets, zones),
    ]
    return or_ok(found, SUBNETS, f"{', '.join(sorted(subnet['AvailabilityZone'] for subnet in subnets))}")


def subnet_findings(balancer: LoadBalancerConfig, subnets: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """Return what is wrong with the subnets themselves."""
    found, seen = [], dict[str, str]()
    for subnet in subnets:
        identity, zone = subnet["SubnetId"], subnet["AvailabilityZone"]
        if subnet["VpcId"] != balancer.vpc_id:
            message = f"{identity} is in {subnet['VpcId']}, but opstrace:loadBalancer.vpcId is {balancer.vpc_id}"
            found.append(error(SUBNETS, message, "name the VPC of the cluster and its subnets"))
        if zone in seen:
            message = f"{seen[zone]} and {identity} are both in {zone}, but a load balancer takes one subnet of a zone"
            found.append(error(SUBNETS, message, f"remove one of them from {SETTING}"))
        seen.setdefault(zone, identity)
        if subnet["AvailableIpAddressCount"] < FREE_ADDRESSES:
            message = f"{identity} has {subnet['AvailableIpAddressCount']} free addresses; a load balancer needs {FREE_ADDRESSES}"
            found.append(error(SUBNETS, message, "name a larger subnet of that zone, or free addresses"))
    return found


def route_findings(
    balancer: LoadBalancerConfig, subnets: Iterable[Mapping[str, Any]], tables: Sequence[Mapping[str, Any]]
) -> list[Finding]:
    """Return which subnets have the wrong routes: a load balancer with public addresses needs an internet gateway."""
    found = []
    for subnet in subnets:
        public, identity = _is_public(_table_of(subnet["SubnetId"], tables)), subnet["SubnetId"]
        if not public and not balancer.internal:
            message = f"{identity} has no route to an internet gateway, so nobody outside of the VPC reaches the load balancer"
            found.append(error("routes", message, "name a public subnet of that zone, or set `internal: true`"))
        elif public and balancer.internal:
            message = f"{identity} is public, but the load balancer is internal"
            found.append(warning("routes", message, "name a private subnet of that zone"))
    return found


def _table_of(subnet: str, tables: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the route table of a subnet: the one that names it, else the main one of the VPC."""
    for table in tables:
        if any(entry.get("SubnetId") == subnet for entry in table.get("Associations", [])):
            return table
    main = (table for table in tables if any(entry.get("Main") for entry in table.get("Associations", [])))
    return next(main, {})


def _is_public(table: Mapping[str, Any]) -> bool:
    return any(
        route.get("DestinationCidrBlock") == "0.0.0.0/0" and str(route.get("GatewayId", "")).startswith("igw-")
        for route in table.get("Routes", [])
    )


def zone_findings(subnets: Iterable[Mapping[str, Any]], node_zones: Collection[str]) -> list[Finding]:
    """Return which zones of nodes have no subnet: a load balancer sends no requests to targets there."""
    missing = sorted({*node_zones} - {subnet["AvailabilityZone"] for subnet in subnets})
    if not missing:
        return []
    message, remedy = (
        f"nodes are in {', '.join(missing)}, where the load balancer has no subnet",
        f"add one to {SETTING}",
    )
    if len(missing) == len(node_zones):
        return [error("zones", f"{message}, so it has no target at all", remedy)]
    return [warning("zones", f"{message}, so these nodes get no requests from it", remedy)]


def find_security_group(subject: Subject) -> list[Finding]:
    """Check the security group of the nodes, which gets a rule for the load balancer."""
    identity = subject.config.cluster.node_security_group_id
    try:
        (group,) = subject.account.ask("ec2", "describe_security_groups", GroupIds=[identity])["SecurityGroups"]
    except ClientError as refused:
        if not is_code(refused, "InvalidGroup.NotFound", "InvalidGroupId.Malformed", "InvalidGroupId.NotFound"):
            raise
        return [error(GROUP, f"there is no security group {identity}", "correct opstrace:cluster.nodeSecurityGroupId")]
    return security_group_findings(group, subject.config.load_balancer.vpc_id, subject.node_instances)


def security_group_findings(
    group: Mapping[str, Any], vpc: str, instances: Iterable[Mapping[str, Any]]
) -> list[Finding]:
    """Return what the security group means for the instances of the nodes."""
    identity, setting = group["GroupId"], "opstrace:cluster.nodeSecurityGroupId"
    if group["VpcId"] != vpc:
        message = f"{identity} is in {group['VpcId']}, but opstrace:loadBalancer.vpcId is {vpc}"
        return [error(GROUP, message, f"correct {setting} or vpcId")]
    members = {one["InstanceId"]: {entry["GroupId"] for entry in one["SecurityGroups"]} for one in instances}
    without = [instance for instance, groups in members.items() if identity not in groups]
    if without:
        message = f"the nodes {', '.join(without)} do not have {identity}, so the load balancer does not reach them"
        level = error if len(without) == len(members) else warning
        return [level(GROUP, message, f"set {setting} to a group that all nodes have")]
    return or_ok([], GROUP, f"{identity}, of all nodes")
