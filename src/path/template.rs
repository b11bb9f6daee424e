//! Path templates: literal text with slots for the model and for ids.

use super::Refusal;
use super::segment::{push_as_sent, push_encoded};
use crate::operation::{ClientPath, Operation};

/// A path with holes that only a request can fill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    /// The id of that name in the client's path.
    Id(&'static str),
    /// The model: from the client's path where it has one, else from the body.
    Model,
}

/// A slot that nothing can fill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotError {
    /// The name between the braces.
    pub slot: String,
}

impl Template {
    /// A path without slots; braces in it are literal.
    #[must_use]
    pub fn literal(path: &str) -> Self {
        Self(vec![Piece::Literal(path.to_owned())])
    }

    /// Parses a path in which `{model}` and the ids of `operation` are slots.
    ///
    /// # Errors
    /// A slot of another name, or a brace that is not closed.
    pub fn parse(text: &str, operation: Operation) -> Result<Self, SlotError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((literal, after)) = rest.split_once('{') {
            let (name, tail) = after.split_once('}').ok_or_else(|| SlotError { slot: after.to_owned() })?;
            if !literal.is_empty() {
                pieces.push(Piece::Literal(literal.to_owned()));
            }
            pieces.push(match (name, operation.suffix().and_then(|suffix| slot_named(suffix, name))) {
                ("model", _) => Piece::Model,
                (_, Some(name)) => Piece::Id(name),
                (name, None) => return Err(SlotError { slot: name.to_owned() }),
            });
            rest = tail;
        }
        if !rest.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Literal(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    /// Whether the path holds the model.
    #[must_use]
    pub fn has_model(&self) -> bool {
        self.0.contains(&Piece::Model)
    }

    /// Appends the path. `model` is the model as it goes upstream; without it the one in the client's path is used as
    /// it was sent.
    ///
    /// # Errors
    /// [`Refusal::NoModel`] where no model is known, [`Refusal::Unsafe`] for values that would not stay one segment.
    pub fn fill(&self, out: &mut String, client: &ClientPath<'_>, model: Option<&str>) -> Result<(), Refusal> {
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Id(name) => push_as_sent(out, client.id(name).unwrap_or_default()).map_err(Refusal::Unsafe)?,
                Piece::Model => match (model, client.id("model")) {
                    (Some(model), _) => push_encoded(out, model).map_err(Refusal::Unsafe)?,
                    (None, Some(sent)) => push_as_sent(out, sent).map_err(Refusal::Unsafe)?,
                    (None, None) => return Err(Refusal::NoModel),
                },
            }
        }
        Ok(())
    }
}

/// The slot `name` of a canonical suffix, with the suffix's lifetime.
fn slot_named(suffix: &'static str, name: &str) -> Option<&'static str> {
    suffix.split('{').skip(1).filter_map(|part| part.split_once('}')).map(|(slot, _)| slot).find(|slot| *slot == name)
}

/// Fills the slots whose values are configured and leaves all others.
#[must_use]
pub fn fill_slots(text: &str, slots: &[(&'static str, String)]) -> String {
    let mut out = text.to_owned();
    for (name, value) in slots {
        let slot = format!("{{{name}}}");
        if out.contains(&slot) {
            out = out.replace(&slot, value);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn fills_ids_as_sent_and_models_encoded() {
        let template = Template::parse("/x/files/{file_id}/content", Operation::FileContent).unwrap();
        let client = ClientPath::parse("/v1/files/file%2D1/content");
        let mut out = String::new();
        template.fill(&mut out, &client, None).unwrap();
        assert_eq!(out, "/x/files/file%2D1/content");

        let template = Template::parse("/deployments/{model}/chat", Operation::ChatCompletions).unwrap();
        let client = ClientPath::parse("/v1/chat/completions");
        let mut out = String::new();
        assert_eq!(template.fill(&mut out, &client, None), Err(Refusal::NoModel));
        out.clear();
        template.fill(&mut out, &client, Some("a/b")).unwrap();
        assert_eq!(out, "/deployments/a%2Fb/chat");
    }

    #[test]
    fn a_slot_nobody_fills_is_an_error() {
        for text in ["/{x}", "/{model", "/{file_id}"] {
            assert!(Template::parse(text, Operation::ChatCompletions).is_err(), "{text}");
        }
    }
}
