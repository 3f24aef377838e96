"""`aws-policy`."""

import re

import click

from components.config.platform.kms_keys import checked_key
from components.core.errors import UserError
from scripts.cli.options import pass_context
from scripts.context.context import Context
from scripts.instances.deployer.policy import PARTS, Part, State, document, rights, scope_of
from scripts.ui.terminal import note, stdout_json

UNBOUNDED = (
    "warning: the stack file has no aws.permissionsBoundary, so this policy permits to give a tenant's role any right; create "
    "the policy that `./opstrace aws-policy {instance} boundary` prints, and set its ARN there"
)
# Amazon S3 user guide, 'General purpose bucket naming rules'. A policy would read wildcards in a name.
BUCKET = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"


@click.command(name="aws-policy", short_help="Print the IAM policies that updates and commands need.")
@click.argument("instance")
@click.argument("part", type=click.Choice([*PARTS]))
@click.option("--state-bucket", metavar="NAME", help="The S3 bucket of Pulumi's state.")
@click.option("--state-key", metavar="ARN", help="The key of KMS that encrypts the secrets of Pulumi's state.")
@pass_context
def aws_policy(context: Context, instance: str, part: Part, state_bucket: str | None, state_key: str | None) -> None:
    """Print an IAM policy as JSON, for INSTANCE as its stack file describes it. Asks neither AWS nor the cluster.

    `network` and `data` together permit what updates and commands do in AWS, and nothing else. `boundary` is a permissions
    boundary for the roles of tenants. Create it first, and set its ARN in `aws.permissionsBoundary`.
    """
    state = _state(state_bucket, state_key)
    file = context.require_file(instance)
    file.public_keys()  # in memory alone: `create` makes the first key, so there may be none yet
    scope = scope_of(instance, file.config())
    if part == "data" and scope.permissions_boundary is None:
        note(UNBOUNDED.format(instance=instance))
    stdout_json(document(rights(part, scope, state)))


def _state(bucket: str | None, key: str | None) -> State:
    """Return where the state is; raises `UserError` where a policy could not name that."""
    if bucket and not re.fullmatch(BUCKET, bucket):
        raise UserError(f"--state-bucket: {bucket!r} is no name of a bucket; leave out s3:// and what follows the name")
    if key:
        try:
            checked_key(key)
        except ValueError as error:
            raise UserError(f"--state-key: {error}") from None
    return State(bucket, key)
