"""Selectors of series, each with the job of the series.

Whoever may annotate a pod chooses the names and the labels of its series, but not their `job`: the collectors set it. Without
`job`, a selector would take such series for those of the platform, and they could raise alerts and hide them.
"""


def series(job: str, metric: str, *matchers: str) -> str:
    """Return the selector of a metric of a job, with further matchers such as `tenant="a"`."""
    listed = ",".join((f'job="{job}"', *matchers))
    return f"{metric}{{{listed}}}"


def recorded(name: str, *matchers: str) -> str:
    """Return the selector of what a rule records: series without `job`, which those of all targets have."""
    return series("", name, *matchers)


def of_back_end(metric: str, *matchers: str) -> str:
    """Return the selector of a metric of Cortex or Loki. Its name begins with that of the job."""
    return series(metric.partition("_")[0], metric, *matchers)
