"""A JSON API on loopback with every fault that such a service shows."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit


class Api:
    """Serves `pages` by number, cursor or link; `faults` maps the number of a request (from 1) to what goes wrong."""

    def __init__(self):
        self.pages, self.faults, self.requests = [[]], {}, []
        self.release = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"api": self}))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}/items"

    def close(self):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()


class _Handler(BaseHTTPRequestHandler):
    api: Api

    def log_message(self, *_):
        pass

    def do_GET(self):
        query = {name: values[-1] for name, values in parse_qs(urlsplit(self.path).query).items()}
        self.api.requests.append({"path": self.path, "query": query, "headers": dict(self.headers)})
        fault = self.api.faults.get(len(self.api.requests), self.api.faults.get("always"))
        if fault is not None:
            fault(self)
        else:
            self.page(query)

    def page(self, query):
        api = self.api
        number = int(query.get("page", query.get("cursor", 1)))
        page = api.pages[number - 1] if number <= len(api.pages) else []
        if "since" in query:
            page = [record for record in page if record["at"] >= query["since"]]
        following = number + 1 if number < len(api.pages) else None
        headers = {}
        if following:
            onward = urlencode(query | {"page": following, "sig": "s1gnature"})
            headers["Link"] = f'</items?{onward}>; rel="next", </items?page=1>; rel="first"'
        self.send(200, {"items": page, "meta": {"next": following}}, headers)

    def send(self, status, content, headers=None, length=None, kind="application/json"):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in ({"Content-Type": kind, "Content-Length": length or len(body)} | (headers or {})).items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)


def status(code, **headers):
    """Answers with a status."""
    return lambda handler: handler.send(code, b"", {name.replace("_", "-"): value for name, value in headers.items()})


def cut(handler):
    """Closes the connection in the middle of the body."""
    handler.send(200, b'{"items": [', length=1000)
    handler.close_connection = True


def broken(handler):
    """JSON that ends too early."""
    handler.send(200, b'{"items": [{"id": 1, "tex')


def page_of_html(handler):
    """A page to log in."""
    handler.send(200, b"<!doctype html><title>Log in</title>", kind="text/html")


def silent(handler):
    """No answer until the server is closed."""
    handler.api.release.wait(30)
    handler.close_connection = True
