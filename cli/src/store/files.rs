//! Files written atomically, and never through a link planted by somebody else.
//!
//! The contents go to a new file with a random name, which replaces the old file; a link is replaced as well, not
//! followed. Only a path that the user typed may be a link, a pipe or a device.

use std::ffi::OsStr;
use std::fs::{self, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use photofinish_reports::formats::File;

use crate::exit::Failure;

/// Prefix of the name of a file that is being written.
const UNFINISHED: &str = ".new-";

/// Permissions of new files, before the user's umask.
const PERMISSIONS: u32 = 0o666;

/// Writes a file atomically: an older version stays until the new one is complete, and keeps its permissions.
pub fn write_file(path: &Path, contents: &[u8]) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    fs::create_dir_all(parent)?;
    let mut fresh = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .permissions(Permissions::from_mode(PERMISSIONS))
        .tempfile_in(parent)?;
    if let Ok(old) = fs::metadata(path) {
        fresh.as_file().set_permissions(old.permissions())?;
    }
    fresh.write_all(contents)?;
    // A rename may reach the disk before the data does.
    fresh.as_file().sync_all()?;
    fresh.persist(path)?;
    Ok(())
}

/// True for the name of a file that was being written when its process was killed: six random characters.
pub fn is_unfinished(name: &OsStr) -> bool {
    let name = name.to_str().and_then(|name| name.strip_prefix(UNFINISHED));
    name.is_some_and(|rest| rest.len() == 6 && rest.chars().all(|c| c.is_ascii_alphanumeric()))
}

/// Writes a file below `directory`; refuses to follow a link below it.
pub fn write_below(directory: &Path, file: &File) -> io::Result<()> {
    let below = Path::new(&file.name).parent().unwrap_or(Path::new(""));
    let ancestors = below.ancestors().map(|folder| directory.join(folder));
    // The last one is the directory itself, which the user named.
    let mut folders = ancestors.take(below.components().count());
    if let Some(link) = folders.find(|folder| folder.is_symlink()) {
        let message = format!("{} is a link, so nothing is written there", link.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    write_file(&directory.join(&file.name), &file.bytes)
}

/// Writes files into the user's `directory`, and returns their paths.
pub fn write_user_files(
    directory: &Path,
    files: impl IntoIterator<Item = File>,
) -> Result<Vec<PathBuf>, Failure> {
    let written = files.into_iter().map(|file| {
        write_below(directory, &file).map_err(|error| unwritable(directory, error))?;
        Ok(directory.join(file.name))
    });
    written.collect()
}

/// Writes to a path that the user typed: the file behind a link, or a pipe or device such as `/dev/stdout` itself.
pub fn write_user_file(path: &Path, contents: &[u8]) -> Result<(), Failure> {
    let is_special = fs::metadata(path).is_ok_and(|it| !it.is_file() && !it.is_dir());
    let written = if is_special {
        let file = fs::OpenOptions::new().write(true).open(path);
        file.and_then(|mut file| file.write_all(contents))
    } else {
        let behind = fs::canonicalize(path);
        write_file(behind.as_deref().unwrap_or(path), contents)
    };
    written.map_err(|error| unwritable(path, error))
}

fn unwritable(path: &Path, error: io::Error) -> Failure {
    Failure::could_not_run(format!("cannot write {}", path.display()))
        .caused_by(error)
        .hint("use --out to choose a writable directory")
}

/// The lock of an open file, held while this value lives.
pub struct FileLock(fs::File);

impl FileLock {
    /// `None` if somebody else holds the lock.
    pub fn claim(file: fs::File) -> io::Result<Option<Self>> {
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl Drop for FileLock {
    /// Closing the file would not be enough: a child process keeps it open until it executes its program.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_released_lock_is_free_though_a_child_process_still_has_the_file_open() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("lock");
        let file = fs::File::create(&path).expect("a file");
        let _inherited = file.try_clone().expect("a copy");
        let again = || FileLock::claim(fs::File::open(&path).expect("it exists")).expect("a lock");
        let held = FileLock::claim(file).expect("a lock").expect("free");
        assert!(again().is_none());
        drop(held);
        assert!(again().is_some());
    }

    /// Goal: a typed path is never replaced by something else. Method: a link to a file, and one to a named pipe.
    #[test]
    fn user_named_links_and_pipes_are_kept() {
        let sandbox = tempfile::tempdir().expect("a directory");
        let [file, pipe, to_file, to_pipe] =
            ["file", "pipe", "to-file", "to-pipe"].map(|name| sandbox.path().join(name));
        fs::write(&file, "old").expect("written");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("mkfifo").success());
        symlink(&file, &to_file).expect("linked");
        symlink(&pipe, &to_pipe).expect("linked");
        let private = Permissions::from_mode(0o600);
        fs::set_permissions(&file, private).expect("set");
        write_user_file(&to_file, b"new").expect("written");
        let mode = fs::metadata(&file).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(to_file.is_symlink());
        assert_eq!(fs::read(&file).expect("a file"), b"new");
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::read(pipe)
        });
        write_user_file(&to_pipe, b"through").expect("written");
        let read = reader.join().expect("no panic").expect("the pipe is read");
        assert_eq!(read, b"through");
        assert!(to_pipe.is_symlink());
        let kind = fs::symlink_metadata(&pipe).expect("still there");
        assert!(!kind.is_file());
    }

    /// Goal: nothing outside a run directory is written. Method: another user's directory, with links in it.
    #[test]
    fn links_in_a_directory_are_replaced_or_refused_and_never_followed() {
        let sandbox = tempfile::tempdir().expect("a directory");
        let [run, outside] = ["run", "outside"].map(|name| sandbox.path().join(name));
        let target = outside.join("a.html");
        fs::create_dir(&run).expect("made");
        fs::create_dir(&outside).expect("made");
        fs::write(&target, "mine").expect("written");
        for name in ["a.html", "a.html.new"] {
            symlink(&target, run.join(name)).expect("linked");
        }
        symlink(&outside, run.join("charts")).expect("linked");
        let file = |name: &str| File {
            name: name.to_owned(),
            bytes: b"new".to_vec(),
        };
        write_below(&run, &file("a.html")).expect("replaced");
        assert_eq!(fs::read(run.join("a.html")).expect("a file"), b"new");
        let refused = write_below(&run, &file("charts/a.html")).expect_err("a link");
        assert!(
            refused.to_string().contains("charts is a link"),
            "{refused}"
        );
        assert_eq!(fs::read(&target).expect("a file"), b"mine");
        assert_eq!(fs::read_dir(&outside).expect("a directory").count(), 1);
        // The directory itself was chosen by the user.
        symlink(&run, sandbox.path().join("latest")).expect("linked");
        write_below(&sandbox.path().join("latest"), &file("b.html")).expect("followed");
        assert!(run.join("b.html").is_file());
    }
}
