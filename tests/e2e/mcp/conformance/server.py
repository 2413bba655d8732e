"""The server that the conformance suite is held against: Streamable HTTP, with and without sessions.

2025-06-18 and 2025-11-25 have sessions, streams that can be taken up again, and requests of the
server's own; 2026-07-28 has none of these, and says everything in each message. The standard
library is all it needs. It prints its port, and keeps the names of the tools that were called in the
file that its argument names.
"""

import base64
import json
import queue
import secrets
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from features import CACHED, LEGACY, META, METHODS, TOOLS, Refused

STATELESS = "2026-07-28"
SESSIONS = ["2025-11-25", "2025-06-18"]
CAPABILITIES = {"tools": {"listChanged": True}, "prompts": {"listChanged": True},
                "resources": {"subscribe": True, "listChanged": True},
                "logging": {}, "completions": {}}
INFO = {"name": "conformance", "version": "1"}
CALLED = open(sys.argv[1], "a", encoding="utf-8", buffering=1)

sessions = {}
listeners = []
lock = threading.Lock()


class Session:
    """A conversation: the requests of ours that are open in it, and events that may be wanted again."""

    def __init__(self, version):
        self.id = secrets.token_hex(16)
        self.version = version
        self.answers = {}
        self.streams = {}
        self.asked = 0

    def stream(self):
        stream = Stream(f"{len(self.streams)}")
        self.streams[stream.name] = stream
        return stream


class Stream:
    """Events in order; whoever reads may go and come back."""

    def __init__(self, name):
        self.name = name
        self.events = []
        self.is_over = False
        self.readers = 0
        self.changed = threading.Condition()

    def put(self, message):
        with self.changed:
            self.events.append(message)
            self.changed.notify_all()

    def end(self):
        with self.changed:
            self.is_over = True
            self.changed.notify_all()

    def hang_up(self):
        """Ends whoever reads now; what comes later is for whoever comes back."""
        with self.changed:
            self.readers += 1
            self.changed.notify_all()

    def read(self, after, mine):
        while True:
            with self.changed:
                while len(self.events) <= after and not self.is_over and self.readers == mine:
                    self.changed.wait()
                if self.readers != mine or len(self.events) <= after:
                    return
                message = self.events[after]
            after += 1
            yield f"{self.name}-{after}", message


class Turn:
    """One request, and the way to whoever made it."""

    def __init__(self, message, session, stream):
        self.params = message.get("params") or {}
        self.meta = self.params.get("_meta") or {}
        self.token = self.meta.get("progressToken")
        self.capabilities = self.meta.get(META + "clientCapabilities") or {}
        self.inputs = self.params.get("inputResponses") or {}
        self.state = self.params.get("requestState")
        self.session, self.stream = session, stream
        self.is_stateless = session is None

    def notify(self, method, params):
        self.stream.put({"jsonrpc": "2.0", "method": method, "params": params})

    def ask(self, method, params):
        if self.session is None:
            raise Refused(-32603, "this revision has no requests of servers")
        with lock:
            self.session.asked += 1
            key = f"server-{self.session.asked}"
            answer = self.session.answers[key] = queue.Queue()
        self.stream.put({"jsonrpc": "2.0", "id": key, "method": method, "params": params})
        said = answer.get(timeout=20)
        if "error" in said:
            raise Refused(-32603, said["error"].get("message", ""))
        return said["result"]

    def hang_up(self):
        if self.session is not None:
            self.stream.hang_up()

    def announce(self, kind, method):
        with lock:
            wanting = [listener for listener in listeners if listener[1].get(kind) is True]
        for stream, _, subscription in wanting:
            stream.put({"jsonrpc": "2.0", "method": method,
                        "params": {"_meta": {META + "subscriptionId": subscription}}})


def perform(message, turn):
    """Returns the answer to a request."""
    method = message["method"]
    found = METHODS.get(method) or (None if turn.is_stateless else LEGACY.get(method))
    if found is None:
        raise Refused(-32601, "method not found", status=404 if turn.is_stateless else 200)
    if method == "tools/call":
        CALLED.write(f"{turn.params.get('name')}\n")
    result = found(turn)
    if turn.is_stateless:
        result.setdefault("resultType", "complete")
        if method in CACHED:
            result.update(ttlMs=300000, cacheScope="private")
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}


def answer(message, turn):
    """Returns the answer and its status, whatever happens."""
    try:
        return perform(message, turn), 200
    except Refused as refused:
        return {"jsonrpc": "2.0", "id": message["id"], "error": refused.error}, refused.status
    except Exception as error:  # A tool that fails is an answer, too.
        said = {"code": -32603, "message": str(error)}
        return {"jsonrpc": "2.0", "id": message["id"], "error": said}, 200


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def own(self, host):
        port = self.server.server_address[1]
        return host in [f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")]

    def is_foreign(self):
        origin = self.headers.get("Origin")
        return not self.own(self.headers.get("Host")) or (
            origin is not None and not self.own(origin.removeprefix("http://")))

    def json(self, message, status=200, session=None):
        body = json.dumps(message).encode() if message is not None else b""
        self.send_response(status)
        if body:
            self.send_header("Content-Type", "application/json")
        if session is not None:
            self.send_header("Mcp-Session-Id", session.id)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status, code, what, key=None, data=None):
        error = Refused(code, what, data).error
        self.json({"jsonrpc": "2.0", "id": key, "error": error}, status)

    def events(self, stream, after=0, primed=False, reader=None):
        mine = stream.readers if reader is None else reader
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            if primed:
                self.wfile.write(f"id: {stream.name}-{after}\nretry: 500\ndata: \n\n".encode())
                self.wfile.flush()
            for key, message in stream.read(after, mine):
                raw = f"event: message\nid: {key}\ndata: {json.dumps(message)}\n\n"
                self.wfile.write(raw.encode())
                self.wfile.flush()
        except OSError:
            pass  # Whoever read has gone.

    def session(self):
        """Returns the session that is named, or refuses."""
        key = self.headers.get("Mcp-Session-Id")
        found = sessions.get(key)
        if found is None:
            status = 400 if key is None else 404
            self.refuse(status, -32001 if key else -32000, "there is no such session")
        return found

    def do_GET(self):
        if self.is_foreign():
            return self.refuse(403, -32000, "not this host")
        session = self.session()
        if session is None:
            return None
        last = self.headers.get("Last-Event-ID")
        if last is None:
            return self.events(session.stream(), primed=session.version == SESSIONS[0])
        name, _, seen = last.rpartition("-")
        if name not in session.streams:
            return self.refuse(400, -32600, "there is no such event")
        return self.events(session.streams[name], int(seen))

    def do_DELETE(self):
        if self.is_foreign():
            return self.refuse(403, -32000, "not this host")
        session = self.session()
        if session is None:
            return None
        del sessions[session.id]
        for stream in session.streams.values():
            stream.end()
        return self.json(None, 204)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.is_foreign():
            return self.refuse(403, -32000, "not this host")
        try:
            message = json.loads(body)
        except ValueError:
            return self.refuse(400, -32700, "not JSON")
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
            return self.refuse(400, -32600, "not a message")
        version = self.headers.get("MCP-Protocol-Version")
        meta = (message.get("params") or {}).get("_meta") or {}
        is_legacy = version in SESSIONS + ["2025-03-26"] or (
            version is None and META + "protocolVersion" not in meta)
        if "Mcp-Session-Id" in self.headers or is_legacy:
            return self.in_session(message)
        return self.stateless(message, version, meta)

    def in_session(self, message):
        if message.get("method") == "initialize" and "Mcp-Session-Id" not in self.headers:
            wished = message["params"].get("protocolVersion")
            session = Session(wished if wished in SESSIONS else SESSIONS[0])
            sessions[session.id] = session
            result = {"protocolVersion": session.version, "capabilities": CAPABILITIES,
                      "serverInfo": INFO}
            said = {"jsonrpc": "2.0", "id": message["id"], "result": result}
            return self.json(said, session=session)
        session = self.session()
        if session is None:
            return None
        if "method" not in message:
            waiting = session.answers.pop(message.get("id"), None)
            if waiting is not None:
                waiting.put(message)
            return self.json(None, 202)
        if "id" not in message:
            return self.json(None, 202)
        stream = session.stream()
        turn = Turn(message, session, stream)
        if message["method"] != "tools/call":
            return self.json(*answer(message, turn))

        def work():
            stream.put(answer(message, turn)[0])
            stream.end()

        threading.Thread(target=work, daemon=True).start()
        return self.events(stream, primed=session.version == SESSIONS[0], reader=0)

    def stateless(self, message, version, meta):
        key, params = message.get("id"), message.get("params") or {}
        method = message.get("method")
        if "id" not in message:
            return self.json(None, 202)
        if version is None:
            return self.refuse(400, -32020, "no MCP-Protocol-Version", key)
        if META + "protocolVersion" not in meta or META + "clientCapabilities" not in meta:
            return self.refuse(400, -32602, "`_meta` does not say enough", key)
        said = meta[META + "protocolVersion"]
        if said != version:
            return self.refuse(400, -32020, "the version is another one", key)
        if said != STATELESS:
            return self.refuse(400, -32022, "no such version", key,
                               {"supported": [STATELESS], "requested": said})
        mismatch = self.mismatch(method, params)
        if mismatch:
            return self.refuse(400, -32020, mismatch, key)
        if method == "server/discover":
            result = {"resultType": "complete", "supportedVersions": [STATELESS],
                      "capabilities": CAPABILITIES, "ttlMs": 300000, "cacheScope": "private",
                      "_meta": {META + "serverInfo": INFO}}
            return self.json({"jsonrpc": "2.0", "id": key, "result": result})
        stream = Stream("0")
        if method == "subscriptions/listen":
            return self.listen(stream, str(key), params.get("notifications") or {})
        turn = Turn(message, None, stream)
        result, status = answer(message, turn)
        if status == 200 and stream.events:
            stream.put(result)
            stream.end()
            return self.events(stream)
        return self.json(result, status)

    def listen(self, stream, subscription, wanted):
        known = {kind: True for kind in ("toolsListChanged", "promptsListChanged")
                 if wanted.get(kind) is True}
        stream.put({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
                    "params": {"_meta": {META + "subscriptionId": subscription},
                               "notifications": known}})
        with lock:
            listeners.append((stream, known, subscription))
        self.events(stream)

    def mismatch(self, method, params):
        """Says what the headers say otherwise than the message."""
        if self.headers.get("Mcp-Method", "").strip() != method:
            return "Mcp-Method says something else"
        named = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}.get(method)
        if named and decoded(self.headers.get("Mcp-Name")) != params.get(named):
            return "Mcp-Name says something else"
        if method != "tools/call" or params.get("name") not in TOOLS:
            return None
        given = params.get("arguments") or {}
        for name, schema in TOOLS[params["name"]][1].get("properties", {}).items():
            header = schema.get("x-mcp-header")
            if header and decoded(self.headers.get(f"Mcp-Param-{header}")) != written(
                    given.get(name)):
                return f"Mcp-Param-{header} says something else"
        return None


def written(value):
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)


def decoded(value):
    """Reads a header; what is written in Base64 and is none is nothing that an argument could be."""
    if value is None:
        return None
    value = value.strip()
    if value.startswith("=?base64?") and value.endswith("?="):
        try:
            return base64.b64decode(value[9:-2], validate=True).decode()
        except ValueError:
            return b""
    return value


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_):
        pass  # A client that hung up.


server = Server(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
