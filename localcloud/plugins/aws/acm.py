"""Resource types of ACM: certificates, and the wait for their validation."""

import uuid

from components.core.resource_names import CERTIFICATE_TYPE, CERTIFICATE_VALIDATION_TYPE
from localcloud.plugins.aws.api import AwsApi, ResourceType, keeping_id, none_if, tag_dict, tag_list, wait_until
from localcloud.plugins.provider import Properties

no_certificate = none_if("ResourceNotFoundException")


def _create_certificate(api: AwsApi, inputs: Properties, timeout: float) -> str:
    names = inputs.get("subjectAlternativeNames")
    arn = api.acm.request_certificate(
        DomainName=inputs["domainName"],
        ValidationMethod=inputs["validationMethod"],
        Tags=tag_list(inputs.get("tags", {})),
        IdempotencyToken=uuid.uuid4().hex,  # a retry after an answer that was lost requests no second one
        **({"SubjectAlternativeNames": names} if names else {}),
    )["CertificateArn"]

    def has_records() -> bool:
        options = api.acm.describe_certificate(CertificateArn=arn)["Certificate"].get("DomainValidationOptions", [])
        return bool(options) and all("ResourceRecord" in option for option in options)

    with keeping_id(arn, inputs):
        wait_until(f"{arn} has no validation records", has_records, min(timeout, 60))
    return str(arn)


def _read_certificate(api: AwsApi, identity: str, properties: Properties) -> Properties | None:
    described = no_certificate(lambda: api.acm.describe_certificate(CertificateArn=identity))
    if described is None:
        return None
    certificate = described["Certificate"]
    tags = tag_dict(api.acm.list_tags_for_certificate(CertificateArn=identity)["Tags"])
    names = sorted({*certificate.get("SubjectAlternativeNames", [])} - {certificate["DomainName"]})
    declared = properties.get("subjectAlternativeNames", [])
    options = [option for option in certificate.get("DomainValidationOptions", []) if "ResourceRecord" in option]
    return {
        "arn": identity,
        "domainName": certificate["DomainName"],
        "subjectAlternativeNames": declared if sorted(declared) == names else names,
        "validationMethod": "DNS",
        "domainValidationOptions": [
            {
                "domainName": option["DomainName"],
                "resourceRecordName": option["ResourceRecord"]["Name"],
                "resourceRecordType": option["ResourceRecord"]["Type"],
                "resourceRecordValue": option["ResourceRecord"]["Value"],
            }
            for option in options
        ],
        "region": api.region,
        "tags": tags,
        "tagsAll": tags,
    }


def _update_certificate(api: AwsApi, identity: str, old: Properties, new: Properties) -> None:
    removed = [{"Key": key} for key in sorted({*old.get("tags", {})} - {*new.get("tags", {})})]
    if removed:
        api.acm.remove_tags_from_certificate(CertificateArn=identity, Tags=removed)
    if new.get("tags"):
        api.acm.add_tags_to_certificate(CertificateArn=identity, Tags=tag_list(new["tags"]))


def _create_validation(api: AwsApi, inputs: Properties, timeout: float) -> str:
    arn = inputs["certificateArn"]

    def issued() -> bool:
        return bool(api.acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"] == "ISSUED")

    wait_until(f"{arn} is not issued; check that the domain is delegated to the zone's name servers", issued, timeout)
    return str(arn)


def _read_validation(api: AwsApi, identity: str, properties: Properties) -> Properties | None:
    described = no_certificate(lambda: api.acm.describe_certificate(CertificateArn=identity))
    if described is None or described["Certificate"]["Status"] != "ISSUED":
        return None
    return properties | {"certificateArn": identity, "region": api.region}


TYPES = {
    CERTIFICATE_TYPE: ResourceType(
        required=("domainName", "validationMethod"),
        optional=("subjectAlternativeNames", "tags"),
        fixed=("domainName", "validationMethod", "subjectAlternativeNames"),
        computed=("arn", "domainValidationOptions"),
        create=_create_certificate,
        read=_read_certificate,
        update=_update_certificate,
        delete=lambda api, identity, state: no_certificate(lambda: api.acm.delete_certificate(CertificateArn=identity)),
    ),
    CERTIFICATE_VALIDATION_TYPE: ResourceType(
        required=("certificateArn",),
        optional=("validationRecordFqdns",),
        fixed=("certificateArn", "validationRecordFqdns"),
        create=_create_validation,
        read=_read_validation,
        # Nothing exists in AWS: this resource is only the wait, and the certificate is another resource.
        delete=lambda api, identity, state: None,
    ),
}
