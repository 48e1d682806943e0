//! JSON Web Tokens that are signed by RSA with SHA-256 (RS256): the one form that Salesforce takes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer};
use serde::Serialize;
use serde_json::Value;

/// Signs claims with a private key in PEM, PKCS#8 or PKCS#1. None when the key cannot sign: why is left out on purpose,
/// since it may quote the key.
pub fn sign(claims: &impl Serialize, private_key: &str) -> Option<String> {
    let pair = match PrivateKeyDer::from_pem_slice(private_key.as_bytes()).ok()? {
        PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
        _ => return None,
    };
    let pair = pair.ok()?;
    let header = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"RS256"}"#);
    let body = URL_SAFE_NO_PAD.encode(serde_json::to_vec(claims).ok()?);
    let signed = format!("{header}.{body}");
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).ok()?;
    Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// The claims of a token, when the owner of a public key (in PEM, as `openssl rsa -pubout` writes it) signed it.
pub fn verify(token: &str, public_key: &str) -> Option<Value> {
    let key = SubjectPublicKeyInfoDer::from_pem_slice(public_key.as_bytes()).ok()?;
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, body) = signed.split_once('.')?;
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    // The token must not choose how it is verified: `none` would let anybody sign.
    if header["alg"] != "RS256" {
        return None;
    }
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, rsa_key(key.as_ref())?);
    key.verify(signed.as_bytes(), &signature).ok()?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).ok()?).ok()
}

/// The RSA key within a `SubjectPublicKeyInfo` (RFC 5280): a sequence of the algorithm and a string of bits.
fn rsa_key(info: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const BIT_STRING: u8 = 0x03;
    let (info, _) = element(info, SEQUENCE)?;
    let (_algorithm, rest) = element(info, SEQUENCE)?;
    let (bits, _) = element(rest, BIT_STRING)?;
    // The first byte counts the unused bits of the last one.
    bits.strip_prefix(&[0])
}

/// Content of a DER element with this tag, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let (short, rest) = rest.split_first()?;
    let (length, rest) = match *short {
        0..=0x7f => (usize::from(*short), rest),
        // Four bytes of length are more than any key has.
        0x81..=0x84 => {
            let (long, rest) = rest.split_at_checked(usize::from(*short & 0x7f))?;
            (long.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    if *first == tag { rest.split_at_checked(length) } else { None }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A 2048-bit key made for these tests alone, in three forms.
    const PKCS8: &str = include_str!("testdata/jwt_pkcs8.pem");
    const PKCS1: &str = include_str!("testdata/jwt_pkcs1.pem");
    const PUBLIC: &str = include_str!("testdata/jwt_public.pem");

    /// Claims signed by `openssl dgst -sha256 -sign`, so that no mistake of `sign` hides behind the same one of `verify`.
    const SIGNED_BY_OPENSSL: &str = "\
        eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJleHAiOjE3OTA4NDUzODAsImlzcyI6ImlkIn0.Mfp1380iQ8At_doQYoRqGRQ\
        GYSWJfqDhAiJq-8xhKgw57LJPo7vpBrifXTobHPlHBI_2AQ5C-GRvOTmupqqUxnKxjmA0ox_aFI9n7U9iQfVA7pz_2737jkkmATf\
        OIt2E1uhh3oJdg_ytfyuVXTewPiiIxbxypsqwXYSIpEqKTMjUeluPPDVlmZQ3I3av9UGtz3h2pSG8BGAjSVzYDxh10ZFmsAxfPr0\
        NyUzpb3OMT1dQljt8Tf7f2rQ9N5uGAjT7nu4pMuBMXhzHwkmFzjdw8R682Vehjv9yXjxV370tZIT7ERVz1X2pZIbw9QTxlOP5Nco\
        egwuS27LVEvIXkyc37A";

    #[test]
    fn what_a_key_signs_its_public_half_verifies() {
        let claims = json!({"iss": "id", "exp": 1_790_845_380});
        let token = sign(&claims, PKCS8).unwrap();
        assert_eq!(token, SIGNED_BY_OPENSSL);
        assert_eq!(sign(&claims, PKCS1).as_ref(), Some(&token));
        assert_eq!(verify(&token, PUBLIC), Some(claims));
    }

    #[test]
    fn a_changed_token_is_refused() {
        let token = sign(&json!({"sub": "ann"}), PKCS8).unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let (header, _) = signed.split_once('.').unwrap();
        let other = URL_SAFE_NO_PAD.encode(json!({"sub": "bob"}).to_string());
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
        for bad in [
            String::new(),
            signed.to_owned(),
            format!("{signed}."),
            format!("{header}.{other}.{signature}"),
            format!("{none}.{other}."),
            format!("{token}A"),
        ] {
            assert_eq!(verify(&bad, PUBLIC), None, "{bad}");
        }
    }

    #[test]
    fn what_is_no_key_neither_signs_nor_verifies() {
        let token = sign(&json!({}), PKCS8).unwrap();
        let cut = &PUBLIC[..PUBLIC.len() / 2];
        let short = "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n";
        for bad in ["", "text", PUBLIC, cut, short, "-----BEGIN PRIVATE KEY-----\n\n-----END PRIVATE KEY-----\n"] {
            assert_eq!(sign(&json!({}), bad), None, "{bad}");
        }
        for bad in ["", "text", PKCS8, cut, short] {
            assert_eq!(verify(&token, bad), None, "{bad}");
        }
    }

    #[test]
    fn lengths_beyond_the_bytes_are_refused() {
        for bad in
            [&[][..], &[0x30], &[0x30, 5, 1], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &[0x30, 0x85, 0, 0, 0, 0, 1]]
        {
            assert_eq!(element(bad, 0x30), None, "{bad:?}");
        }
        assert_eq!(element(&[0x30, 1, 7, 8], 0x30), Some((&[7][..], &[8][..])));
        assert_eq!(element(&[0x30, 0x81, 1, 7], 0x30), Some((&[7][..], &[][..])));
    }
}
