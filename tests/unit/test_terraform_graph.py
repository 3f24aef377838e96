"""The graph that Terraform gets for comparison is that of the state: types, arguments, references and dependencies."""

from typing import Any

from bench.terraform_graph import configuration

BUCKET = "urn:pulumi:x::opstrace::opstrace:tenant:Tenant$aws:s3/bucket:Bucket::tenant-a-metrics-bucket"
RULES = BUCKET.replace("aws:s3/bucket:Bucket", "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration")
CERTIFICATE = "urn:pulumi:x::opstrace::opstrace:tenant:Tenant$aws:acm/certificate:Certificate::tenant-a-certificate"
RECORD = "urn:pulumi:x::opstrace::opstrace:tenant:Tenant$aws:route53/record:Record::tenant-a-validation-record"
SPACE = "urn:pulumi:x::opstrace::opstrace:tenant:Tenant$kubernetes:core/v1:Namespace::tenant-a-namespace"


def resource(urn: str, inputs: dict[str, Any], *needed: str, **outputs: Any) -> dict[str, Any]:
    kind = urn.split("::")[2].rpartition("$")[2]
    identity = f"id-of-{urn.rpartition('::')[2]}"
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
    tags = {"opstrace:instance": "x", "camelCase": "stays"}
    rule = {"id": "all", "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7}, "filter": {"prefix": ""}}
    needed = "id-of-tenant-a-metrics-bucket"
    found = configuration(
        [
            {"urn": "urn:component", "type": "opstrace:tenant:Tenant"},
            resource(BUCKET, {"__defaults": [], "bucket": "literal", "region": "us-west-2", "tags": tags}),
            resource(RULES, {"bucket": needed, "rules": [rule], "note": f"{needed}/* ${{kept}}"}, BUCKET),
        ]
    )
    assert found["aws_s3_bucket"] == {"tenant_a_metrics_bucket": {"bucket": "literal", "tags": tags}}
    reference = "${aws_s3_bucket.tenant_a_metrics_bucket.id}"
    assert found["aws_s3_bucket_lifecycle_configuration"]["tenant_a_metrics_bucket"] == {
        "bucket": reference,
        "rule": [
            {"id": "all", "abort_incomplete_multipart_upload": {"days_after_initiation": 7}, "filter": {"prefix": ""}}
        ],
        "note": f"{reference}/* $${{kept}}",
        "depends_on": ["aws_s3_bucket.tenant_a_metrics_bucket"],
    }


def test_the_record_that_validates_a_certificate_is_named_by_it() -> None:
    option = {"resourceRecordName": "_a.example.com.", "resourceRecordValue": "_b.example.com."}
    found = configuration(
        [
            resource(CERTIFICATE, {"domainName": "example.com"}, arn="arn:c", domainValidationOptions=[option]),
            resource(RECORD, {"name": "_a.example.com", "records": ["_b.example.com."]}, CERTIFICATE),
        ]
    )
    options = "tolist(aws_acm_certificate.tenant_a_certificate.domain_validation_options)[0]"
    record = found["aws_route53_record"]["tenant_a_validation_record"]
    assert record["name"] == f"${{{options}.resource_record_name}}"
    assert record["records"] == [f"${{{options}.resource_record_value}}"]


def test_what_terraform_has_no_provider_for_is_in_the_graph_without_any_work() -> None:
    given = {"metadata": {"name": {"4dabf18193072939515e22adb298388d": "secret", "plaintext": '"a-tenant"'}}}
    found = configuration([resource(BUCKET, {}), resource(SPACE, given, BUCKET)])
    assert found["terraform_data"] == {
        "tenant_a_namespace_Namespace": {
            "input": '{"metadata": {"name": "a-tenant"}}',
            "depends_on": ["aws_s3_bucket.tenant_a_metrics_bucket"],
        }
    }
