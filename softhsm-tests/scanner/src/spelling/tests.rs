//! Each spelling is planted in a page and found by its name.

use super::*;
use crate::needles::Needle;

const KEY: &[u8; 32] = b"q7Zt1LxWvB0pKd93uHs8YmTc4Re2aNfG";
/// Not a text, so that the two alphabets of base64 differ.
const BINARY: [u8; 18] = *b"\xfb\xef\xbe\xff\xf1\x8b\xfe\x7f\xbf\x3f\xcf\xfd\x02\xfa\xeb\xee\xfb\xf0";

// States after the first block, by a SHA-2 written in Python from FIPS 180-4 and checked there against hashlib.
const INNER_256: [u32; 8] =
    [0x9d40_e39f, 0xe92d_6f0a, 0xa4de_5e5f, 0x8bbb_0d49, 0x3bd8_5683, 0x95be_82c1, 0xde41_6bcf, 0x988b_a36f];
const OUTER_256: [u32; 8] =
    [0x786f_dcf6, 0xafdc_02f0, 0xd75e_f96e, 0x7ede_7e60, 0xfed5_0ee3, 0x1a8f_a96b, 0x280c_80a4, 0x3680_2cb3];
const INNER_OUTER_384: [[u64; 8]; 2] = [
    [
        0x368e_9b54_35ab_a48e,
        0x1b65_e6e3_2d18_ae19,
        0xe2d9_3f3d_aeec_0a9f,
        0x6824_7586_35db_5693,
        0x7a28_7759_790e_1575,
        0x24de_394e_1e84_3beb,
        0x2fb5_cee3_79da_d5cd,
        0x0cf7_870d_85e0_4c97,
    ],
    [
        0xc7dd_8217_74b5_56bd,
        0x7d07_6a93_c3ba_a403,
        0x6f63_fab3_7733_58ad,
        0x2228_45de_8cf9_96a5,
        0x4602_445b_4191_a09c,
        0xe224_069f_a89f_3994,
        0x92c7_c2f6_4b12_6c8b,
        0x59de_314a_2995_ab3f,
    ],
];
const INNER_OUTER_512: [[u64; 8]; 2] = [
    [
        0x8705_620f_2cc3_2a35,
        0xf3fb_507c_e5ee_d130,
        0xa879_fd32_fc9e_1d70,
        0xd805_5874_cfae_9c61,
        0x9337_78bf_b273_7974,
        0xc467_e208_b498_65f0,
        0x363e_c322_ddd0_830d,
        0x243c_bf67_d97f_ffb2,
    ],
    [
        0x58b5_271b_6e04_e4be,
        0x0a60_95b0_0d5b_c112,
        0x3a47_8c21_155b_6007,
        0x6638_7639_02e6_05cd,
        0xd0a8_04c6_a002_dd70,
        0x9bd5_370b_5ab4_dbe0,
        0xf698_08d7_93d2_597b,
        0x391d_1f5d_7929_61ee,
    ],
];
const SCALAR: &str = "701341d64170fba0a7915cea5624dab8277c08a74d865468663db2b991752966";
const SCALAR_REDUCED: &str = "e21b7ea8a31d8d90a1e48e181f49a03b277c08a74d865468663db2b991752906";
const R: &str = "80c6ceb62d2621b316cebae2936a899a594dd64643bbb23a99d7b224d565def5\
    281281a334dbf35340fcaf7d1aade327f6b45227893a98cf3539e14762633339";
const R_REDUCED: &str = "bf1374ffd8009f82c5b4ce1c69f7ccbf37d09bf1978e77131447851e02059607";
const PREFIX: &str = "ff2fbe2384824c82d13c15c0bd4e34a31f08e35b6b5ee395f143dea1c043da26";

/// The needles that are found in a page with these bytes in it.
fn found(needles: &Needles, planted: &[u8]) -> Vec<Needle> {
    let mut page = vec![0xa5; 4000];
    page.extend_from_slice(planted);
    page.extend_from_slice(&[0xa5; 200]);
    let mut found = Vec::new();
    needles.find(&page, |needle| found.push(needle.clone()));
    found.dedup();
    found
}

fn must_find(needles: &Needles, class: Class, spelling: &'static str, planted: &[u8]) {
    let wanted = Needle { class, of: "a key".to_owned(), spelling };
    let found = found(needles, planted);
    assert!(found.contains(&wanted), "{spelling} is found as {found:?}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

#[test]
fn finds_each_spelling_of_a_secret_by_its_name() {
    for secret in [KEY.as_slice(), &BINARY] {
        let mut needles = Needles::new();
        needles.secret(Class::Plain, "a key", secret);
        let mut reversed = secret.to_vec();
        reversed.reverse();
        let must = |spelling, planted: &[u8]| must_find(&needles, Class::Plain, spelling, planted);
        must("as it is", secret);
        must("reversed", &reversed);
        for key in [secret, &reversed] {
            must("hex", hex(key).as_bytes());
            must("HEX", hex(key).to_uppercase().as_bytes());
        }
        // Encoded together with bytes before it, whole and not from where the needle begins.
        for (before, spelling) in [(0, "base64"), (1, "base64 behind 1"), (2, "base64 behind 2")] {
            let whole = [&[0x20; 2][..before], secret, b"k"].concat();
            let (standard, url) =
                (Base64Unpadded::encode_string(&whole), Base64UrlUnpadded::encode_string(&whole));
            assert_eq!(standard != url, secret == BINARY, "{standard} {url}");
            must(spelling, standard.as_bytes());
            must(spelling, url.as_bytes());
        }
        let little: Vec<u8> = secret.iter().flat_map(|byte| [*byte, 0]).collect();
        let big: Vec<u8> = secret.iter().flat_map(|byte| [0, *byte]).collect();
        must("UTF-16", &little);
        must("UTF-16", &big);
    }
}

#[test]
fn finds_the_blocks_and_states_of_hmac_by_their_names() {
    let mut needles = Needles::new();
    needles.hmac_states("a key", KEY);
    for (pad, spelling) in [(0x36, "ipad block"), (0x5c, "opad block")] {
        let block: Vec<u8> = KEY.iter().map(|byte| byte ^ pad).collect();
        must_find(&needles, Class::Plain, spelling, &block);
    }
    for [a, b, c, d, e, f, g, h] in [INNER_256, OUTER_256] {
        for (order, spelling) in [
            ([a, b, c, d, e, f, g, h], "SHA-256 state"),
            ([f, e, b, a, h, g, d, c], "SHA-256 state, lanes"),
            ([h, g, f, e, d, c, b, a], "SHA-256 state, backwards"),
        ] {
            must_find(&needles, Class::KeyEquivalent, spelling, &order.map(u32::to_le_bytes).concat());
            must_find(&needles, Class::KeyEquivalent, spelling, &order.map(u32::to_be_bytes).concat());
        }
    }
    for state in INNER_OUTER_384.into_iter().chain(INNER_OUTER_512) {
        let (little, big) = (state.map(u64::to_le_bytes).concat(), state.map(u64::to_be_bytes).concat());
        must_find(&needles, Class::KeyEquivalent, "SHA-512 state", &little);
        must_find(&needles, Class::KeyEquivalent, "SHA-512 state, big-endian", &big);
    }
}

#[test]
fn finds_what_an_ed25519_key_expands_to_by_its_name() {
    let mut needles = Needles::new();
    needles.ed25519_key("a key", KEY);
    must_find(&needles, Class::Plain, "as it is", KEY);
    must_find(&needles, Class::KeyEquivalent, "scalar", &unhex(SCALAR));
    must_find(&needles, Class::KeyEquivalent, "scalar, reduced", &unhex(SCALAR_REDUCED));
    must_find(&needles, Class::KeyEquivalent, "scalar and prefix", &unhex(PREFIX));
    needles.ed25519_nonce("a key", KEY, b"a message");
    must_find(&needles, Class::Nonce, "r", &unhex(R));
    must_find(&needles, Class::Nonce, "r, reduced", &unhex(R_REDUCED));
}

#[test]
fn finds_nothing_of_another_secret() {
    let mut needles = Needles::new();
    needles.ed25519_key("a key", KEY);
    needles.hmac_states("a key", KEY);
    let other = b"Zp2Vw8NcQ5sXk1Bf7GyRj4Ht9LdM3AeU";
    let planted = [other.to_vec(), hex(other).into_bytes(), Sha512::digest(other).to_vec()].concat();
    assert_eq!(found(&needles, &planted), []);
}
