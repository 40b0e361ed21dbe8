"""The workloads of the lanes under an event loop, by name."""

import async_db
import async_files
import async_http
import async_site
import async_tasks
import async_ws

WORKLOADS = {
    **async_tasks.WORKLOADS,
    **async_http.WORKLOADS,
    **async_site.WORKLOADS,
    **async_files.WORKLOADS,
    **async_db.WORKLOADS,
    **async_ws.WORKLOADS,
}
