"""The embedded AWS holds an IAM user to the user's policies."""

from collections.abc import Iterator

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from localcloud.moto.authorization.requested import SERVICES
from localcloud.settings import REGION
from tests.support.aws_requests import CALLS, send
from tests.support.aws_users import is_refused, make_user, remove_user
from tests.support.embedded_aws import EmbeddedAws, refusal

USER_CALLS = {**CALLS, "eks": "list_clusters", "kms": "list_keys", "service-quotas": "list_services"}


@pytest.fixture
def stranger(aws: EmbeddedAws) -> Iterator[dict[str, str]]:
    yield make_user(aws.client("iam"), {}, "stranger")
    remove_user(aws.client("iam"), "stranger")


@pytest.mark.parametrize("service", [*USER_CALLS])
def test_a_user_without_policies_may_do_nothing(aws: EmbeddedAws, stranger: dict[str, str], service: str) -> None:
    assert is_refused(getattr(aws.client(service, **stranger), USER_CALLS[service])) == (service != "sts")


def test_these_are_the_services_that_users_reach(aws: EmbeddedAws) -> None:
    assert {aws.client(service).meta.service_model.signing_name for service in USER_CALLS} == {"s3", *SERVICES}


def test_a_user_is_who_has_an_active_key_and_its_secret(aws: EmbeddedAws, stranger: dict[str, str]) -> None:
    sts, identity = aws.client("sts", **stranger), stranger["aws_access_key_id"]
    assert sts.get_caller_identity()["Arn"].endswith(":user/stranger")
    forged = aws.client("sts", **stranger | {"aws_secret_access_key": "forged"})
    assert refusal(forged.get_caller_identity) == (403, "SignatureDoesNotMatch")
    token = aws.client("sts", **stranger, aws_session_token="forged")
    assert refusal(token.get_caller_identity) == (403, "InvalidClientTokenId")
    request = AWSRequest("GET", f"{aws.settings.s3_endpoint}/moto-api/data.json")
    SigV4Auth(Credentials(identity, stranger["aws_secret_access_key"]), "s3", REGION).add_auth(request)
    assert send(aws, request, b"")[0] == 403
    aws.client("iam").update_access_key(UserName="stranger", AccessKeyId=identity, Status="Inactive")
    assert refusal(sts.get_caller_identity) == (403, "InvalidClientTokenId")


def test_a_refusal_names_user_action_and_resource(aws: EmbeddedAws, stranger: dict[str, str]) -> None:
    told = r"user/stranger is not authorized to perform: iam:CreateUser on resource: \*"
    with pytest.raises(ClientError, match=told):
        aws.client("iam", **stranger).create_user(UserName="another")


@pytest.mark.parametrize(
    ("service", "path", "body"),
    [
        ("ec2", "/", "Action=CreateTags&Version=2016-11-15"),
        ("ec2", "/", "Action=CreateSecurityGroup&Version=2016-11-15&TagSpecification.1.Tag.1.Value=x"),
        ("elasticloadbalancing", "/", "Action=CreateListener&Version=2015-12-01&Tags.member.1.Value=x"),
        ("iam", "/", "Action=CreateRole&Version=2010-05-08"),
        ("route53", "/2013-04-01/hostedzone/Z1/rrset", "<ChangeResourceRecordSetsRequest/>"),
        ("autoscaling", "/", "Action=AttachLoadBalancerTargetGroups&Version=2011-01-01"),
    ],
)
def test_a_request_without_its_parameters_is_refused(
    aws: EmbeddedAws, stranger: dict[str, str], service: str, path: str, body: str
) -> None:
    kind = "text/xml" if body.startswith("<") else "application/x-www-form-urlencoded"
    request = AWSRequest("POST", f"{aws.settings.s3_endpoint}{path}", {"Content-Type": kind}, data=body)
    keys = Credentials(stranger["aws_access_key_id"], stranger["aws_secret_access_key"])
    SigV4Auth(keys, service, REGION).add_auth(request)
    status, answer = send(aws, request, body.encode())
    assert status == 403 and "is not authorized to perform" in answer
    assert "Traceback" not in aws.log.read_text()
