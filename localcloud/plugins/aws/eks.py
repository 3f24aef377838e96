"""The function of EKS: the autoscaling groups of a managed node group."""

from localcloud.plugins.aws.api import AwsApi
from localcloud.plugins.provider import Properties


def node_group(api: AwsApi, arguments: Properties) -> Properties:
    """Return a node group as `aws.eks.getNodeGroup` does, without the parts that no program here reads."""
    names = {"clusterName": arguments["clusterName"], "nodegroupName": arguments["nodeGroupName"]}
    group = api.eks.describe_nodegroup(**names)["nodegroup"]
    groups = group.get("resources", {}).get("autoScalingGroups", [])
    return {
        **arguments,
        "id": f"{arguments['clusterName']}:{arguments['nodeGroupName']}",
        "arn": group["nodegroupArn"],
        "status": group["status"],
        "resources": [{"autoscalingGroups": [{"name": entry["name"]} for entry in groups]}],
    }
