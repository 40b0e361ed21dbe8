import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor

import aiofiles
from measured import measure_async

path, sessions, seconds = sys.argv[1:]


async def main():
    threads = ThreadPoolExecutor(max_workers=int(sessions))
    asyncio.get_running_loop().set_default_executor(threads)

    async def read():
        async with aiofiles.open(path, "rb") as file:
            return await file.read()

    expected = await read()

    async def operate(_):
        assert await read() == expected

    await measure_async(operate, range(int(sessions)), float(seconds))


asyncio.run(main())
