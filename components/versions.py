"""The images that the program runs; the embedded cloud makes the same ones from the same versions."""

CORTEX_IMAGE = "quay.io/cortexproject/cortex:v1.21.1"
LOKI_IMAGE = "docker.io/grafana/loki:3.7.8"
ENVOY_IMAGE = "docker.io/envoyproxy/envoy:v1.40.0"
