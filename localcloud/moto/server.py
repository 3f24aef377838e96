"""moto's API in one process: over HTTP, and over TLS with AWS's own name for STS.

Run as `python -m localcloud.moto.server SETTINGS_HOME SLOT`. It touches the file `edge/changed` when something may have
changed, so that programs that follow the API need not poll it.
"""

import logging
import ssl
import sys
import threading
from pathlib import Path
from typing import Any

from moto.core.responses import BaseResponse
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from localcloud.moto.authorization import credentials
from localcloud.moto.authorization.enforcement import enforce
from localcloud.moto.authorization.gate import Gate
from localcloud.moto.authorization.web_identity import WebIdentity, issuer_keys
from localcloud.moto.patches import correct
from localcloud.moto.serving import Server
from localcloud.settings import HTTP_PORT, HTTPS_PORT, Settings

READING = ("Describe", "Get", "List")


def _signal_changes(changed: Path) -> None:
    """Touch `changed` after every call that may write; moto handles S3 elsewhere, and no program follows S3."""
    call = BaseResponse.call_action

    def call_action(response: BaseResponse) -> Any:
        answer = call(response)
        if not (response._get_action() or "").startswith(READING):
            changed.touch()
        return answer

    BaseResponse.call_action = call_action  # type: ignore[method-assign, assignment]  # moto has no hook for this, so its method is replaced


def main() -> None:
    """Serve until the process ends; all data is in its memory."""
    settings = Settings.of(int(sys.argv[2]), Path(sys.argv[1]))
    correct()
    enforce(WebIdentity(settings.oidc_issuer, issuer_keys(settings)))
    _signal_changes(settings.changed)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    application = Gate(DomainDispatcherApplication(create_backend_app), credentials.administrator(settings))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(settings.node / "aws.pem", settings.node / "aws-key.pem")
    address = settings.aws_address
    # One process serves both, because they share the data in its memory.
    secure = Server(address, HTTPS_PORT, application, context)
    threading.Thread(target=secure.serve_forever, daemon=True).start()
    Server(address, HTTP_PORT, application).serve_forever()


if __name__ == "__main__":
    main()
