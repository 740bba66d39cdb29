"""A project with a product `support` that answers, a team, and a service that says what a test wants."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml
from toy import toy_params

from tasks.team import hash_key, new_key

HERE = "http://127.0.0.1"
SCRIPT = "<img src=x onerror=alert(1)> & <script>alert(2)</script>"
ROLES = {"Gus": ["agent"], "Hana": ["agent"], "Anna": ["annotator"]}


def project(folder, team=True, text=None, **chat):
    """params.yaml and a team.yaml in the folder; the keys of its people by name."""
    block = toy_params("faq.csv", {"kind": "folder", "path": "encoder", "sha256": "0" * 64})["lines"]["toy"]
    faq = {**block, "kind": "retrieve", "label": {"by": "column"}, "text": text or {}}
    product = {"kind": "answer", "title": "Help & support", "answers": "faq"}
    params = {"lines": {"faq": faq}, "products": {"support": product}, "chat": {"port": 0, **chat}}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    keys = {name: new_key() for name in ROLES}
    people = [
        {"name": name, "email": f"{name.lower()}@example.org", "roles": roles, "key": hash_key(keys[name])}
        for name, roles in ROLES.items()
    ]
    if team:
        (folder / "team.yaml").write_text(yaml.safe_dump({"people": people}))
    return keys


def reply(request, *answers, why=None, intent=None):
    """What the service answers: texts with falling scores."""
    found = [{"answer": text, "score": round(0.9 - n / 10, 2)} for n, text in enumerate(answers)]
    about = {"line": "faq", "request_id": request}
    return {"request_id": request, "product": "support", "answers": found, "hand_over": why is not None, "why": why,
            "intent": intent, "feedback": about, "releases": {"faq": "0" * 12}}  # fmt: skip


@contextmanager
def service():
    """A stand-in for the service on loopback: what it was asked, and how it answers by words of the question."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.asked.append((self.path, content, self.headers.get("Authorization")))
            if server.broken:
                self.send_error(server.broken)
                return
            about = self.headers["X-Request-ID"]
            text = content.get("text", "")
            why = next((why for why in ("unsure", "intent", "out_of_scope", "no_release") if why in text), None)
            answers = [] if why == "no_release" else [f"About {text}", "Another answer"]
            told = reply(about, *answers, why=why) if "text" in content else {"request_id": about, "received": 1}
            body = json.dumps(told).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.broken = [], 0
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
