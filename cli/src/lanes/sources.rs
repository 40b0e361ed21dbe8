//! The sources of the shipped lanes, by the lanes that share them. They are in `cli/lanes`.

/// A file's name and text.
pub type SourceFile = (&'static str, &'static str);

/// Files in a directory of lanes with their texts.
macro_rules! files {
    ($directory:literal: $($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../lanes/", $directory, "/", $name)))),*]
    };
}

/// Files of every Python lane.
pub const COMMON: &[SourceFile] = files![
    "python":
    "frame.py",
    "open_phase.py",
    "content.py",
    "db_content.py",
    "ws_content.py",
    "site_content.py",
];

/// Files of the lanes of blocking code.
pub const BLOCKING: &[SourceFile] = files![
    "python":
    "blocking_open.py",
    "blocking_frame.py",
    "blocking_tasks.py",
    "blocking_http.py",
    "blocking_site.py",
    "blocking_files.py",
    "blocking_db.py",
    "blocking_ws.py",
];

/// Files of the lanes under an event loop.
pub const ASYNCHRONOUS: &[SourceFile] = files![
    "python":
    "async_open.py",
    "async_frame.py",
    "async_tasks.py",
    "async_http.py",
    "async_site.py",
    "async_files.py",
    "async_db.py",
    "async_ws.py",
    "async_workloads.py",
];

pub const PYTHON_SYNC: &[SourceFile] = files!["python": "python_sync.py"];
pub const PYTHON_THREADS: &[SourceFile] = files!["python": "python_threads.py"];
pub const ASYNCIO: &[SourceFile] = files!["python": "asyncio_tasks.py"];
pub const ASYNCIO_PROCESSES: &[SourceFile] = files!["python": "asyncio_processes.py"];
pub const ASYNCIO_FLOOR: &[SourceFile] = files!["python": "asyncio_floor.py"];
pub const AIOHTTP: &[SourceFile] = files!["python": "aiohttp_tasks.py"];
pub const UVLOOP: &[SourceFile] = files!["python": "aiohttp_tasks.py", "uvloop_tasks.py"];

/// Files of the lanes of Node.
pub const NODE_COMMON: &[SourceFile] = files![
    "node":
    "frame.cjs",
    "open.cjs",
    "content.cjs",
    "queues.cjs",
    "threads.cjs",
    "tasks.cjs",
    "http.cjs",
    "pages.cjs",
    "site.cjs",
    "files.cjs",
    "db.cjs",
    "ws.cjs",
];

pub const NODE: &[SourceFile] = files!["node": "node.cjs"];
pub const NODE_FLOOR: &[SourceFile] = files!["node": "node_floor.cjs"];

/// The module of the lanes of Go, which `photofinish setup go` builds.
pub const GO: &[SourceFile] = files![
    "go":
    "go.mod",
    "frame.go",
    "open.go",
    "content.go",
    "tasks.go",
    "http.go",
    "pages.go",
    "site.go",
    "files.go",
    "floor.go",
    "main.go",
];
