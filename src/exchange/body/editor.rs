//! The editor of a body in either format.

use super::format::Format;
use super::request::Request;
use crate::error::Error;
use crate::json::{self, Keys, Output};
use crate::multipart;
use std::borrow::Cow;

/// Edits one body, chunk by chunk.
pub(super) enum Editor {
    Json {
        editor: json::Editor,
        /// Whether its type says that it is JSON.
        named: bool,
    },
    Multipart(multipart::Editor),
}

impl Editor {
    pub(super) fn new(format: &Format, keys: Keys) -> Self {
        match &format.boundary {
            Some(boundary) => Self::Multipart(multipart::Editor::new(boundary)),
            None => Self::Json { editor: json::Editor::new(keys), named: format.named },
        }
    }

    /// Takes out what is withheld, which has to be [put back](Self::restore) before the next chunk.
    pub(super) fn park(&mut self) -> Vec<u8> {
        match self {
            Self::Json { editor, .. } => editor.park(),
            Self::Multipart(editor) => editor.park(),
        }
    }

    /// Puts back what was taken out.
    pub(super) fn restore(&mut self, held: Vec<u8>) {
        match self {
            Self::Json { editor, .. } => editor.restore(held),
            Self::Multipart(editor) => editor.restore(held),
        }
    }

    pub(super) fn feed(&mut self, chunk: Cow<'_, [u8]>, request: &mut Request) -> Result<Output, Error> {
        match self {
            Self::Json { editor, named } => {
                editor.feed(chunk, request).map_err(|error| no_json(*named, error, editor.finish()))
            }
            Self::Multipart(editor) => editor.feed(&chunk, request),
        }
    }

    pub(super) fn finish(&self) -> Result<(), Error> {
        match self {
            Self::Json { editor, named } => {
                editor.finish().map_err(|error| no_json(*named, Error::from(error), Err(error)))
            }
            Self::Multipart(editor) => editor.finish().map_err(Error::from),
        }
    }
}

/// The error of a body that could not be read as JSON. Where nothing said that it is JSON, it is something else.
pub(super) fn no_json(named: bool, error: Error, found: Result<(), json::Error>) -> Error {
    match found {
        Err(found) if !named && !found.kind.is_json() => {
            Error::UnreadableBody("is no JSON object, and of a type that is not understood here")
        }
        _ => error,
    }
}
