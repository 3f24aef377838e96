"""moto's API as one process, over HTTP for clients here and over TLS under AWS's own name for STS.

Run as `python -m localcloud.aws.server ADDRESS CERTIFICATE KEY CHANGED`. The file CHANGED is touched whenever something
may have changed, so that those who follow the API need not ask it again and again.
"""

import logging
import ssl
import sys
import threading
from pathlib import Path
from typing import Any

from moto.core.responses import BaseResponse
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from localcloud.aws.corrections import correct
from localcloud.settings import HTTP_PORT, HTTPS_PORT

READING = ("Describe", "Get", "List")


def _tell_changes(changed: Path) -> None:
    """Touch `changed` after every call that does more than read. (S3's calls go another way: nobody follows buckets.)"""
    call = BaseResponse.call_action

    def call_action(response: BaseResponse) -> Any:
        answer = call(response)
        if not (response._get_action() or "").startswith(READING):
            changed.touch()
        return answer

    BaseResponse.call_action = call_action  # type: ignore[method-assign, assignment]


def main() -> None:
    """Serve until the process ends; what was stored ends with it."""
    address, certificate, key, changed = sys.argv[1:]
    correct()
    _tell_changes(Path(changed))
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
