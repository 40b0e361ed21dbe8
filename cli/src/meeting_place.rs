//! The place where the shards of a run meet, as given to `--store` and `merge`: a directory, or a bucket of an object store.
//!
//! What shards do there is in `photofinish_harness::meeting`. A kind of place is a form of its [`Store`].
//!
//! [`Store`]: photofinish_harness::meeting::Store

mod request;
mod s3;
mod signature;

use std::fmt;
use std::path::{self, PathBuf};
use std::str::FromStr;

use photofinish_harness::meeting::Meeting;

use crate::exit::{Failure, OrFail};
use s3::Account;

pub use s3::{Bucket, LONGEST_REQUEST};

/// A place to meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MeetingPlace {
    Directory(PathBuf),
    Bucket(Bucket),
}

impl FromStr for MeetingPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once("://") {
            Some(("s3", bucket)) => bucket.parse().map(Self::Bucket),
            Some((scheme, _)) => Err(format!(
                "expected a directory or s3://BUCKET/PREFIX, got {scheme}://"
            )),
            None if text.is_empty() => Err("expected a directory or s3://BUCKET/PREFIX".to_owned()),
            None => Ok(Self::Directory(PathBuf::from(text))),
        }
    }
}

impl fmt::Display for MeetingPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => path.display().fmt(formatter),
            Self::Bucket(bucket) => bucket.fmt(formatter),
        }
    }
}

impl MeetingPlace {
    /// The same from any working directory.
    #[must_use]
    pub fn absolute(&self) -> Self {
        match self {
            Self::Directory(path) => {
                Self::Directory(path::absolute(path).unwrap_or_else(|_| path.clone()))
            }
            Self::Bucket(_) => self.clone(),
        }
    }

    /// The way to it, with nothing made there yet. Credentials come from the environment.
    pub fn open(&self) -> Result<Meeting, Failure> {
        match self {
            Self::Directory(path) => Ok(Meeting::in_directory(path)),
            Self::Bucket(bucket) => {
                let account = Account::from_environment(bucket, &|name| std::env::var(name).ok())?;
                Ok(Meeting::over(s3::S3::new(bucket.clone(), account)?))
            }
        }
    }

    /// Makes it if need be.
    pub fn make(&self) -> Result<(), Failure> {
        match self {
            Self::Directory(path) => std::fs::create_dir_all(path)
                .or_fail(format!("cannot make the store {}", path.display())),
            Self::Bucket(_) => Ok(()),
        }
    }

    /// The word for a place of this kind.
    pub fn noun(&self) -> &'static str {
        match self {
            Self::Directory(_) => "directory",
            Self::Bucket(_) => "prefix",
        }
    }

    /// Advice if it cannot be used.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Directory(_) => "--store names a directory that all shards can write to",
            Self::Bucket(_) => {
                "the bucket must exist, and the credentials must allow s3:ListBucket, s3:GetObject and s3:PutObject"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_directory_or_a_bucket() {
        let place = |text: &str| text.parse::<MeetingPlace>();
        assert_eq!(place("/a/b"), Ok(MeetingPlace::Directory("/a/b".into())));
        for text in ["s3://bucket/runs/42", "s3://my.bucket"] {
            let bucket = place(text).expect(text);
            assert!(matches!(bucket, MeetingPlace::Bucket(_)), "{bucket:?}");
            assert_eq!(bucket.to_string(), text);
        }
        let wrong = [
            "",
            "gs://bucket/x",
            "s3://",
            "s3:///x",
            "s3://Bucket/x",
            "s3://bucket/a b",
            "s3://bucket/a//b",
            "s3://bucket/../b",
            "s3://key:secret@bucket/x",
        ];
        for text in wrong {
            let error = place(text).expect_err(text);
            assert!(error.contains("s3://BUCKET/PREFIX"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
