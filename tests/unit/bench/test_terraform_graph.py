"""The configuration for Terraform has the graph of the state: types, arguments, references and dependencies."""

from typing import Any

from bench.terraform_graph import configuration
from components.core.resource_names import (
    BUCKET_TYPE,
    CERTIFICATE_TYPE,
    ENCRYPTION_TYPE,
    INSTANCE_TYPE,
    LIFECYCLE_TYPE,
    NAMESPACE_TYPE,
    RECORD_TYPE,
    SECRET_TYPE,
    TENANT_TYPE,
    ZONE_TYPE,
    build_urn,
    child_type,
    logical_name,
    type_token,
)
from components.core.tags import INSTANCE_TAG
from tests.support.factories import kms_key

BUCKET = build_urn("x", child_type(TENANT_TYPE, BUCKET_TYPE), "tenant-a-metrics-bucket")
RULES = BUCKET.replace(BUCKET_TYPE, LIFECYCLE_TYPE)
CERTIFICATE = build_urn("x", child_type(TENANT_TYPE, CERTIFICATE_TYPE), "tenant-a-certificate")
RECORD = build_urn("x", child_type(TENANT_TYPE, RECORD_TYPE), "tenant-a-validation-record")
ZONE = build_urn("x", child_type(INSTANCE_TYPE, ZONE_TYPE), "instance-zone")
SPACE = build_urn("x", child_type(TENANT_TYPE, NAMESPACE_TYPE), "tenant-a-namespace")


def resource(urn: str, inputs: dict[str, Any], *needed: str, **outputs: Any) -> dict[str, Any]:
    kind = type_token(urn)
    identity = f"id-of-{logical_name(urn)}"
    return {
        "urn": urn,
        "type": kind,
        "custom": True,
        "id": identity,
        "inputs": inputs,
        "outputs": outputs,
        "dependencies": [*needed, "urn:of:a:component"],
    }


def test_a_resource_of_aws_has_terraform_s_names_and_refers_to_what_it_needs() -> None:
    tags = {INSTANCE_TAG: "x", "camelCase": "stays"}
    rule = {"id": "all", "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7}, "filter": {"prefix": ""}}
    needed = "id-of-tenant-a-metrics-bucket"
    resources = configuration(
        [
            {"urn": "urn:component", "type": TENANT_TYPE},
            resource(BUCKET, {"__defaults": [], "bucket": "literal", "region": "us-west-2", "tags": tags}),
            resource(RULES, {"bucket": needed, "rules": [rule], "note": f"{needed}/* ${{kept}}"}, BUCKET),
        ]
    )
    assert resources["aws_s3_bucket"] == {"tenant_a_metrics_bucket": {"bucket": "literal", "tags": tags}}
    reference = "${aws_s3_bucket.tenant_a_metrics_bucket.id}"
    assert resources["aws_s3_bucket_lifecycle_configuration"]["tenant_a_metrics_bucket"] == {
        "bucket": reference,
        "rule": [
            {"id": "all", "abort_incomplete_multipart_upload": {"days_after_initiation": 7}, "filter": {"prefix": ""}}
        ],
        "note": f"{reference}/* $${{kept}}",
        "depends_on": ["aws_s3_bucket.tenant_a_metrics_bucket"],
    }


def test_the_record_that_validates_a_certificate_is_named_by_it() -> None:
    option = {"resourceRecordName": "_a.example.com.", "resourceRecordValue": "_b.example.com."}
    resources = configuration(
        [
            resource(CERTIFICATE, {"domainName": "example.com"}, arn="arn:c", domainValidationOptions=[option]),
            resource(RECORD, {"name": "_a.example.com", "records": ["_b.example.com."]}, CERTIFICATE),
        ]
    )
    options = "tolist(aws_acm_certificate.tenant_a_certificate.domain_validation_options)[0]"
    record = resources["aws_route53_record"]["tenant_a_validation_record"]
    assert record["name"] == f"${{{options}.resource_record_name}}"
    assert record["records"] == [f"${{{options}.resource_record_value}}"]


def test_the_name_servers_of_a_zone_are_referred_to() -> None:
    servers = ["ns-1.awsdns-01.com", "ns-2.awsdns-02.net"]
    resources = configuration(
        [
            resource(ZONE, {"name": "a.example.com"}, nameServers=servers),
            resource(RECORD, {"name": "a.example.com", "type": "NS", "records": servers}, ZONE),
        ]
    )
    record = resources["aws_route53_record"]["tenant_a_validation_record"]
    assert record["records"] == [f"${{aws_route53_zone.instance_zone.name_servers[{number}]}}" for number in (0, 1)]


def test_what_terraform_has_no_provider_for_is_in_the_graph_without_any_work() -> None:
    inputs = {"metadata": {"name": {"4dabf18193072939515e22adb298388d": "secret", "plaintext": '"a-tenant"'}}}
    resources = configuration([resource(BUCKET, {}), resource(SPACE, inputs, BUCKET)])
    assert resources["terraform_data"] == {
        "tenant_a_namespace_Namespace": {
            "input": '{"metadata": {"name": "a-tenant"}}',
            "depends_on": ["aws_s3_bucket.tenant_a_metrics_bucket"],
        }
    }


def test_the_keys_of_buckets_and_secrets_have_terraform_s_names() -> None:
    default = {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": kms_key(1)}
    rule = {"applyServerSideEncryptionByDefault": default, "bucketKeyEnabled": True}
    encryption = build_urn("x", child_type(TENANT_TYPE, ENCRYPTION_TYPE), "tenant-a-metrics-encryption")
    secret = build_urn("x", SECRET_TYPE, "keys")
    resources = configuration(
        [
            resource(encryption, {"bucket": "a-bucket", "rules": [rule]}),
            resource(secret, {"name": "keys", "kmsKeyId": kms_key(2)}),
        ]
    )
    translated = resources["aws_s3_bucket_server_side_encryption_configuration"]["tenant_a_metrics_encryption"]
    named = {"sse_algorithm": "aws:kms", "kms_master_key_id": kms_key(1)}
    assert translated == {
        "bucket": "a-bucket",
        "rule": [{"apply_server_side_encryption_by_default": named, "bucket_key_enabled": True}],
    }
    assert resources["aws_secretsmanager_secret"]["keys"] == {"name": "keys", "kms_key_id": kms_key(2)}
