"""Workloads with WebSockets in blocking code, with the threaded client of websockets."""

import os
import socket

import ws_content
from blocking_frame import TIMEOUT_S, Workload


class WebSockets(Workload):
    PACKAGES = ("websockets",)

    def prepare(self):
        self.target, self.traffic = self.round.target("ws", "ws")
        self.unasked = []

    def connect(self, path):
        from websockets.sync.client import connect

        stream = socket.create_connection((self.target.host, self.target.port), TIMEOUT_S)
        # Compressing short messages would be work that no other runtime does.
        client = connect(f"ws://{self.target.authority}{path}", sock=stream, compression=None, proxy=None)
        with self.round.lock:
            self.traffic.connections += 1
        return client

    def disconnect(self, client):
        """Closes it; what it had still received belongs to nobody."""
        from websockets.exceptions import ConnectionClosed

        client.close()
        try:
            while True:
                self.unasked.append(f"`{client.recv()}` came, and nobody waited for it")
        except ConnectionClosed:
            pass

    def answered(self):
        with self.round.lock:
            self.traffic.requests += 1

    def violations(self, totals):
        return self.unasked


class WsEcho(WebSockets):
    def open(self):
        return ws_content.Conversation(self.connect(self.target.path(self.params["path"])))

    def close(self, session):
        self.disconnect(session.socket)

    def operate(self, session, op):
        for _ in range(self.params["messages"]):
            message = session.next()
            session.socket.send(message)
            answer = session.socket.recv(timeout=ws_content.PATIENCE_S)
            self.answered()
            ws_content.check_echo(message, answer)

    def violations(self, totals):
        return super().violations(totals) + totals.wrong_requests("ws", self.params["messages"])


class WsChat(WebSockets):
    """A room of clients, all of which receive each message; now and then one leaves, and another one speaks in its place."""

    def prepare(self):
        super().prepare()
        self.rooms = 0
        self.newcomers = 0

    def open(self):
        name = f"{os.getpid()}-{self.rooms}"
        self.rooms += 1
        path = f"{self.target.path(self.params['path']).rstrip('/')}/{name}"
        room = ws_content.Room(path, self.params)
        run = self.lane.AtOnce(self.params["clients"])
        for index in range(self.params["clients"]):
            room.clients.append(self.connect(path))
            self.say(room, run, index)
        return room, run

    def close(self, session):
        room, run = session
        run.close()
        for client in room.clients:
            self.disconnect(client)

    def operate(self, session, op):
        room, run = session
        speaker = room.next_speaker()
        if room.client_leaves():
            self.disconnect(room.clients[speaker])
            room.clients[speaker] = self.connect(room.path)
            with self.round.lock:
                self.newcomers += 1
        self.say(room, run, speaker)

    def say(self, room, run, speaker):
        message = room.next_message()
        room.clients[speaker].send(message)
        heard = run([(client.recv, ws_content.PATIENCE_S) for client in room.clients])
        self.answered()
        for text in heard:
            ws_content.check_heard(message, text)

    def violations(self, totals):
        found = super().violations(totals) + totals.wrong_requests("ws", 1)
        return found + ws_content.wrong_newcomers(totals, self.newcomers)


WORKLOADS = {"ws-echo": WsEcho, "ws-chat": WsChat}
