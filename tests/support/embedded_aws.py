"""The embedded AWS alone, as a process on loopback; the test is the OIDC issuer of its cluster."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import boto3
import jwt
from botocore.config import Config
from botocore.exceptions import ClientError
from jwt.algorithms import RSAAlgorithm

from localcloud import user_cluster
from localcloud.moto import services
from localcloud.moto.authorization import credentials
from localcloud.settings import REGION, Settings, UserCluster
from scripts.tokens.key_files import new_key
from tests.support.ports import own_address

ISSUER = "https://oidc.example.com/id/TEST"
AUDIENCE = "sts.amazonaws.com"
KEY_ID = "first"


class EmbeddedAws:
    """A server process that ends with the test process; `key` is the private key of the cluster's issuer."""

    def __init__(self, folder: Path) -> None:
        self.key = new_key()
        public = RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        keys = [{**public, "kid": KEY_ID, "alg": "RS256", "use": "sig"}]
        address = own_address(7)
        cluster = UserCluster("x", str(folder / "x"), "https://127.0.0.1:1", ISSUER, ["10.0.0.10"], address, keys)
        self.settings = Settings(0, folder / "home", cluster)
        for path in (self.settings.home, self.settings.node, self.settings.logs):
            path.mkdir(parents=True, mode=0o700)
        services.write_files(self.settings)
        user_cluster.remember(self.settings)
        api = services.api(self.settings, sys.executable)
        self.log = self.settings.logs / "aws.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *api.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | dict(api.environment),
            )
        services.make_account(self.settings, api)
        self.keys: dict[str, Any] = credentials.administrator(self.settings)

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()

    def url(self, service: str) -> str:
        """Return the URL of a service."""
        return self.settings.s3_endpoint if service == "s3" else self.settings.aws_endpoint

    def client(self, service: str, *, config: Config | None = None, url: str | None = None, **options: Any) -> Any:
        """Return a client that does not retry, with the administrator's credentials unless `options` has others."""
        where = url or self.url(service)
        no_retries = Config(retries={"max_attempts": 1}).merge(config or Config())
        return boto3.client(
            service,
            REGION,
            endpoint_url=where,
            verify=str(self.settings.ca),
            config=no_retries,
            **(self.keys | options),
        )

    def token(self, service_account: str, key: Any = None, **claims: Any) -> str:
        """Return a token of a service account, `namespace:name`; `claims` replace its claims."""
        now = int(time.time())
        content = {
            "iss": ISSUER,
            "aud": [AUDIENCE],
            "sub": f"system:serviceaccount:{service_account}",
            "iat": now,
            "exp": now + 600,
            **claims,
        }
        return jwt.encode(content, key or self.key, algorithm="RS256", headers={"kid": KEY_ID})

    def session(self, role: str, token: str, **options: Any) -> dict[str, Any]:
        """Return the credentials of a role for a web identity token, under boto3's names."""
        arn = f"arn:aws:iam::123456789012:role/{role}"
        call = self.client("sts").assume_role_with_web_identity
        answer = call(RoleArn=arn, RoleSessionName="test", WebIdentityToken=token, **options)["Credentials"]
        return {
            "aws_access_key_id": answer["AccessKeyId"],
            "aws_secret_access_key": answer["SecretAccessKey"],
            "aws_session_token": answer["SessionToken"],
        }


def refusal(call: Any, **arguments: Any) -> tuple[int, str] | None:
    """Return status and error code if AWS refuses a call, None if it does not."""
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
    return None
