import asyncio
import itertools
import sys

import websockets
from measured import measure_async

url, clients, seconds = sys.argv[1:]


async def main():
    connections = [await websockets.connect(url, compression=None) for _ in range(int(clients))]

    # Each message of a connection is another, so that a lost echo would show.
    async def operate(session):
        connection, numbers = session
        message = f"message {next(numbers)}"
        await connection.send(message)
        async with asyncio.timeout(5):
            assert await connection.recv() == message

    sessions = [(connection, itertools.count(1)) for connection in connections]
    await measure_async(operate, sessions, float(seconds))
    for connection in connections:
        await connection.close()


asyncio.run(main())
