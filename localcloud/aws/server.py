"""moto's API as one process, over HTTP for clients here and over TLS under AWS's own name for STS.

Run as `python -m localcloud.aws.server ADDRESS CERTIFICATE KEY`.
"""

import copy
import json
import logging
import ssl
import sys
import threading
from typing import Any

from flask import request
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import FakeBucket
from werkzeug.serving import make_server

from localcloud.settings import HTTP_PORT, HTTPS_PORT


def _is_met(statement: dict[str, Any]) -> bool:
    wanted = statement.get("Condition", {}).get("Bool", {}).get("aws:SecureTransport")
    return wanted is None or (wanted == "true") == request.is_secure


def heed_secure_transport() -> None:
    """Make moto's bucket policies tell TLS from plain HTTP, as S3 does; moto itself ignores conditions."""
    permission = FakeBucket.get_permission

    def get_permission(bucket: Any, action: str, resource: str) -> Any:
        if bucket.policy is None:
            return permission(bucket, action, resource)
        policy = json.loads(bucket.policy)
        policy["Statement"] = [statement for statement in policy["Statement"] if _is_met(statement)]
        heeding = copy.copy(bucket)
        heeding.policy = json.dumps(policy).encode()
        return permission(heeding, action, resource)

    setattr(FakeBucket, "get_permission", get_permission)  # noqa: B010 - a checker sees a method that cannot be assigned


def main() -> None:
    """Serve until the process ends; what was stored ends with it."""
    address, certificate, key = sys.argv[1:]
    heed_secure_transport()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    application = DomainDispatcherApplication(create_backend_app)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    # Both in one process: they answer from the same memory.
    secure = make_server(address, HTTPS_PORT, application, threaded=True, ssl_context=context)
    threading.Thread(target=secure.serve_forever, daemon=True).start()
    make_server(address, HTTP_PORT, application, threaded=True).serve_forever()


if __name__ == "__main__":
    main()
