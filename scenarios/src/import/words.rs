//! A command as a shell reads it: POSIX words, with `$'…'` as browsers write it.
//!
//! Nothing is expanded. Whatever a shell would do beyond splitting (variables, pipes, redirections) is refused, and so is a
//! command for cmd.exe, which has `^` where a POSIX shell has `\`.

use std::iter::Peekable;
use std::str::Chars;

use super::ImportError;

/// The words of a command.
pub(super) fn split(command: &str) -> Result<Vec<String>, ImportError> {
    let mut splitter = Splitter {
        rest: command.trim().chars().peekable(),
        words: Vec::new(),
        word: None,
    };
    splitter.split()?;
    Ok(splitter.words)
}

struct Splitter<'a> {
    rest: Peekable<Chars<'a>>,
    words: Vec<String>,
    /// The word so far; an empty one if it has quotes.
    word: Option<String>,
}

impl Splitter<'_> {
    fn split(&mut self) -> Result<(), ImportError> {
        while let Some(letter) = self.rest.next() {
            match letter {
                ' ' | '\t' | '\n' | '\r' => self.words.extend(self.word.take()),
                '\\' => self.backslash(),
                '\'' => self.single_quoted()?,
                '"' => self.double_quoted()?,
                '$' if self.rest.next_if_eq(&'\'').is_some() => self.ansi_quoted()?,
                '$' => self.dollar()?,
                '^' => return Err(cmd()),
                '|' | '&' | ';' | '<' | '>' | '(' | ')' | '`' => return Err(operator(letter)),
                '#' if self.word.is_none() => {
                    while self.rest.next_if(|it| *it != '\n').is_some() {}
                }
                letter => self.push(letter),
            }
        }
        self.words.extend(self.word.take());
        Ok(())
    }

    fn push(&mut self, letter: char) {
        self.word.get_or_insert_default().push(letter);
    }

    fn backslash(&mut self) {
        // A file from Windows has a carriage return before the newline.
        let newline = (self.rest.clone().next() == Some('\r')).then(|| self.rest.next());
        match self.rest.next() {
            Some('\n') => {}
            Some(letter) => {
                newline.flatten().into_iter().for_each(|it| self.push(it));
                self.push(letter);
            }
            None => self.push('\\'),
        }
    }

    fn single_quoted(&mut self) -> Result<(), ImportError> {
        self.word.get_or_insert_default();
        loop {
            match self.rest.next().ok_or_else(|| unclosed("'"))? {
                '\'' => return Ok(()),
                letter => self.push(letter),
            }
        }
    }

    fn double_quoted(&mut self) -> Result<(), ImportError> {
        self.word.get_or_insert_default();
        loop {
            match self.rest.next().ok_or_else(|| unclosed("\""))? {
                '"' => return Ok(()),
                '`' => return Err(operator('`')),
                '$' => self.dollar()?,
                '^' if self.rest.peek() == Some(&'%') => return Err(cmd()),
                '\\' => match self.rest.next_if(|it| "\"\\$`\n".contains(*it)) {
                    Some('\n') => {}
                    Some(letter) => self.push(letter),
                    None => self.push('\\'),
                },
                letter => self.push(letter),
            }
        }
    }

    /// A `$` that is not part of `$'…'`: literal, unless a shell would expand it.
    fn dollar(&mut self) -> Result<(), ImportError> {
        let Some(next) = self.rest.peek().copied().filter(|it| is_expanded(*it)) else {
            self.push('$');
            return Ok(());
        };
        let is_of_name = |it: &char| *it == '_' || it.is_ascii_alphanumeric();
        let name: String = self.rest.clone().take_while(is_of_name).collect();
        let name = if name.is_empty() {
            next.to_string()
        } else {
            name
        };
        Err(ImportError::new(format!(
            "`${name}` is for a shell to expand, expected the value itself"
        ))
        .hint("type `photofinish import` in front of the command without quotes around it"))
    }

    /// `$'…'`: escapes as in C.
    fn ansi_quoted(&mut self) -> Result<(), ImportError> {
        self.word.get_or_insert_default();
        let mut bytes = Vec::new();
        loop {
            match self.rest.next().ok_or_else(|| unclosed("$'"))? {
                '\'' => break,
                '\\' => self.escape(&mut bytes)?,
                letter => push_utf8(letter, &mut bytes),
            }
        }
        let text = String::from_utf8(bytes).map_err(|_| {
            ImportError::new("expected UTF-8 in `$'…'`, got other bytes")
                .hint("put the body into a file and name it with --data-binary @FILE")
        })?;
        self.word.get_or_insert_default().push_str(&text);
        Ok(())
    }

    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), ImportError> {
        let letter = self.rest.next().ok_or_else(|| unclosed("$'"))?;
        match letter {
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            'a' => bytes.push(7),
            'b' => bytes.push(8),
            'e' | 'E' => bytes.push(27),
            'f' => bytes.push(12),
            'v' => bytes.push(11),
            'x' => {
                let byte = self.digits(2, 16).unwrap_or(u32::from(b'x'));
                bytes.extend(u8::try_from(byte));
            }
            '0'..='7' => {
                let first = letter.to_digit(8).unwrap_or_default();
                let rest = self.octal(first);
                bytes.push(u8::try_from(rest & 0xff).unwrap_or_default());
            }
            'u' | 'U' => {
                let code = self.code_point(if letter == 'u' { 4 } else { 8 });
                let wrong = || {
                    ImportError::new(format!(
                        "`\\{letter}` in `$'…'` is not followed by a character's number"
                    ))
                };
                push_utf8(code.ok_or_else(wrong)?, bytes);
            }
            letter if "\\'\"?".contains(letter) => push_utf8(letter, bytes),
            letter => {
                bytes.push(b'\\');
                push_utf8(letter, bytes);
            }
        }
        Ok(())
    }

    /// Up to two more octal digits.
    fn octal(&mut self, first: u32) -> u32 {
        let mut value = first;
        for _ in 0..2 {
            let Some(digit) = self.rest.peek().and_then(|it| it.to_digit(8)) else {
                break;
            };
            self.rest.next();
            value = value * 8 + digit;
        }
        value
    }

    fn digits(&mut self, most: usize, radix: u32) -> Option<u32> {
        let mut value = None;
        for _ in 0..most {
            let Some(digit) = self.rest.peek().and_then(|it| it.to_digit(radix)) else {
                break;
            };
            self.rest.next();
            value = Some(
                value
                    .unwrap_or(0_u32)
                    .wrapping_mul(radix)
                    .wrapping_add(digit),
            );
        }
        value
    }

    /// A character by number; browsers write two for one beyond the first 65,536, as in UTF-16.
    fn code_point(&mut self, most: usize) -> Option<char> {
        let first = self.digits(most, 16)?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first);
        }
        self.rest.next_if_eq(&'\\')?;
        self.rest.next_if_eq(&'u')?;
        let second = self.digits(4, 16)?.checked_sub(0xdc00)?;
        char::from_u32(0x10000 + ((first - 0xd800) << 10) + second)
    }
}

/// True if a shell expands a `$` before this.
fn is_expanded(next: char) -> bool {
    next.is_ascii_alphanumeric() || "_{(@*#?$!-".contains(next)
}

fn push_utf8(letter: char, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
}

fn unclosed(quote: &str) -> ImportError {
    ImportError::new(format!(
        "expected the end of the text that `{quote}` begins"
    ))
    .hint("copy the whole command, to its last line")
}

fn operator(letter: char) -> ImportError {
    ImportError::new(format!(
        "expected one command, got `{letter}`, which a shell reads as an operator"
    ))
    .hint("leave out whatever is not curl's; put a URL with `&` or `;` in single quotes")
}

fn cmd() -> ImportError {
    ImportError::new("expected a command for a POSIX shell, got one for cmd.exe (`^`)")
        .hint("in the browser's menu, choose `Copy as cURL (bash)` or `(POSIX)`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(command: &str, expected: &[&str]) {
        assert_eq!(split(command).expect("words"), expected);
    }

    #[test]
    fn words_are_split_as_by_a_posix_shell() {
        check("curl  a\tb\n c", &["curl", "a", "b", "c"]);
        check("a \\\n  b \\\r\n c", &["a", "b", "c"]);
        check(
            r#"'a "b\' "c 'd' \" \\ \$ \n" e\ f '' "" x''y"#,
            &["a \"b\\", "c 'd' \" \\ $ \\n", "e f", "", "", "xy"],
        );
        check("a$ \"b$\" # the rest", &["a$", "b$"]);
        check(
            r"$'a\'b\n\x41\101\u00e9\u0021\ud83d\ude00\U0001f600\\\q'",
            &["a'b\nAA\u{e9}!\u{1f600}\u{1f600}\\\\q"],
        );
        check(r"$'\xc3\xa9'$'x'", &["\u{e9}x"]);
    }

    #[test]
    fn commands_for_other_shells_are_refused_with_a_reason() {
        for (command, expected) in [
            ("curl ^\"http://h/^\" ^\r\n  -H ^\"a: b^\"", "cmd.exe"),
            ("curl \"http://h/?a=^%^20\"", "cmd.exe"),
            ("curl http://h/?a=1&b=2", "`&`"),
            ("curl h | jq .", "`|`"),
            ("curl \"`date`\"", "`"),
            ("curl -H \"a: $TOKEN\"", "`$TOKEN`"),
            ("curl ${HOST}", "`${`"),
            ("curl 'h", "`'`"),
            ("curl \"h", "`\"`"),
            ("curl $'h", "`$'`"),
            (r"curl $'\xff'", "UTF-8"),
            (r"curl $'\ud83d'", "`\\u`"),
        ] {
            let error = split(command).expect_err(command);
            assert!(error.message.contains(expected), "{command}: {error}");
        }
    }

    proptest! {
        #[test]
        fn every_string_survives_each_kind_of_quotes(text in "(?s).{0,40}") {
            let single = format!("'{}'", text.replace('\'', r"'\''"));
            let double: String = text.chars().flat_map(|it| {
                let escape = "\"\\$`".contains(it).then_some('\\');
                escape.into_iter().chain([it])
            }).collect();
            let ansi: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            prop_assert_eq!(split(&single).expect("words"), [text.clone()]);
            // cmd.exe's way to write a percent sign is refused in double quotes.
            if !text.contains("^%") {
                prop_assert_eq!(split(&format!("\"{double}\"")).expect("words"), [text.clone()]);
            }
            prop_assert_eq!(split(&format!("$'{ansi}'")).expect("words"), [text]);
        }

        #[test]
        fn no_text_ends_the_program(text in "[\\\\'\"$ux0-9a-f{^% \n]{0,60}") {
            let _ = split(&text);
        }
    }
}
