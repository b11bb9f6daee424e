//! What a body that is edited as it passes keeps from one chunk to the next, against the budget: the beginning of a member
//! that a chunk has cut waits in it, and what it takes to decompress the body is counted.

use super::body::Stream;
use crate::memory::{BodyCopy, GivenUp, Held, Memory};
use crate::operation::Dialect;

/// What the editor of one body withholds, from one chunk to the next.
#[derive(Default)]
pub(super) struct Parked(Option<Place>);

enum Place {
    /// The body cannot go on without it.
    Needed(Held),
    /// The body is only observed, and is left alone when this is dropped.
    Spare(BodyCopy),
}

/// Whose body it is.
#[derive(Clone, Copy)]
pub(super) struct Owner {
    /// The HTTP context.
    pub context: u32,
    /// What the client speaks.
    pub dialect: Dialect,
}

impl Parked {
    /// Gives the body back what it withheld.
    ///
    /// # Errors
    /// The stream was given up.
    pub(super) fn restore(&mut self, body: &mut Stream) -> Result<(), GivenUp> {
        match &mut self.0 {
            None => {}
            Some(Place::Needed(held)) => body.restore(held.take()?),
            Some(Place::Spare(copy)) => match copy.take() {
                Some(bytes) => body.restore(bytes),
                None => body.give_up(),
            },
        }
        Ok(())
    }

    /// Takes what the body withholds, and counts what it keeps besides.
    ///
    /// # Errors
    /// The stream is given up.
    pub(super) fn park(&mut self, body: &mut Stream, memory: &Memory, owner: Owner) -> Result<(), GivenUp> {
        let (bytes, besides) = (body.park(), body.unpacking());
        if bytes.is_empty() && besides == 0 {
            return Ok(());
        }
        let place = self.0.get_or_insert_with(|| {
            if body.is_observed() {
                Place::Spare(BodyCopy::new(memory))
            } else {
                Place::Needed(Held::new(memory, owner.context, owner.dialect))
            }
        });
        match place {
            Place::Needed(held) => {
                if besides > 0 {
                    held.reserve(besides)?;
                }
                if bytes.is_empty() { Ok(()) } else { held.park(bytes) }
            }
            Place::Spare(copy) => {
                if !copy.push(&bytes) {
                    body.give_up();
                }
                Ok(())
            }
        }
    }

    /// Why the stream was given up, if it was.
    pub(super) fn given_up(&self) -> Option<GivenUp> {
        match &self.0 {
            Some(Place::Needed(held)) => held.given_up(),
            Some(Place::Spare(_)) | None => None,
        }
    }
}
