//! Whether a message tells of an error, and by which word.
//!
//! Vendors say it in many places. What each place is worth is said here, for all of them:
//!
//! - An error it is by an `error` that says something, by `object` or `type` being `error`, by a reason to end that is an
//!   error, or by the framing. A top-level `code` beside a `message` is one too, where there is no answer: DashScope,
//!   Dify, Coze and Spark answer so with status 200. Numbers below 400 are no such codes.
//! - The word is the most telling one of the message, see [`Rank`]: `model_not_found` says more than
//!   `invalid_request_error`, and that more than `1300`.

use crate::json::MAX_TEXT;

/// What a member at the top level tells of an error, together with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// The kind of the whole object, `error` among them.
    Object,
    /// A code, which is one of an error if there is a message and no answer.
    Code,
    /// A code that is always one of an error, unless it is zero.
    ErrorCode,
    /// The text that comes with a code.
    Message,
    /// A word for the kind of an error.
    Type,
    /// A word for the error.
    Word,
}

/// How much a word tells, the most telling last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// A number: a status, or a code without a letter.
    Number,
    /// The name of an exception or a status.
    Name,
    /// A type.
    Type,
    /// A code with a letter.
    Code,
}

/// The smallest number that is taken for the code of an error where nothing else says that it is one.
const LEAST_CODE: u64 = 400;

/// What is known of the error of one message, or of one response.
#[derive(Clone, Debug, Default)]
pub(super) struct Fault {
    /// Whether it is one for certain.
    pub(super) certain: bool,
    /// Whether it is one where there is no answer: a code, and its message.
    code: bool,
    message: bool,
    word: Option<(Rank, String)>,
    /// The type of the whole message, which is a word if the message turns out to tell of an error.
    kind: Option<String>,
}

/// How long the type of a message may be to be the word of an error, in bytes.
const MAX_KIND: usize = 64;

impl Fault {
    /// Takes a text at a place of this sign; `raw` is not empty and may have escapes.
    pub(super) fn text(&mut self, sign: Sign, raw: &[u8]) {
        match sign {
            Sign::Object => self.certain |= raw == b"error",
            Sign::Message => self.message = true,
            Sign::Type => self.offer(Rank::Type, raw),
            Sign::Word => self.offer(rank_of_code(raw), raw),
            Sign::Code | Sign::ErrorCode => {
                let rank = rank_of_code(raw);
                let says_no = matches!(raw, b"0" | b"200" | b"success" | b"Success" | b"SUCCESS" | b"ok" | b"OK");
                self.code |= !says_no && (rank == Rank::Code || number(raw).is_some_and(|code| code >= LEAST_CODE));
                self.certain |= sign == Sign::ErrorCode && !says_no;
                if !says_no {
                    self.offer(rank, raw);
                }
            }
        }
    }

    /// Takes a number at a place of this sign.
    pub(super) fn number(&mut self, sign: Sign, raw: &[u8]) {
        match (sign, number(raw)) {
            (Sign::Code, Some(code)) if code >= LEAST_CODE => self.code = true,
            (Sign::ErrorCode, Some(code)) if code > 0 => self.certain = true,
            (Sign::Word, _) => {}
            _ => return,
        }
        self.offer(Rank::Number, raw);
    }

    /// Takes a member of an error: its key and a text or number.
    pub(super) fn member(&mut self, name: &[u8], raw: &[u8]) {
        match name {
            b"code" | b"Code" => self.offer(rank_of_code(raw), raw),
            b"type" | b"error_type" => self.offer(Rank::Type, raw),
            b"status" => self.offer(rank_of_code(raw).min(Rank::Name), raw),
            _ => {}
        }
    }

    /// Takes a word. The first of a rank stays.
    pub(super) fn offer(&mut self, rank: Rank, raw: &[u8]) {
        // `{"type":"error","error":{…}}` is Anthropic's envelope, not a word for what is wrong.
        if raw == b"error" || self.word.as_ref().is_some_and(|(known, _)| *known >= rank) {
            return;
        }
        // AWS writes names with what they belong to: `com.amazon.coral.service#ThrottlingException`.
        let raw = memchr::memrchr(b'#', raw).and_then(|at| raw.get(at.saturating_add(1)..)).unwrap_or(raw);
        let text = core::str::from_utf8(raw).ok().filter(|text| !text.is_empty() && raw.len() < MAX_TEXT);
        let text = text.and_then(|text| if raw.contains(&b'\\') { unescaped(text) } else { Some(text.to_owned()) });
        if let Some(text) = text {
            self.word = Some((rank, text));
        }
    }

    /// Whether it is an error, given whether there is an answer beside it.
    pub(super) const fn is_one(&self, answer: bool) -> bool {
        self.certain || (self.code && self.message && !answer)
    }

    /// Takes the type of the whole message. Types with a dot are those of events of an answer.
    pub(super) fn kind(&mut self, raw: &[u8]) {
        self.certain |= raw == b"error";
        if raw.len() <= MAX_KIND && !raw.contains(&b'.') {
            self.kind = core::str::from_utf8(raw).ok().map(str::to_owned);
        }
    }

    /// Takes what the error of one message says, where that tells more.
    pub(super) fn merge(&mut self, mut other: Self) {
        if (other.message || other.certain)
            && let Some(kind) = other.kind.take()
        {
            other.offer(Rank::Type, kind.as_bytes());
        }
        if let Some((rank, word)) = other.word
            && self.word.as_ref().is_none_or(|(known, _)| *known < rank)
        {
            self.word = Some((rank, word));
        }
    }

    /// The word.
    pub(super) fn word(&self) -> Option<&str> {
        self.word.as_ref().map(|(_, word)| word.as_str())
    }
}

/// A code with a letter tells most, one without least.
fn rank_of_code(raw: &[u8]) -> Rank {
    if raw.iter().any(u8::is_ascii_alphabetic) { Rank::Code } else { Rank::Number }
}

fn number(raw: &[u8]) -> Option<u64> {
    core::str::from_utf8(raw).ok()?.parse().ok()
}

fn unescaped(text: &str) -> Option<String> {
    crate::json::decode(["\"", text, "\""].concat().as_bytes()).ok().map(std::borrow::Cow::into_owned)
}
