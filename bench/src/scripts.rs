//! Plain scripts in other languages, as a user would write them to time a client library: what a lane of Photofinish adds to
//! that library is the difference.
//!
//! Each runs its operation for 0.3 s to warm up and then for the seconds of a block, and prints one line of JSON. CPU time is
//! its own reading of the second part, since starting an interpreter takes as long as thousands of operations.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::child::Output;
use crate::failure::{Failure, OrFail as _};
use crate::programs::Program;
use crate::text::first_line;
use crate::work::{FileAccess, Site, Work};

/// A plain script and what runs it.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) name: &'static str,
    pub(crate) program: Program,
    /// Name and text of the script.
    file: (&'static str, &'static str),
    /// Further arguments.
    extra: &'static [&'static str],
}

/// The result of one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ScriptReading {
    /// Operations per second.
    pub(crate) rate_hz: f64,
    pub(crate) cpu_ns: f64,
}

const PYTHON: Program = Program {
    name: "python3",
    install: "apt install python3",
    version: Some("--version"),
};

const NODE: Program = Program {
    name: "node",
    install: "apt install nodejs",
    version: Some("--version"),
};

const GO: Program = Program {
    name: "go",
    install: "apt install golang-go",
    version: None,
};

const MEASURED: (&str, &str) = ("measured.py", include_str!("scripts/measured.py"));

macro_rules! script {
    ($name:literal, $program:expr, $file:literal, $extra:expr) => {
        Script {
            name: $name,
            program: $program,
            file: ($file, include_str!(concat!("scripts/", $file))),
            extra: $extra,
        }
    };
}

pub(crate) static HTTP_CLIENT: Script =
    script!("http.client script", PYTHON, "http_client.py", &[]);
pub(crate) static AIOHTTP: Script =
    script!("aiohttp script", PYTHON, "http_aiohttp.py", &["asyncio"]);
pub(crate) static UVLOOP: Script = script!("uvloop script", PYTHON, "http_aiohttp.py", &["uvloop"]);
pub(crate) static ASYNCPG: Script = script!("asyncpg script", PYTHON, "postgres_asyncpg.py", &[]);
pub(crate) static AIOFILES: Script = script!("aiofiles script", PYTHON, "files_aiofiles.py", &[]);
pub(crate) static WEBSOCKETS: Script =
    script!("websockets script", PYTHON, "ws_websockets.py", &[]);
pub(crate) static NODE_HTTP: Script = script!("node:http script", NODE, "http_node.cjs", &[]);
pub(crate) static GO_HTTP: Script = script!("net/http program", GO, "http_go.go", &[]);

impl Script {
    /// The command of one run, with the script written and, in Go, compiled.
    pub(crate) fn command(
        &self,
        program: &Path,
        work: &Work,
        site: &Site,
        seconds: u32,
    ) -> Result<Command, Failure> {
        let (name, text) = self.file;
        let path = site.directory.join(name);
        fs::write(&path, text).or_fail("write a script")?;
        let mut command = match self.program.name {
            "go" => Command::new(compiled(program, &path)?),
            "python3" => {
                let (name, text) = MEASURED;
                fs::write(site.directory.join(name), text).or_fail("write a script")?;
                let mut command = Command::new(interpreter(program));
                command.arg(&path);
                command
            }
            _ => {
                let mut command = Command::new(program);
                command.arg(&path);
                command
            }
        };
        let (subject, sessions) = match work {
            Work::Http(http) => (site.url.clone(), http.connections),
            Work::Sql(sql) => (site.url.clone(), sql.clients),
            Work::Ws(ws) => (site.url.clone(), ws.connections),
            Work::File(file) => (whole_file(file.access, site)?, file.depth),
        };
        command.arg(subject).arg(sessions.to_string());
        command.arg(seconds.to_string()).args(self.extra);
        Ok(command)
    }
}

/// The interpreter of the Python lanes, which has their packages, or the one on `PATH`.
fn interpreter(on_path: &Path) -> PathBuf {
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
    let data = data.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".local/share")));
    let managed = data.map(|data| data.join("photofinish/python/bin/python3"));
    let managed = managed.filter(|path| path.is_file());
    managed.unwrap_or_else(|| on_path.to_owned())
}

/// A program beside its source, compiled if that was not done yet.
fn compiled(compiler: &Path, source: &Path) -> Result<PathBuf, Failure> {
    let executable = source.with_extension("");
    if !executable.is_file() {
        let mut command = Command::new(compiler);
        command.arg("build").arg("-o").arg(&executable).arg(source);
        let output = command.stdin(Stdio::null()).output();
        let output = output.or_fail("run the Go compiler")?;
        if !output.status.success() {
            let message = first_line(&String::from_utf8_lossy(&output.stderr));
            let message = message.unwrap_or_default();
            return Err(Failure::new(format!("the Go compiler failed: {message}")));
        }
    }
    Ok(executable)
}

/// A file of the size that is read whole.
fn whole_file(access: FileAccess, site: &Site) -> Result<String, Failure> {
    let FileAccess::Whole { kib } = access else {
        return Err(Failure::new("no script does this"));
    };
    let path = site.directory.join(format!("read-{kib}k"));
    if !path.exists() {
        fs::write(&path, vec![b'x'; (kib as usize) << 10]).or_fail("write a file")?;
    }
    Ok(path.display().to_string())
}

/// Reads the line of a script.
pub(crate) fn read(output: &Output) -> Result<ScriptReading, String> {
    let line: Option<Value> = serde_json::from_str(output.stdout.trim()).ok();
    let number = |name: &str| {
        let number = line.as_ref()?.get(name)?.as_f64()?;
        Some(number).filter(|number| *number > 0.0)
    };
    match number("rate_hz").zip(number("cpu_ns_per_op")) {
        Some((rate_hz, cpu_ns)) if output.success => Ok(ScriptReading { rate_hz, cpu_ns }),
        // The last line of a traceback names the error.
        _ => Err(output
            .stderr
            .lines()
            .rfind(|line| !line.trim().is_empty())
            .unwrap_or("expected results, got no output")
            .to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(stdout: &str, stderr: &str, success: bool) -> Output {
        Output {
            stdout: stdout.to_owned(),
            stderr: stderr.to_owned(),
            success,
            ..Output::default()
        }
    }

    #[test]
    fn a_line_of_a_script_or_its_error() {
        let line = r#"{"operations": 10, "rate_hz": 5.5, "cpu_ns_per_op": 100.0}"#;
        let reading = ScriptReading {
            rate_hz: 5.5,
            cpu_ns: 100.0,
        };
        assert_eq!(read(&printed(line, "", true)), Ok(reading));
        assert!(read(&printed(line, "", false)).is_err());
        let traceback = "Traceback:\n  line 1\nModuleNotFoundError: No module named 'aiohttp'\n";
        assert_eq!(
            read(&printed("", traceback, false)),
            Err("ModuleNotFoundError: No module named 'aiohttp'".to_owned())
        );
    }

    #[test]
    fn a_script_reads_a_file_and_tells_its_rate() {
        let Ok(program) = PYTHON.find() else {
            return;
        };
        let directory = tempfile::tempdir().expect("a directory");
        let script = "import sys\nfrom measured import measure\n\
                      measure(lambda: open(sys.argv[1]).close(), 0.05)\n";
        let script = Script {
            file: ("open.py", script),
            ..Script {
                name: "open script",
                program: PYTHON,
                file: HTTP_CLIENT.file,
                extra: &[],
            }
        };
        let site = Site {
            directory: directory.path().to_owned(),
            ..Site::default()
        };
        let work = Work::File(crate::work::FileWork {
            access: FileAccess::Whole { kib: 4 },
            depth: 1,
        });
        let mut command = script
            .command(&program, &work, &site, 1)
            .expect("a command");
        let output = command.output().expect("ran");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let output = printed(
            &text(&output.stdout),
            &text(&output.stderr),
            output.status.success(),
        );
        let reading = read(&output).expect("a reading");
        assert!(reading.cpu_ns > 0.0 && reading.rate_hz > 0.0, "{reading:?}");
    }
}
