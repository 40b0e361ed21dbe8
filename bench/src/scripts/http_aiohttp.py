import asyncio
import sys
from urllib.parse import urlsplit

import aiohttp
from measured import measure_async

url, sessions, seconds, loop = sys.argv[1:]
parts = urlsplit(url)


async def main():
    async def get(session):
        async with session.get(parts.path, allow_redirects=False) as response:
            assert response.status == 200
            return await response.read()

    clients = [
        aiohttp.ClientSession(
            f"http://{parts.netloc}",
            connector=aiohttp.TCPConnector(limit=1),
            timeout=aiohttp.ClientTimeout(total=10),
        )
        for _ in range(int(sessions))
    ]
    expected = await get(clients[0])

    async def operate(session):
        assert await get(session) == expected

    await measure_async(operate, clients, float(seconds))
    for client in clients:
        await client.close()


if loop == "uvloop":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
else:
    asyncio.run(main())
