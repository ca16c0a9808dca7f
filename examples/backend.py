"""A backend for examples/backend.ts, with Python's standard library alone: PORT=8000 python3 examples/backend.py"""

import base64, hashlib, hmac, json, os, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))
USERS = {"session=ann": "ann", "session=bob": "bob"}


def decide(path, question, headers):
    if path == "/connect":
        user = USERS.get(headers["cookie"])
        return {"result": {"user": user}} if user else {"error": {"code": 1001, "message": "log in first"}}
    if path == "/subscribe" and question["channel"] == "room:staff" and question["user"] != "ann":
        return {"error": {"code": 1003, "message": "staff only"}}
    if path == "/publish":
        return {"result": {"data": {"from": question["user"], "text": question["data"]}}}
    return {"result": {}}


def is_signed(body, headers):
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    valid = "v1," + base64.b64encode(hmac.digest(SECRET, signed, hashlib.sha256)).decode()
    fresh = abs(time.time() - int(headers["webhook-timestamp"])) < 300
    return fresh and any(hmac.compare_digest(valid, each) for each in headers["webhook-signature"].split())


class Backend(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path != "/events":
            return self.reply(200, decide(self.path, json.loads(body), self.headers))
        if not is_signed(body, self.headers):
            return self.reply(401, {})
        for event in json.loads(body)["events"]:
            print(event["type"], event.get("user", ""), event.get("channel", ""), flush=True)
        self.reply(200, {})

    def reply(self, status, answer):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", 8000))), Backend).serve_forever()
