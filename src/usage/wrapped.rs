//! The chunks of Bedrock's InvokeModelWithResponseStream: `{"bytes":"…"}` with the vendor's own event in base64.

use memchr::memmem;

/// The key of the member that has the event; there is no other place with such a key.
const KEY: &[u8] = b"\"bytes\"";

/// How many bytes before it a message may have to be such a chunk: the padding member `p` may come first.
const MAX_BEFORE: usize = 512;

/// The event within a chunk. `None` if the message is not a chunk.
pub(super) fn unwrap(data: &[u8]) -> Option<Vec<u8>> {
    // Most messages are told apart here. The other member of a chunk is its padding.
    let first = data.strip_prefix(b"{")?.trim_ascii_start();
    if !first.starts_with(KEY) && !first.starts_with(b"\"p\"") {
        return None;
    }
    let start = memmem::find(first.get(..MAX_BEFORE).unwrap_or(first), KEY)?.checked_add(KEY.len())?;
    let value = first.get(start..)?.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let encoded = value.strip_prefix(b"\"")?;
    let end = memchr::memchr(b'"', encoded)?;
    decode(encoded.get(..end)?)
}

/// Standard base64, with or without padding.
fn decode(encoded: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let (mut bits, mut held) = (0u32, 0u32);
    for byte in encoded {
        let value = match byte {
            b'A'..=b'Z' => byte.wrapping_sub(b'A'),
            b'a'..=b'z' => byte.wrapping_sub(b'a').wrapping_add(26),
            b'0'..=b'9' => byte.wrapping_sub(b'0').wrapping_add(52),
            b'+' => 62,
            b'/' => 63,
            b'=' => break,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held = held.saturating_add(6);
        if let Some(left) = held.checked_sub(8) {
            held = left;
            decoded.push((bits >> left) as u8);
        }
    }
    Some(decoded)
}
