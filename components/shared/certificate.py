"""ACM certificates that are validated by a record in the instance's own hosted zone."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.shared.options import child

RECORD_TTL_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class CertificateArgs:
    """Arguments of `validated_certificate`.

    Attributes:
        domain: The certificate covers the domain and all names one label below it.
        zone_id: The hosted zone for the validation record.
        tags: The tags of the certificate.
    """

    domain: str
    zone_id: pulumi.Input[str]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Certificate:
    """A validated certificate. `arn` is resolved once the certificate is issued."""

    request: aws.acm.Certificate
    arn: pulumi.Output[str]


def validated_certificate(name: str, args: CertificateArgs, parent: pulumi.Resource) -> Certificate:
    """Declare a certificate for a name and its wildcard, its validation record, and the wait for its issue.

    ACM asks for the same record for a name and its wildcard, so one record validates both.
    """
    request = aws.acm.Certificate(
        f"{name}-certificate",
        domain_name=args.domain,
        subject_alternative_names=[f"*.{args.domain}"],
        validation_method="DNS",
        tags=dict(args.tags),
        opts=child(parent),
    )
    option = request.domain_validation_options[0]
    record = aws.route53.Record(
        f"{name}-validation-record",
        zone_id=args.zone_id,
        name=option.resource_record_name.apply(lambda text: (text or "").rstrip(".")),
        type=option.resource_record_type.apply(lambda text: text or "CNAME"),
        records=[option.resource_record_value.apply(lambda text: text or "")],
        ttl=RECORD_TTL_SECONDS,
        opts=child(parent),
    )
    validation = aws.acm.CertificateValidation(
        f"{name}-validation",
        certificate_arn=request.arn,
        validation_record_fqdns=[record.fqdn],
        opts=child(parent),
    )
    return Certificate(request, validation.certificate_arn)
