//! Questions to the person at the terminal. They go to standard error, answers come from standard input.

use std::io::{self, BufRead, IsTerminal as _};

use crate::failure::{Failure, OrUnknown as _};
use crate::output::Output;

/// The longest answer.
const MAX_ANSWER: usize = 4096;

/// One who is asked.
pub struct Asked<'a> {
    out: Output,
    lines: Box<dyn BufRead + 'a>,
}

impl<'a> Asked<'a> {
    /// The person at standard input.
    pub fn stdin(out: Output) -> Self {
        Self { out, lines: Box::new(io::stdin().lock()) }
    }

    /// Lines that were prepared.
    #[cfg(test)]
    pub fn prepared(lines: &'a str) -> Self {
        Self { out: Output::Text, lines: Box::new(lines.as_bytes()) }
    }

    /// Says something that needs no answer.
    pub fn say(&self, text: &str) {
        self.out.say(text);
    }

    /// Asks for a text; an empty answer is `default`. Asks again until `read` takes it.
    ///
    /// # Errors
    /// When there are no more answers.
    pub fn text<T>(
        &mut self,
        question: &str,
        default: Option<&str>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, Failure> {
        let shown =
            default.filter(|text| !text.is_empty()).map(|text| format!(" [{text}]")).unwrap_or_default();
        loop {
            self.out.say(&format!("{question}{shown}:"));
            let answer = self.line()?;
            let answer = answer.trim();
            let given = match (answer, default) {
                ("", Some(default)) => default,
                (answer, _) => answer,
            };
            match read(given) {
                Ok(value) => return Ok(value),
                Err(why) => self.out.say(&format!("  {why}")),
            }
        }
    }

    /// Asks for yes or no.
    ///
    /// # Errors
    /// When there are no more answers.
    pub fn yes(&mut self, question: &str) -> Result<bool, Failure> {
        self.text(&format!("{question} (yes or no)"), None, |answer| {
            match answer.to_ascii_lowercase().as_str() {
                "y" | "yes" => Ok(true),
                "n" | "no" => Ok(false),
                _ => Err("`yes` or `no`".to_owned()),
            }
        })
    }

    fn line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        let mut bounded = io::Read::take(&mut self.lines, MAX_ANSWER as u64);
        let read = bounded.read_line(&mut line).or_unknown("cannot read the answer")?;
        if read == 0 {
            return Err(
                Failure::unknown("there is nobody to answer").hint("give everything as options, and `--yes`")
            );
        }
        Ok(line)
    }
}

/// Asks whether it is right, unless that was said on the command line.
///
/// # Errors
/// If it is not, or there is nobody to say so.
pub fn confirm(out: Output, said: bool, question: &str) -> Result<(), Failure> {
    if said {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::unknown("nobody can be asked whether this is right")
            .hint("look at it, and give `--yes`"));
    }
    if Asked::stdin(out).yes(question)? {
        return Ok(());
    }
    Err(Failure::refused("nothing was done: the answer was no"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_asked_again_until_the_answer_will_do() {
        let mut asked = Asked::prepared("x\n\n7\nmaybe\ny\n");
        let number = |text: &str| text.parse::<u32>().map_err(|error| error.to_string());
        assert_eq!(asked.text("how many", Some("3"), number).unwrap(), 3);
        assert_eq!(asked.text("how many", None, number).unwrap(), 7);
        assert!(asked.yes("right?").unwrap());
        assert_eq!(asked.yes("right?").unwrap_err().code(), 2);
    }
}
