import asyncio
import sys

import websockets
from measured import measure_async

url, clients, seconds = sys.argv[1:]


async def main():
    connections = [await websockets.connect(url, compression=None) for _ in range(int(clients))]

    async def operate(connection):
        await connection.send("message 1")
        async with asyncio.timeout(5):
            assert await connection.recv() == "message 1"

    await measure_async(operate, connections, float(seconds))
    for connection in connections:
        await connection.close()


asyncio.run(main())
