//! Published vectors, and what the two sides do to each other's packets.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::cipher::{CmSha1, Gcm, SessionCipher, SessionKey};
use super::*;

const KEY_128: &str = "000102030405060708090a0b0c0d0e0f";
const KEY_256: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const SALT: &str = "517569642070726f2071756f";

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text.replace(char::is_whitespace, "")).unwrap()
}

fn gcm(key: &str) -> SessionCipher {
    SessionCipher::Gcm(Gcm::new(&bytes(key), &bytes(SALT)).unwrap())
}

fn gcm_key(key: &str) -> SessionKey {
    let profile = if key == KEY_128 { Profile::AeadAes128Gcm } else { Profile::AeadAes256Gcm };
    SessionKey::new(profile, &bytes(key), &bytes(SALT), &[])
}

/// RFC 7714 section 16: "Gallia est omnis divisa in partes tres".
#[test]
fn rfc_7714_section_16_rtp() {
    let plain = bytes(
        "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 61727465 \
         73207472 6573",
    );
    let body_128 = "f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf 8833899d \
                    7f27beb1 6a9152cf 765ee439 0cce";
    let body_256 = "32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f 1ba63799 b87b7aa3 \
                    db36dfff d6b0f9bb 7878d7a7 6c13";
    for (key, body) in [(KEY_128, body_128), (KEY_256, body_256)] {
        let sealed: Vec<u8> = plain[..12].iter().copied().chain(bytes(body)).collect();
        let sealer = RtpSealer { cipher: gcm(key) };
        let mut out = vec![0; plain.len() + sealer.overhead()];
        for split in 0..=plain.len() - 12 {
            let (first, second) = plain[12..].split_at(split);
            let len = sealer.seal(PacketIndex(0xf17b), &plain[..12], [first, second], &mut out).unwrap();
            assert_eq!(hex::encode(&out[..len]), hex::encode(&sealed), "split at {split}");
        }
        let mut opener = RtpOpener::with(gcm(key));
        let mut packet = sealed.clone();
        let (index, len) = opener.open(&mut packet).unwrap();
        assert_eq!((index, &packet[..len]), (PacketIndex(0xf17b), &plain[..]));
    }
}

/// RFC 7714 section 17: the compound packet with SRTCP index 0x5d4.
#[test]
fn rfc_7714_section_17_rtcp() {
    let plain = bytes(
        "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef deadbeef \
         deadbeef deadbeef",
    );
    let sealed_128 = "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda \
                      4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4";
    let sealed_256 = "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 110555be \
                      8415f658 c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4";
    for (key, sealed) in [(KEY_128, sealed_128), (KEY_256, sealed_256)] {
        let mut sealer = RtcpSealer { key: gcm_key(key), next_index: 0x5d4 };
        let mut out = Vec::new();
        sealer.seal(&plain, &mut out).unwrap();
        assert_eq!(hex::encode(&out), hex::encode(bytes(sealed)));
        let mut opener = RtcpOpener::with(gcm_key(key));
        assert_eq!(opener.open(&mut out), Ok(&plain[..]));
    }
}

/// RFC 7714 section 17.3: authenticated but in clear. WebRTC forbids it.
#[test]
fn tagged_only_rtcp_is_refused() {
    let mut packet = bytes(
        "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef deadbeef \
         deadbeef deadbeef 841dd968 3dd78ec9 2ae58790 125f62b3 000005d4",
    );
    assert_eq!(RtcpOpener::with(gcm_key(KEY_128)).open(&mut packet), Err(SrtpError::NotEncrypted));
}

/// The vector that libsrtp ships for AES128_CM_SHA1_80: master key and salt, packet 0x1234 of source
/// 0xcafebabe.
#[test]
fn counter_mode_reference_packet() {
    let key = MasterKey::new(
        Profile::Aes128CmSha1_80,
        &bytes("e1f97a0d3e018be0d64fa32c06de4139"),
        &bytes("0ec675ad498afeebb6960b3aabe6"),
    )
    .unwrap();
    let plain = bytes("800f1234 decafbad cafebabe abababab abababab abababab abababab");
    let sealed = "800f1234 decafbad cafebabe 4e55dc4c e79978d8 8ca4d215 949d2402 b78d6acc 99ea179b 8dbb";
    let mut out = vec![0; 38];
    let sealer = RtpSealer::new(&key).unwrap();
    let len = sealer.seal(PacketIndex(0x1234), &plain[..12], [&[], &plain[12..]], &mut out).unwrap();
    assert_eq!(hex::encode(&out[..len]), hex::encode(bytes(sealed)));

    let plain = bytes("81c8000b cafebabe abababab abababab abababab abababab");
    let sealed = "81c8000b cafebabe 7128035b e487b9bd bef89041 f977a5a8 80000001 993e08cd 54d6c1230798";
    let mut sealer = RtcpSealer { next_index: 1, ..RtcpSealer::new(&key).unwrap() };
    let mut out = Vec::new();
    sealer.seal(&plain, &mut out).unwrap();
    assert_eq!(hex::encode(out), hex::encode(bytes(sealed)));
}

fn keys(profile: Profile) -> MasterKey {
    let key: Vec<u8> = (1..).take(profile.key_len()).collect();
    let salt: Vec<u8> = (101..).take(profile.salt_len()).collect();
    MasterKey::new(profile, &key, &salt).unwrap()
}

fn header(seq: u16, ssrc: u32) -> [u8; 12] {
    let mut header = [0x80, 96, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0];
    header[2..4].copy_from_slice(&seq.to_be_bytes());
    header[8..].copy_from_slice(&ssrc.to_be_bytes());
    header
}

fn sealed(sealer: &RtpSealer, index: u64, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let index = PacketIndex(index);
    let mut out = vec![0; 12 + payload.len() + sealer.overhead()];
    let len = sealer.seal(index, &header(index.wire(), ssrc), [&[], payload], &mut out).unwrap();
    out.truncate(len);
    out
}

#[test]
fn across_the_wrap_with_loss_and_reordering() {
    for profile in Profile::ALL {
        for start in [0u64, 0x7ffe, 0xfff0, 0xffff] {
            let sealer = RtpSealer::new(&keys(profile)).unwrap();
            let mut opener = RtpOpener::new(&keys(profile)).unwrap();
            let mut order: Vec<u64> = (start..start + 70_000).filter(|i| i % 7 != 3).collect();
            for pair in order.chunks_mut(2) {
                pair.reverse();
            }
            for index in order {
                // The first packet fixes the counter at 0, so it must not be one from after the wrap.
                if index == start + 1 && start == 0xffff {
                    continue;
                }
                let mut packet = sealed(&sealer, index, 7, b"picture");
                let opened = opener.open(&mut packet);
                assert_eq!(opened, Ok((PacketIndex(index), 19)), "{profile} {start} {index}");
                assert_eq!(&packet[12..19], b"picture");
            }
        }
    }
}

#[test]
fn replays_forgeries_and_strangers() {
    for profile in Profile::ALL {
        let sealer = RtpSealer::new(&keys(profile)).unwrap();
        let mut opener = RtpOpener::new(&keys(profile)).unwrap();
        let packet = sealed(&sealer, 5, 7, b"picture");
        assert!(opener.open(&mut packet.clone()).is_ok());
        assert_eq!(opener.open(&mut packet.clone()), Err(SrtpError::Replayed));
        let next = sealed(&sealer, 6, 7, b"picture");
        for at in 0..next.len() {
            let mut forged = next.clone();
            forged[at] ^= 1;
            assert!(opener.open(&mut forged).is_err(), "{profile}, byte {at}");
        }
        assert!(opener.open(&mut next.clone()).is_ok(), "forgeries must leave no trace");
        for ssrc in 100..200 {
            let opened = opener.open(&mut sealed(&sealer, 1, ssrc, b"x"));
            assert_eq!(opened.is_ok(), ssrc < 115, "{ssrc}");
        }
    }
}

#[test]
fn rtcp_both_ways() {
    for profile in Profile::ALL {
        let mut sealer = RtcpSealer::new(&keys(profile)).unwrap();
        let mut opener = RtcpOpener::new(&keys(profile)).unwrap();
        let report = bytes("80c90001 00000007 81ca0002 00000007 01010000");
        let mut packets = Vec::new();
        for _ in 0..200 {
            let mut out = vec![0xee];
            sealer.seal(&report, &mut out).unwrap();
            assert_eq!(out[0], 0xee, "appends");
            packets.push(out.split_off(1));
        }
        for packet in &packets[100..] {
            assert_eq!(opener.open(&mut packet.clone()), Ok(&report[..]), "{profile}");
        }
        for (age, packet) in packets.iter().rev().enumerate() {
            assert_eq!(opener.open(&mut packet.clone()), Err(SrtpError::Replayed), "{profile} {age}");
        }
        sealer.next_index = (1 << 31) - 1;
        let mut last = Vec::new();
        sealer.seal(&report, &mut last).unwrap();
        assert!(opener.open(&mut last).is_ok());
        assert_eq!(sealer.seal(&report, &mut Vec::new()), Err(SrtpError::Exhausted));
    }
}

#[test]
fn faults_of_the_caller() {
    let sealer = RtpSealer::new(&keys(Profile::AeadAes128Gcm)).unwrap();
    let mut out = [0; 64];
    let seal = |index, header: &[u8], out: &mut [u8]| {
        sealer.seal(PacketIndex(index), header, [&[], b"12345678"], out)
    };
    assert_eq!(seal(1, &header(1, 7), &mut out), Ok(36));
    assert_eq!(seal(1, &header(1, 7), &mut out[..36]), Ok(36));
    assert_eq!(seal(1, &header(1, 7), &mut out[..35]), Err(SrtpError::NoRoom));
    assert_eq!(seal(2, &header(1, 7), &mut out), Err(SrtpError::WrongIndex));
    assert_eq!(seal((1 << 48) + 1, &header(1, 7), &mut out), Err(SrtpError::Exhausted));
    assert_eq!(seal(1, &header(1, 7)[..11], &mut out), Err(SrtpError::Malformed));
    assert!(MasterKey::new(Profile::AeadAes256Gcm, &[0; 16], &[0; 12]).is_err());
}

#[test]
fn keys_stay_out_of_debug_output() {
    let keys = SrtpKeys { local: keys(Profile::AeadAes128Gcm), remote: keys(Profile::AeadAes128Gcm) };
    let text = format!("{keys:?} {:?}", keys.local);
    assert_eq!(text, "SrtpKeys { profile: AeadAes128Gcm, .. } MasterKey { profile: AeadAes128Gcm, .. }");
}

#[test]
fn splits_exported_material_as_the_server() {
    let material: Vec<u8> = (0..56).collect();
    let keys = SrtpKeys::of_server(Profile::AeadAes128Gcm, &material).unwrap();
    assert_eq!((keys.remote.key(), keys.local.key()), (&material[..16], &material[16..32]));
    assert_eq!((keys.remote.salt(), keys.local.salt()), (&material[32..44], &material[44..]));
    assert!(SrtpKeys::of_server(Profile::AeadAes128Gcm, &material[1..]).is_err());
}

#[test]
fn counter_mode_session_keys_have_fixed_lengths() {
    assert!(CmSha1::new(&[0; 16], &[0; 12], &[0; 20]).is_err());
    assert!(Gcm::new(&[0; 17], &[0; 12]).is_err());
}

fn any_profile() -> impl Strategy<Value = Profile> {
    prop::sample::select(&Profile::ALL[..])
}

proptest! {
    #[test]
    fn openers_never_panic(
        profile in any_profile(),
        mut packet in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let _ = RtpOpener::new(&keys(profile)).unwrap().open(&mut packet.clone());
        let _ = RtcpOpener::new(&keys(profile)).unwrap().open(&mut packet.clone());
        // The same, past the first check.
        if let Some(first) = packet.first_mut() {
            *first = 0x80 | *first & 0x3f;
        }
        prop_assert!(RtpOpener::new(&keys(profile)).unwrap().open(&mut packet.clone()).is_err());
        prop_assert!(RtcpOpener::new(&keys(profile)).unwrap().open(&mut packet).is_err());
    }

    #[test]
    fn what_is_sealed_opens(
        profile in any_profile(),
        index in 0u64..0x8000,
        osn in prop::collection::vec(any::<u8>(), 0..3),
        payload in prop::collection::vec(any::<u8>(), 0..1400),
        words in 0usize..4,
    ) {
        let mut head = header(index as u16, 9).to_vec();
        head[0] |= 0x10;
        head.extend([0xbe, 0xde, 0, words as u8]);
        head.resize(head.len() + 4 * words, 0x10);
        let sealer = RtpSealer::new(&keys(profile)).unwrap();
        let mut out = vec![0; 2000];
        let len = sealer.seal(PacketIndex(index), &head, [&osn, &payload], &mut out).unwrap();
        let (found, plain) = RtpOpener::new(&keys(profile)).unwrap().open(&mut out[..len]).unwrap();
        prop_assert_eq!(found, PacketIndex(index));
        prop_assert_eq!(&out[..plain], &[&head[..], &osn, &payload].concat()[..]);
    }
}
