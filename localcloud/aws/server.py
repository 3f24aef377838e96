"""moto's API as one process, over HTTP for clients here and over TLS under AWS's own name for STS.

Run as `python -m localcloud.aws.server ADDRESS CERTIFICATE KEY`.
"""

import logging
import ssl
import sys
import threading

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from localcloud.aws.corrections import correct
from localcloud.settings import HTTP_PORT, HTTPS_PORT


def main() -> None:
    """Serve until the process ends; what was stored ends with it."""
    address, certificate, key = sys.argv[1:]
    correct()
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
