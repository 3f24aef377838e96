"""Corrections of moto's Auto Scaling where it differs from AWS in a way that users would notice."""

from typing import Any

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import AutoScalingBackend


def knowing_its_groups(call: Any) -> Any:
    """Refuse a call about a group that does not exist; moto answers with a traceback.

    Source: Auto Scaling API reference, 'Common errors'; the text is that of its other calls.
    """

    def called(backend: AutoScalingBackend, group_name: str, target_group_arns: list[str]) -> Any:
        if group_name not in backend.autoscaling_groups:
            raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup '{group_name}' not found")
        return call(backend, group_name, target_group_arns)

    return called
