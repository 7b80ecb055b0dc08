//! Handshakes in memory against an OpenSSL client.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::{Duration, Instant};

use openssl::ssl::{ErrorCode, Ssl, SslContext, SslMethod, SslOptions, SslStream, SslVerifyMode, SslVersion};

use proptest::prelude::*;

use super::datagrams::Datagrams;
use super::*;
use crate::srtp::{MasterKey, PacketIndex, Profile, RtpOpener, RtpSealer, SrtpKeys};

/// A browser's side: OpenSSL again, but as the active one and with its own certificate.
struct Client {
    stream: SslStream<Datagrams>,
    identity: Identity,
    connected: bool,
    failed: Option<String>,
}

const CHROME: &str = "SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM:SRTP_AEAD_AES_128_GCM";

impl Client {
    fn new(profiles: &str) -> Self {
        Self::with(profiles, 1200, true)
    }

    fn with(profiles: &str, mtu: u32, certificate: bool) -> Self {
        let mut builder = SslContext::builder(SslMethod::dtls()).unwrap();
        builder.set_options(SslOptions::NO_QUERY_MTU);
        builder.set_verify_callback(SslVerifyMode::PEER, |_, _| true);
        if !profiles.is_empty() {
            builder.set_tlsext_use_srtp(profiles).unwrap();
        }
        let mut ssl = Ssl::new(&builder.build()).unwrap();
        let identity = Identity::generate().unwrap();
        if certificate {
            ssl.set_certificate(identity.certificate()).unwrap();
            ssl.set_private_key(identity.key()).unwrap();
        }
        ssl.set_mtu(mtu).unwrap();
        ssl.set_connect_state();
        sys::set_timer(&mut ssl);
        let stream = SslStream::new(ssl, Datagrams::default()).unwrap();
        Self { stream, identity, connected: false, failed: None }
    }

    fn step(&mut self) {
        match self.stream.do_handshake() {
            Ok(()) => self.connected = true,
            Err(error) if error.code() == ErrorCode::WANT_READ => {}
            Err(error) => self.failed = Some(error.to_string()),
        }
    }

    fn take(&mut self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.stream.get_mut().take()).collect()
    }

    fn put(&mut self, datagram: &[u8]) {
        self.stream.get_mut().put(datagram);
        self.step();
    }

    fn keys(&self, profile: Profile) -> (MasterKey, MasterKey) {
        let mut material = vec![0; SrtpKeys::material_len(profile)];
        self.stream.ssl().export_keying_material(&mut material, "EXTRACTOR-dtls_srtp", None).unwrap();
        let server = SrtpKeys::of_server(profile, &material).unwrap();
        (server.remote, server.local)
    }
}

/// FFmpeg's side: OpenSSL as the one that waits, and we begin.
fn passive_peer(profiles: &str) -> Client {
    let mut peer = Client::new(profiles);
    let mut builder = SslContext::builder(SslMethod::dtls()).unwrap();
    builder.set_options(SslOptions::NO_QUERY_MTU);
    builder.set_verify_callback(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT, |_, _| true);
    builder.set_tlsext_use_srtp(profiles).unwrap();
    let mut ssl = Ssl::new(&builder.build()).unwrap();
    ssl.set_certificate(peer.identity.certificate()).unwrap();
    ssl.set_private_key(peer.identity.key()).unwrap();
    ssl.set_mtu(1200).unwrap();
    ssl.set_accept_state();
    sys::set_timer(&mut ssl);
    peer.stream = SslStream::new(ssl, Datagrams::default()).unwrap();
    peer
}

#[test]
fn a_peer_that_insists_on_waiting_is_called() {
    // The one that waits chooses.
    for (profiles, profile) in
        [("SRTP_AES128_CM_SHA1_80", Profile::Aes128CmSha1_80), (CHROME, Profile::Aes128CmSha1_80)]
    {
        let mut peer = passive_peer(profiles);
        let expected = vec![peer.identity.fingerprint().clone()];
        let mut us = active(expected);
        assert!(us.poll_transmit().is_none() && us.next_timeout().is_none(), "nothing before there is a way");
        us.start();
        us.start();
        // The first flight is lost.
        assert_eq!(sent(&mut us).len(), 1, "one hello");
        std::thread::sleep(us.next_timeout().unwrap());
        us.handle_timeout();
        run(&mut peer, &mut us);
        let keys = connected(&us);
        assert_eq!(keys.profile(), profile);
        // `Client::keys` takes its side for the client.
        let (remote, local) = peer.keys(profile);
        goes_through(&keys, &local, &remote);
    }
}

#[test]
fn a_waiting_peer_with_another_certificate_is_refused() {
    let mut peer = passive_peer(CHROME);
    let mut us = active(vec![Identity::generate().unwrap().fingerprint().clone()]);
    us.start();
    run(&mut peer, &mut us);
    assert!(matches!(us.status(), DtlsStatus::Failed(DtlsError::FingerprintMismatch)), "{:?}", us.status());
}

fn active(expected: Vec<Fingerprint>) -> DtlsEndpoint {
    let context = DtlsContext::new().unwrap();
    DtlsEndpoint::new(&context, &Identity::generate().unwrap(), expected, DtlsRole::Active).unwrap()
}

/// What one side seals the other opens.
fn goes_through(ours: &SrtpKeys, local: &MasterKey, remote: &MasterKey) {
    for (from, to) in [(&ours.local, remote), (local, &ours.remote)] {
        let header = [0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7];
        let mut packet = vec![0; 64];
        let sealer = RtpSealer::new(from).unwrap();
        let len = sealer.seal(PacketIndex(1), &header, [&[], b"hello"], &mut packet).unwrap();
        assert_eq!(RtpOpener::new(to).unwrap().open(&mut packet[..len]), Ok((PacketIndex(1), 17)));
    }
}

fn server(expected: &Fingerprint) -> DtlsEndpoint {
    let context = DtlsContext::new().unwrap();
    DtlsEndpoint::accept(&context, &Identity::generate().unwrap(), vec![expected.clone()]).unwrap()
}

fn sent(server: &mut DtlsEndpoint) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| server.poll_transmit()).collect()
}

/// Carries datagrams to and fro until neither side says anything.
fn run(client: &mut Client, server: &mut DtlsEndpoint) {
    client.step();
    loop {
        let (up, down) = (client.take(), sent(server));
        if up.is_empty() && down.is_empty() {
            return;
        }
        up.iter().for_each(|datagram| server.handle_datagram(datagram));
        down.iter().for_each(|datagram| client.put(datagram));
    }
}

fn connected(server: &DtlsEndpoint) -> SrtpKeys {
    match server.status() {
        DtlsStatus::Connected(keys) => keys,
        other => panic!("{other:?}"),
    }
}

#[test]
fn we_choose_the_profile_and_both_sides_have_its_keys() {
    for (offered, profile) in [
        (CHROME, Profile::AeadAes128Gcm),
        ("SRTP_AEAD_AES_128_GCM", Profile::AeadAes128Gcm),
        ("SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM", Profile::AeadAes256Gcm),
        ("SRTP_AES128_CM_SHA1_32:SRTP_AES128_CM_SHA1_80", Profile::Aes128CmSha1_80),
    ] {
        let mut client = Client::new(offered);
        let mut server = server(client.identity.fingerprint());
        run(&mut client, &mut server);
        assert!(client.connected);
        let keys = connected(&server);
        assert_eq!(keys.profile(), profile, "{offered}");
        let (local, remote) = client.keys(profile);
        goes_through(&keys, &local, &remote);
        assert_eq!(server.next_timeout(), None);
    }
}

#[test]
fn any_of_the_announced_hashes_will_do() {
    let mut client = Client::new(CHROME);
    let context = DtlsContext::new().unwrap();
    let other = Identity::generate().unwrap();
    for hash in [FingerprintHash::Sha384, FingerprintHash::Sha512] {
        let right = Fingerprint::of(client.identity.certificate(), hash).unwrap();
        let expected = vec![other.fingerprint().clone(), right];
        let mut server = DtlsEndpoint::accept(&context, &other, expected).unwrap();
        run(&mut client, &mut server);
        connected(&server);
        client = Client::new(CHROME);
    }
}

#[test]
fn a_stranger_with_another_certificate_gets_nothing() {
    let mut client = Client::new(CHROME);
    let mut server = server(Identity::generate().unwrap().fingerprint());
    run(&mut client, &mut server);
    assert!(matches!(server.status(), DtlsStatus::Failed(DtlsError::FingerprintMismatch)));
    client.stream.ssl_read(&mut [0; 16]).unwrap_err();
    assert!(client.stream.get_shutdown().contains(openssl::ssl::ShutdownState::RECEIVED), "told so");
    server.handle_datagram(b"more");
    assert!(sent(&mut server).is_empty());
}

#[test]
fn no_certificate_no_profile_no_luck() {
    let mut client = Client::with(CHROME, 1200, false);
    let mut endpoint = server(client.identity.fingerprint());
    run(&mut client, &mut endpoint);
    assert!(matches!(endpoint.status(), DtlsStatus::Failed(DtlsError::OpenSsl(_))));
    assert!(client.failed.is_some() || client.connected);

    for profiles in ["", "SRTP_AES128_CM_SHA1_32"] {
        let mut client = Client::new(profiles);
        let mut endpoint = server(client.identity.fingerprint());
        run(&mut client, &mut endpoint);
        assert!(matches!(endpoint.status(), DtlsStatus::Failed(DtlsError::NoSrtpProfile)), "{profiles}");
    }
}

#[test]
fn datagrams_stay_below_the_mtu() {
    let mut client = Client::new(CHROME);
    let mut server = server(client.identity.fingerprint());
    client.step();
    let mut sizes = Vec::new();
    for _ in 0..4 {
        client.take().iter().for_each(|datagram| server.handle_datagram(datagram));
        for datagram in sent(&mut server) {
            sizes.push(datagram.len());
            client.put(&datagram);
        }
    }
    connected(&server);
    assert!(sizes.iter().all(|size| *size <= 1200) && sizes.len() >= 2, "{sizes:?}");
}

/// Post-quantum key shares make ClientHellos longer than a datagram.
#[test]
fn fragmented_client_hellos() {
    for parts in [2, 4] {
        let mut client = Client::new(CHROME);
        let mut server = server(client.identity.fingerprint());
        client.step();
        let hello = client.take().remove(0);
        let mut fragments = fragments(&hello, parts);
        assert_eq!(fragments.len(), parts);
        // Out of order, and one of them twice.
        fragments.swap(0, parts - 1);
        fragments.push(fragments[0].clone());
        for fragment in &fragments {
            server.handle_datagram(fragment);
        }
        run(&mut client, &mut server);
        connected(&server);
    }
}

/// Splits the handshake message of a one-record datagram (RFC 6347 section 4.2.2).
fn fragments(datagram: &[u8], parts: usize) -> Vec<Vec<u8>> {
    let (record, message) = datagram.split_at(13);
    let (header, body) = message.split_at(12);
    let size = body.len().div_ceil(parts);
    body.chunks(size)
        .enumerate()
        .map(|(i, chunk)| {
            let mut fragment = record.to_vec();
            // Record numbers that the client will not use again, and inside the replay window with those it
            // will.
            fragment[10] = 40 + i as u8;
            fragment[11..13].copy_from_slice(&(chunk.len() as u16 + 12).to_be_bytes());
            fragment.extend(&header[..6]);
            fragment.extend(&((i * size) as u32).to_be_bytes()[1..]);
            fragment.extend(&(chunk.len() as u32).to_be_bytes()[1..]);
            fragment.extend(chunk);
            fragment
        })
        .collect()
}

#[test]
fn small_client_datagrams() {
    let mut client = Client::with(CHROME, 256, true);
    let mut server = server(client.identity.fingerprint());
    client.step();
    let hello = client.take();
    assert!(hello.iter().all(|datagram| datagram.len() <= 256));
    hello.iter().for_each(|datagram| server.handle_datagram(datagram));
    run(&mut client, &mut server);
    connected(&server);
}

#[test]
fn an_authentic_alert_is_noticed_and_a_forged_one_is_not() {
    let mut client = Client::new(CHROME);
    let mut server = server(client.identity.fingerprint());
    run(&mut client, &mut server);
    let forged = [21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 99, 0, 2, 1, 0];
    assert!(is_alert(&forged) && is_dtls(&forged));
    server.handle_datagram(&forged);
    connected(&server);
    client.stream.shutdown().unwrap();
    let goodbye = client.take().remove(0);
    assert!(is_alert(&goodbye));
    server.handle_datagram(&goodbye);
    assert!(matches!(server.status(), DtlsStatus::AlertReceived));
}

#[test]
fn we_say_goodbye() {
    let mut client = Client::new(CHROME);
    let mut server = server(client.identity.fingerprint());
    server.close();
    assert!(server.poll_transmit().is_none(), "nothing to say before the handshake");
    run(&mut client, &mut server);
    server.close();
    let goodbye = server.poll_transmit().unwrap();
    client.stream.get_mut().put(&goodbye);
    assert_eq!(client.stream.ssl_read(&mut [0; 16]).unwrap_err().code(), ErrorCode::ZERO_RETURN);
}

#[test]
fn a_fatal_alert_ends_the_handshake() {
    let mut client = Client::new(CHROME);
    let mut server = server(client.identity.fingerprint());
    client.step();
    server.handle_datagram(&client.take().remove(0));
    server.handle_datagram(&[21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 2, 40]);
    assert!(matches!(server.status(), DtlsStatus::Failed(DtlsError::OpenSsl(_))));
}

/// The clock is OpenSSL's own, so this test is the one that waits (a tenth of a second).
#[test]
fn a_lost_flight_is_sent_again_after_75_ms_and_then_150() {
    let mut client = Client::new(CHROME);
    let mut server = server(client.identity.fingerprint());
    assert_eq!(server.next_timeout(), None, "nothing sent, nothing to repeat");
    client.step();
    let hello = client.take().remove(0);
    let before = Instant::now();
    server.handle_datagram(&hello);
    let lost = sent(&mut server);
    // Whatever this machine did in between counts as waited, so the bounds hold under any load.
    let in_time = |wait: Duration, since: Instant, millis: u64| {
        let period = Duration::from_millis(millis);
        wait <= period && wait + since.elapsed() >= period - Duration::from_millis(1)
    };
    let wait = server.next_timeout().unwrap();
    assert!(in_time(wait, before, 75), "{wait:?}");
    std::thread::sleep(wait);
    while server.next_timeout().unwrap() > Duration::ZERO {
        std::thread::sleep(Duration::from_millis(1));
    }
    let before = Instant::now();
    server.handle_timeout();
    let again = sent(&mut server);
    assert!(again.len() >= lost.len(), "OpenSSL repeats each message in a datagram of its own");
    assert!(again.iter().all(|datagram| datagram.len() <= 1200));
    let wait = server.next_timeout().unwrap();
    assert!(in_time(wait, before, 150), "{wait:?}");
    again.iter().for_each(|datagram| client.put(datagram));
    run(&mut client, &mut server);
    connected(&server);
}

/// The client's last flight is complete, our answer to it is lost: the client repeats itself and gets the
/// answer again, from the endpoint or from what is kept of it.
#[test]
fn our_last_flight_is_repeated_on_demand() {
    for kept in [false, true] {
        let mut client = Client::new(CHROME);
        let mut server = server(client.identity.fingerprint());
        client.step();
        server.handle_datagram(&client.take().remove(0));
        sent(&mut server).iter().for_each(|datagram| client.put(datagram));
        let finished = client.take();
        finished.iter().for_each(|datagram| server.handle_datagram(datagram));
        connected(&server);
        let lost = sent(&mut server);
        assert!(!lost.is_empty() && !client.connected);
        while sys::timeout(client.stream.ssl()).unwrap() > Duration::ZERO {
            std::thread::sleep(sys::timeout(client.stream.ssl()).unwrap());
        }
        assert!(sys::handle_timeout(&mut client.stream));
        let repeated = client.take();
        if kept {
            let flight = LastFlight::new(&lost);
            let answers: Vec<_> = repeated.iter().filter_map(|datagram| flight.answer(datagram)).collect();
            assert_eq!(answers.len(), 1, "one for the whole flight");
            client.put(answers[0]);
        } else {
            repeated.iter().for_each(|datagram| server.handle_datagram(datagram));
            run(&mut client, &mut server);
            connected(&server);
        }
        assert!(client.connected);
    }
}

#[test]
fn garbage_does_not_disturb_the_handshake() {
    let mut client = Client::new(CHROME);
    let mut server = server(client.identity.fingerprint());
    let garbage: [&[u8]; 6] = [
        &[],
        &[22],
        &[0xff; 100],
        &[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
        &[20; 13],
        &[23; 5000],
    ];
    client.step();
    for _ in 0..4 {
        for datagram in garbage {
            server.handle_datagram(datagram);
        }
        client.take().iter().for_each(|datagram| server.handle_datagram(datagram));
        sent(&mut server).iter().for_each(|datagram| client.put(datagram));
    }
    connected(&server);
}

#[test]
fn dtls_1_0_is_refused() {
    let mut client = Client::new(CHROME);
    let ssl = client.stream.ssl();
    assert_eq!(ssl.version_str(), "DTLSv1.2");
    let mut builder = SslContext::builder(SslMethod::dtls()).unwrap();
    builder.set_max_proto_version(Some(SslVersion::DTLS1)).unwrap();
    builder.set_cipher_list("ALL:@SECLEVEL=0").unwrap();
    let mut ssl = Ssl::new(&builder.build()).unwrap();
    ssl.set_connect_state();
    client.stream = SslStream::new(ssl, Datagrams::default()).unwrap();
    let mut server = server(client.identity.fingerprint());
    run(&mut client, &mut server);
    assert!(!matches!(server.status(), DtlsStatus::Connected(_)));
}

#[test]
fn what_nobody_fetches_is_bounded() {
    use std::io::Write as _;
    let mut datagrams = Datagrams::default();
    for _ in 0..1_000 {
        datagrams.write_all(&[1; 100]).unwrap();
    }
    assert!(std::iter::from_fn(|| datagrams.take()).count() <= 32);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn hostile_datagrams_never_panic(
        datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..8),
        typed in any::<bool>(),
    ) {
        let mut server = server(Identity::generate().unwrap().fingerprint());
        for mut datagram in datagrams {
            if typed && datagram.len() > 25 {
                let len = datagram.len() as u16 - 13;
                datagram[..11].copy_from_slice(&[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0]);
                datagram[11..13].copy_from_slice(&len.to_be_bytes());
                datagram[13] = 1;
            }
            server.handle_datagram(&datagram);
            let _ = server.next_timeout();
        }
        prop_assert!(!matches!(server.status(), DtlsStatus::Connected(_)));
    }
}
