//! What a stream has delivered, for those that do not say what they cost: a client that hangs up before the usage comes
//! has used the tokens all the same.

use super::Seen;

/// How many bytes of text make a token, about: four for English with the tokenisers of today.
const BYTES_PER_TOKEN: u64 = 4;

/// Counts what a stream delivers, at next to no cost: text is counted where it is looked at, which is until the first
/// content of the answer; from there on messages are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Estimate {
    /// Bytes of the text of the reasoning and of the first content.
    text: u64,
    /// Whether content has come.
    answered: bool,
    /// Messages behind the first content, except those that tell usage or an error.
    messages: u64,
}

impl Estimate {
    /// Takes note of a message that has so many bytes of text. Nobody knows of what is in it once content has come.
    pub fn message(&mut self, seen: Seen, text: usize) {
        if self.answered {
            self.messages = self.messages.saturating_add(u64::from(!seen.usage && !seen.error));
        } else if seen.content || seen.reasoning {
            self.text = self.text.saturating_add(text as u64);
            self.answered = seen.content;
        }
    }

    /// Takes note of so many messages that were not looked into.
    pub fn passed(&mut self, messages: usize) {
        self.messages = self.messages.saturating_add(messages as u64);
    }

    /// About how many tokens were delivered, a message behind the first content counting as one; `None` if none was.
    #[must_use]
    pub fn tokens(&self) -> Option<u64> {
        let tokens = self.text.div_ceil(BYTES_PER_TOKEN).saturating_add(self.messages);
        (self.answered || self.text > 0).then_some(tokens.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn text_counts_until_the_first_content_and_messages_after_it() {
        let reasoning = Seen { reasoning: true, ..Seen::default() };
        let content = Seen { content: true, ..Seen::default() };
        let mut estimate = Estimate::default();
        estimate.message(Seen::default(), 200);
        assert_eq!(estimate.tokens(), None, "a role is no content");
        estimate.message(reasoning, 7);
        assert_eq!(estimate.tokens(), Some(2));
        estimate.message(content, 2);
        assert_eq!(estimate.tokens(), Some(3));
        for seen in [content, Seen::default(), Seen { usage: true, ..content }, Seen { error: true, ..content }] {
            estimate.message(seen, 50);
        }
        assert_eq!(estimate.tokens(), Some(5));
        estimate.passed(10);
        assert_eq!(estimate.tokens(), Some(15));

        // A tool call has content, though no text of it is counted.
        let mut estimate = Estimate::default();
        estimate.message(content, 0);
        assert_eq!(estimate.tokens(), Some(1));
    }
}
