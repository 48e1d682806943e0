//! Signatures of messages: HMAC with SHA-256 (RFC 2104).

use std::fmt::Write as _;

use ring::hmac::{Context, HMAC_SHA256, Key};

/// The signature of some parts, one after the other, in lower-case hexadecimal.
pub fn sha256_hex(key: &[u8], parts: &[&[u8]]) -> String {
    let mut context = Context::with_key(&Key::new(HMAC_SHA256, key));
    parts.iter().for_each(|part| context.update(part));
    let mut text = String::new();
    for byte in context.sign().as_ref() {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::sha256_hex;

    #[test]
    fn a_signature_is_that_of_the_standard() {
        // Test case 2 of RFC 4231.
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(sha256_hex(b"Jefe", &[b"what do ya want ", b"for nothing?"]), expected);
    }
}
