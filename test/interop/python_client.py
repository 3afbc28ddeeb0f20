"""Visits a server with python-socketio: python_client.py URL TRANSPORT[,TRANSPORT].

Exits with status 0 if everything it saw was right.
"""

import queue
import sys

import socketio

PATIENCE = 15


def expect(got, want, what):
    if got != want:
        raise AssertionError(f"{what}: got {got!r}, want {want!r}")


def visit(url, transports):
    received = queue.Queue()
    client = socketio.Client(reconnection=False)
    for event in ("auth", "message-back", "msg"):
        client.on(event, lambda *args, event=event: received.put((event, *args)))
    client.on("question", lambda a, b: {"sum": a + b})

    client.connect(url, transports=transports, auth={"from": "python"}, wait_timeout=PATIENCE)
    try:
        talk(client, transports, received)
    finally:
        # A connected client's threads would keep the process from ending.
        client.disconnect()
    expect(client.connected, False, "connected after the disconnection")


def talk(client, transports, received):
    expect(client.transport(), transports[-1], "transport")
    expect(received.get(timeout=PATIENCE), ("auth", {"from": "python"}), "auth")

    def call(event, *args):
        return client.call(event, args, timeout=PATIENCE)

    expect(call("echo", "péché 🐟", {"n": [1, None]}), ("péché 🐟", {"n": [1, None]}), "echo")
    expect(call("echo", b"\x00\x01\xff"), b"\x00\x01\xff", "binary echo")
    expect(call("ask-me", "question", 2, 3), {"reply": {"sum": 5}}, "question")

    client.emit("message", ({"deep": [b"one", "two"]}, b""))
    want = ("message-back", {"deep": [b"one", "two"]}, b"")
    expect(received.get(timeout=PATIENCE), want, "message-back")

    call("join", "snakes")
    client.emit("room", ("snakes", {"n": 1}))
    expect(received.get(timeout=PATIENCE), ("msg", {"n": 1}), "message to the room")
    call("leave", "snakes")
    client.emit("room", ("snakes", {"n": 2}))
    client.emit("bcast", "everybody")
    expect(received.get(timeout=PATIENCE), ("msg", "everybody"), "message to everybody")


if __name__ == "__main__":
    visit(sys.argv[1], sys.argv[2].split(","))
