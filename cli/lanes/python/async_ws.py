"""Workloads with WebSockets under an event loop, with websockets."""

import asyncio
import os

import ws_content
from async_frame import Workload, gathered


class WebSockets(Workload):
    PACKAGES = ("websockets",)

    async def prepare(self):
        self.target, self.traffic = self.round.target("ws", "ws")
        self.unasked = []

    async def connect(self, path):
        from websockets.asyncio.client import connect

        uri = f"ws://{self.target.authority}{path}"
        # Compressing short messages would be work that no other runtime does.
        socket = await connect(uri, host=self.target.host, port=self.target.port, compression=None, proxy=None)
        self.traffic.connections += 1
        return socket

    async def disconnect(self, socket):
        """Closes it; what it had still received belongs to nobody."""
        from websockets.exceptions import ConnectionClosed

        await socket.close()
        try:
            while True:
                self.unasked.append(f"`{await socket.recv()}` came, and nobody waited for it")
        except ConnectionClosed:
            pass

    def violations(self, totals):
        return self.unasked


class WsEcho(WebSockets):
    async def prepare(self):
        await super().prepare()
        self.messages = self.params["messages"]

    async def open(self):
        return ws_content.Conversation(await self.connect(self.target.path(self.params["path"])))

    async def close(self, session):
        await self.disconnect(session.socket)

    async def operate(self, session, op):
        socket, traffic = session.socket, self.traffic
        for _ in range(self.messages):
            message = session.next()
            await socket.send(message)
            async with asyncio.timeout(ws_content.PATIENCE_S):
                answer = await socket.recv()
            traffic.requests += 1
            ws_content.check_echo(message, answer)

    def violations(self, totals):
        return super().violations(totals) + totals.wrong_requests("ws", self.messages)


class WsChat(WebSockets):
    """A room of clients, all of which receive each message; now and then one leaves, and another one speaks in its place."""

    async def prepare(self):
        await super().prepare()
        self.rooms = 0
        self.newcomers = 0

    async def open(self):
        name = f"{os.getpid()}-{self.rooms}"
        self.rooms += 1
        path = f"{self.target.path(self.params['path']).rstrip('/')}/{name}"
        room = ws_content.Room(path, self.params)
        for index in range(self.params["clients"]):
            room.clients.append(await self.connect(path))
            await self.say(room, index)
        return room

    async def close(self, session):
        for client in session.clients:
            await self.disconnect(client)

    async def operate(self, session, op):
        speaker = session.next_speaker()
        if session.client_leaves():
            await self.disconnect(session.clients[speaker])
            session.clients[speaker] = await self.connect(session.path)
            self.newcomers += 1
        await self.say(session, speaker)

    async def say(self, room, speaker):
        message = room.next_message()
        await room.clients[speaker].send(message)
        async with asyncio.timeout(ws_content.PATIENCE_S):
            heard = await gathered(client.recv() for client in room.clients)
        self.traffic.requests += 1
        for text in heard:
            ws_content.check_heard(message, text)

    def violations(self, totals):
        found = super().violations(totals) + totals.wrong_requests("ws", 1)
        return found + ws_content.wrong_newcomers(totals, self.newcomers)


WORKLOADS = {"ws-echo": WsEcho, "ws-chat": WsChat}
