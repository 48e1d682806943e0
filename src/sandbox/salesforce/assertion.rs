//! Signed assertions (JWT, RFC 7519; RS256), read with code of the sandbox's own: a mistake of the code that signs them, which
//! is Syncline's, must not hide behind the same one here.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde_json::Value;

/// Base64 of the parts: no padding, and nothing left over.
const PARTS: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone),
);

/// The claims of an assertion that the owner of the public key (PEM) signed; none for any other text.
pub fn claims(assertion: &str, public_key: &str) -> Option<Value> {
    let parts: Vec<&str> = assertion.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else { return None };
    let json = |part: &str| -> Option<Value> { serde_json::from_slice(&PARTS.decode(part).ok()?).ok() };
    let header = json(header).filter(Value::is_object)?;
    // `none` and the algorithms with a shared secret would let anybody sign.
    if header["alg"] != "RS256" || header.get("crit").is_some() {
        return None;
    }
    let signed = assertion.get(..assertion.len() - signature.len() - 1)?;
    let (modulus, exponent) = rsa(&der(public_key)?)?;
    let key = RsaPublicKeyComponents { n: modulus, e: exponent };
    key.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &PARTS.decode(signature).ok()?).ok()?;
    json(claims).filter(Value::is_object)
}

/// The bytes between the lines of a PEM public key.
fn der(pem: &str) -> Option<Vec<u8>> {
    let lines = pem.lines().map(str::trim).skip_while(|line| *line != "-----BEGIN PUBLIC KEY-----").skip(1);
    let mut text = String::new();
    let mut ended = false;
    for line in lines {
        if line == "-----END PUBLIC KEY-----" {
            ended = true;
            break;
        }
        text.push_str(line);
    }
    base64::engine::general_purpose::STANDARD.decode(text).ok().filter(|_| ended)
}

/// Modulus and exponent in a `SubjectPublicKeyInfo`:
/// `SEQUENCE { SEQUENCE { OID rsaEncryption, NULL }, BIT STRING { SEQUENCE { INTEGER n, INTEGER e } } }`.
fn rsa(der: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    const RSA_ENCRYPTION: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    let mut info = Reader(Reader(der).last(0x30)?);
    let mut algorithm = Reader(info.next(0x30)?);
    if algorithm.next(0x06)? != RSA_ENCRYPTION {
        return None;
    }
    // The first byte of a bit string says how many bits of the last one do not count.
    let key = Reader(info.last(0x03)?.strip_prefix(&[0])?).last(0x30)?;
    let mut key = Reader(key);
    let number = |bytes: &[u8]| -> Option<Vec<u8>> {
        // A zero in front keeps a large number positive; `ring` takes it without.
        let bytes = bytes.strip_prefix(&[0]).unwrap_or(bytes);
        (!bytes.is_empty()).then(|| bytes.to_vec())
    };
    let modulus = number(key.next(0x02)?)?;
    let exponent = number(key.last(0x02)?)?;
    Some((modulus, exponent))
}

/// Reads DER elements one after the other.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Content of the next element, which must have this tag.
    fn next(&mut self, tag: u8) -> Option<&'a [u8]> {
        let [found, rest @ ..] = self.0 else { return None };
        let (length, rest) = match rest {
            [short @ 0..=0x7f, rest @ ..] => (usize::from(*short), rest),
            [0x81, one, rest @ ..] => (usize::from(*one), rest),
            [0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
            // No key is as long as that.
            _ => return None,
        };
        let content = rest.get(..length).filter(|_| *found == tag)?;
        self.0 = &rest[length..];
        Some(content)
    }

    /// Content of an element after which nothing may come.
    fn last(mut self, tag: u8) -> Option<&'a [u8]> {
        let content = self.next(tag)?;
        self.0.is_empty().then_some(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: &str = include_str!("../../sys/testdata/jwt_public.pem");
    const PRIVATE: &str = include_str!("../../sys/testdata/jwt_pkcs8.pem");

    /// Signed by `openssl dgst -sha256 -sign`: `{"exp":1790845380,"iss":"id"}`.
    const SIGNED_BY_OPENSSL: &str = "\
        eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJleHAiOjE3OTA4NDUzODAsImlzcyI6ImlkIn0.Mfp1380iQ8At_doQYoRqGRQ\
        GYSWJfqDhAiJq-8xhKgw57LJPo7vpBrifXTobHPlHBI_2AQ5C-GRvOTmupqqUxnKxjmA0ox_aFI9n7U9iQfVA7pz_2737jkkmATf\
        OIt2E1uhh3oJdg_ytfyuVXTewPiiIxbxypsqwXYSIpEqKTMjUeluPPDVlmZQ3I3av9UGtz3h2pSG8BGAjSVzYDxh10ZFmsAxfPr0\
        NyUzpb3OMT1dQljt8Tf7f2rQ9N5uGAjT7nu4pMuBMXhzHwkmFzjdw8R682Vehjv9yXjxV370tZIT7ERVz1X2pZIbw9QTxlOP5Nco\
        egwuS27LVEvIXkyc37A";

    #[test]
    fn what_openssl_signed_is_read() {
        let read = claims(SIGNED_BY_OPENSSL, PUBLIC).unwrap();
        assert_eq!((read["iss"].as_str(), read["exp"].as_i64()), (Some("id"), Some(1_790_845_380)));
        let windows = PUBLIC.replace('\n', "\r\n");
        assert!(
            claims(SIGNED_BY_OPENSSL, &format!("a comment\n{windows}")).is_some(),
            "line breaks and comments of any kind"
        );
    }

    #[test]
    fn what_syncline_signs_is_read() {
        let body = serde_json::json!({"iss": "id", "aud": "http://localhost"});
        let token = crate::sys::jwt::sign(&body, PRIVATE).unwrap();
        assert_eq!(claims(&token, PUBLIC), Some(body));
    }

    #[test]
    fn any_other_text_is_refused() {
        let parts: Vec<&str> = SIGNED_BY_OPENSSL.split('.').collect();
        let [header, body, signature] = parts.as_slice() else { panic!("three parts") };
        let encode = |text: &str| PARTS.encode(text);
        let other = encode(r#"{"iss":"other"}"#);
        for bad in [
            String::new(),
            "a.b.c".to_owned(),
            format!("{header}.{body}"),
            format!("{header}.{body}."),
            format!("{header}.{other}.{signature}"),
            format!("{}.{body}.", encode(r#"{"alg":"none"}"#)),
            format!("{}.{body}.{signature}", encode(r#"{"alg":"HS256"}"#)),
            format!("{}.{body}.{signature}", encode(r#"{"alg":"RS256"}"#)),
            format!("{SIGNED_BY_OPENSSL}="),
            format!("{SIGNED_BY_OPENSSL}."),
            format!("{SIGNED_BY_OPENSSL}A"),
        ] {
            assert_eq!(claims(&bad, PUBLIC), None, "{bad}");
        }
    }

    #[test]
    fn what_is_no_public_key_verifies_nothing() {
        let cut = &PUBLIC[..PUBLIC.len() / 2];
        let short = "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n";
        let endless = PUBLIC.replace("-----END PUBLIC KEY-----", "");
        for bad in ["", "text", PRIVATE, cut, short, &endless] {
            assert_eq!(claims(SIGNED_BY_OPENSSL, bad), None, "{bad}");
        }
        let whole = der(PUBLIC).unwrap();
        for end in 0..whole.len() {
            assert_eq!(rsa(&whole[..end]), None, "cut after {end} bytes");
        }
        assert_eq!(rsa(&[&whole[..], &[0]].concat()), None, "something after it");
    }
}
