//! Writes frames of `application/vnd.amazon.eventstream`, without anything of the code that reads them.

/// A frame with these encoded headers and this payload.
pub(crate) fn frame(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let length = 16 + headers.len() + payload.len();
    let mut frame = (length as u32).to_be_bytes().to_vec();
    frame.extend((headers.len() as u32).to_be_bytes());
    frame.extend(crc32(&frame).to_be_bytes());
    frame.extend(headers);
    frame.extend(payload);
    frame.extend(crc32(&frame).to_be_bytes());
    frame
}

/// A header with a string.
pub(crate) fn header(name: &str, value: &str) -> Vec<u8> {
    let mut header = vec![name.len() as u8];
    header.extend(name.as_bytes());
    header.push(7);
    header.extend((value.len() as u16).to_be_bytes());
    header.extend(value.as_bytes());
    header
}

/// CRC-32 as in the book: the remainder of a division, bit by bit.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let mut remainder = u32::MAX;
    for byte in bytes {
        for bit in 0..8 {
            let carry = (remainder ^ u32::from(byte >> bit)) & 1 == 1;
            remainder >>= 1;
            if carry {
                remainder ^= 0xedb8_8320;
            }
        }
    }
    !remainder
}
