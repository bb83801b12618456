"""Listens on the default ports of proxy, admin and runners, and answers every request."""

import http.server
import threading

PORTS = (9090, 8981, 8080)


class Answer(http.server.BaseHTTPRequestHandler):
    """Says that it is here, whatever is asked."""

    def do_GET(self) -> None:
        """The same answer to every path."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"prism stand-in\n")


servers = [http.server.ThreadingHTTPServer(("", port), Answer) for port in PORTS]
for server in servers[1:]:
    threading.Thread(target=server.serve_forever).start()
print(f"Listening on {', '.join(map(str, PORTS))}", flush=True)
servers[0].serve_forever()
