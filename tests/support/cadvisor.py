"""Metrics of many containers, as cAdvisor exposes them."""

OF_A_CONTAINER = 50
NAMESPACES = 20


def exposition(series: int) -> str:
    """Return so many series with labels as cAdvisor's (about 300 bytes each)."""
    lines = []
    for metric in range(OF_A_CONTAINER):
        name = f"container_bench_{metric}_total"
        lines.append(f"# HELP {name} A counter.\n# TYPE {name} counter")
        for container in range(series // OF_A_CONTAINER):
            digits = f"{container:032x}"
            labels = f'container="web",id="/kubepods/burstable/pod{digits}/{digits}{digits}",'
            labels += f'image="registry.example.com/shop/web:1.2.{container}",name="{digits}{digits}",'
            labels += f'namespace="shop-{container % NAMESPACES}",pod="web-{digits[-10:]}-{container:05}"'
            lines.append(f"{name}{{{labels}}} {container + metric}.5")
    return "\n".join([*lines, ""])
