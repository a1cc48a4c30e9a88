#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""A client of the Kapula protocol, written from proto/SPEC.md alone.

It publishes, fetches live and from the past, and queries, over a CURVE DEALER. It seals
nothing: an event that it builds has an open part and, if it has such fields, an ends part.
As a program it queries a broker or follows a stream:

    kapula_client.py --server tcp://host:port --server-key Z85 --keys FILE --mesh HEX \\
        (query NAME [KEY=VALUE...] | follow STREAM [--count N])
"""
import argparse
import hashlib
import io
import json
import os
import re
import sys
import time

import msgpack
import zmq

PUBLISH, FETCH, QUERY, RECEIPT, EVENTS, ANSWER, ERROR = 1, 2, 3, 17, 18, 19, 31
NEVER = bytes(16)  # the epoch of a cursor that was never read


class Refused(Exception):
    """The broker answered ERROR, or an ANSWER that says no."""


def h(data):
    return hashlib.blake2b(data, digest_size=32).digest()


def pack(value):
    return msgpack.packb(value, use_bin_type=True)


def unpack(data):
    return msgpack.unpackb(data, raw=False, strict_map_key=True)


def bins(frames):
    """The bin objects of payload frames, one after the other."""
    for frame in frames:
        yield from msgpack.Unpacker(io.BytesIO(frame), raw=False)


def new_producer():
    return os.urandom(8).hex()


def build(source, sequence, kind, data, ends=None, when_ms=None, **attributes):
    """The three bins of an event: open, ends, sealed (empty)."""
    ends_part = os.urandom(16) + pack(ends) if ends else b""
    event = {"specversion": "1.0", "id": os.urandom(16).hex(), "source": source,
             "sequence": sequence, "type": kind,
             "time": int(time.time() * 1000) if when_ms is None else when_ms, **attributes}
    if ends_part:
        event["endshash"] = h(ends_part)
    return pack({**event, "data": data}), ends_part, b""


class Client:
    def __init__(self, endpoint, server_key, public, secret, mesh):
        self.mesh = mesh
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.immediate = 1
        self.socket.maxmsgsize = 1 << 20
        self.socket.curve_serverkey, self.socket.curve_publickey = server_key, public
        self.socket.curve_secretkey = secret
        self.socket.connect(endpoint)

    def close(self):
        self.socket.close()

    def request(self, verb, frames, source="", first=0, count=0, seconds=40, again_s=35):
        """Sends, sends again every `again_s` seconds, and returns (header, payload frames)."""
        req = os.urandom(8)
        message = [pack([1, self.mesh, req, verb, source, first, count, b""]), *frames]
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.socket.poll(1000, zmq.POLLOUT):
                self.socket.send_multipart(message)
            again = min(deadline, time.monotonic() + again_s)
            while (left := again - time.monotonic()) > 0:
                if not self.socket.poll(int(left * 1000) + 1):
                    continue
                header, *payload = self.socket.recv_multipart()
                header = unpack(header)
                if header[1] == self.mesh and header[2] == req:
                    if header[3] == ERROR:
                        raise Refused(unpack(next(bins(payload)))["error"])
                    return header, payload
        raise TimeoutError(f"no answer in {seconds} s")

    def publish(self, source, first, events, **patience):
        """The receipt of events made by build(), as its map."""
        frame = b"".join(pack(part) for event in events for part in event)
        _, payload = self.request(PUBLISH, [frame], source, first, len(events), **patience)
        return unpack(next(bins(payload)))

    def fetch(self, after, wait_ms=0, most=0):
        """after: {stream: (epoch, seq)}. The head and a list of (meta, open, ends, sealed)."""
        cursors = [[stream, epoch, seq] for stream, (epoch, seq) in after.items()]
        body = pack({"after": cursors, "max": most, "wait_ms": wait_ms})
        _, payload = self.request(FETCH, [pack(body)], seconds=wait_ms / 1000 + 10)
        head, *rest = bins(payload)
        events = [(unpack(rest[i]), unpack(rest[i + 1]) if rest[i + 1] else None, rest[i + 2],
                   rest[i + 3]) for i in range(0, len(rest), 4)]
        for i, (meta, _, ends, sealed) in enumerate(events):
            self.check(meta, rest[4 * i + 1], ends, sealed)
        return unpack(head), events

    @staticmethod
    def check(meta, raw, ends, sealed):
        """What is shown must be what the leaf and the open part's hashes say."""
        event = unpack(raw)
        hashes = [event.get("endshash", bytes(32)), event.get("sealedhash", bytes(32))]
        for part, bound in zip((ends, sealed), hashes):
            assert not part or h(part) == bound, "a part was changed"
        verdict = ("accepted", "already_so", "refused").index(meta[4])
        said = b"\0" + meta[3].to_bytes(8, "big", signed=True) + bytes([verdict])
        assert h(said + h(b"\x01" + raw) + b"".join(hashes)) == meta[7], "the leaf is another"

    def query(self, name, **parameters):
        _, payload = self.request(QUERY, [pack(pack({"query": name, **parameters}))])
        answer = unpack(next(bins(payload)))
        if "error" in answer:
            raise Refused(answer["error"])
        return answer

    def follow(self, stream, seq=0, epoch=NEVER, wait_ms=30000):
        """Yields every event of a stream, from the past into the present, for ever."""
        while True:
            head, events = self.fetch({stream: (epoch, seq)}, wait_ms)
            _, status, _, kept_to = head["streams"][0]
            if status == "epoch_changed":
                epoch, seq = head["epoch"], min(seq, kept_to)
                continue
            if status == "busy":
                time.sleep(0.5)
                continue
            if status != "ok":
                raise Refused({"code": status, "sentence": f"stream {stream}: {status}"})
            epoch = head["epoch"]
            for meta, *parts in events:
                assert meta[1] == seq + 1, "a gap in a stream"
                seq = meta[1]
                yield (meta, *parts)


def read_keys(path):
    """Public and secret key of a key file, in Z85."""
    with open(path, encoding="ascii") as file:
        found = dict(re.findall(r'(\w+)\s*=\s*"([^"]*)"', file.read()))
    return found["public"].encode(), found["secret"].encode()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    for option in ("--server", "--server-key", "--keys", "--mesh"):
        parser.add_argument(option, required=True)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("verb", choices=["query", "follow"])
    parser.add_argument("name")
    parser.add_argument("parameters", nargs="*")
    args = parser.parse_args()
    client = Client(args.server, args.server_key.encode(), *read_keys(args.keys),
                    bytes.fromhex(args.mesh))
    show = {"default": lambda value: value.hex(), "ensure_ascii": False}
    try:
        if args.verb == "query":
            pairs = dict(pair.split("=", 1) for pair in args.parameters)
            print(json.dumps(client.query(args.name, **pairs), **show))
        else:
            for n, (meta, event, *_) in enumerate(client.follow(args.name), start=1):
                print(json.dumps({"meta": meta, "event": event}, **show), flush=True)
                if n == args.count:
                    break
    except (Refused, TimeoutError) as wrong:
        sys.exit(str(wrong))


if __name__ == "__main__":
    main()
