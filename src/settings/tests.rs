#![allow(clippy::unwrap_used, reason = "tests")]

use std::net::IpAddr;

use super::{Authority, Options, Parts, Settings};

fn from_toml(text: &str, parts: Parts) -> Result<Settings, String> {
    let options: Options = toml::from_str(text).map_err(|e| e.to_string())?;
    let settings = Settings::complete(options).map_err(|e| format!("{e:#}"))?;
    settings.check(parts).map_err(|e| format!("{e:#}"))?;
    Ok(settings)
}

#[test]
fn the_defaults_are_sound() {
    for parts in [Parts::Serve, Parts::Ingest, Parts::Relay] {
        let settings = from_toml("", parts).unwrap();
        assert_eq!(settings.addr, None);
        assert_eq!(settings.rtp_port, None, "the permanent stream is off unless given");
        assert_eq!(settings.authority, Authority::Keys);
    }
}

#[test]
fn what_is_wrong_is_named() {
    for (text, part) in [
        ("wsport = 1", "wsport"),
        ("ws_port = 70000", "ws_port"),
        ("ws_port = 0", "ws_port"),
        ("ws_port = 8084", "ws_port"),
        ("web_port = 8080", "web_port"),
        ("media_ports = '9-8'", "backwards"),
        ("media_ports = '20100-20200'", "media_ports"),
        ("rtp_port = 24001", "rtp_port"),
        ("control = 'localhost'", "control"),
        ("metrics = 'on'", "metrics"),
        ("metrics = '127.0.0.1:0'", "metrics"),
        ("metrics = '127.0.0.1:8080'", "metrics"),
        ("srt_port = 8150", "srt_port"),
        ("srt_passphrase = 'too short'", "srt_passphrase"),
        ("srt_latency_ms = 20000", "srt_latency_ms"),
        ("b_frames = 'drop'", "b_frames"),
        ("reencode_max = 0", "reencode_max"),
        ("publisher_grace_s = 4000", "publisher_grace_s"),
        ("no_media_s = 1", "no_media_s"),
        ("max_bitrate_kbps = 20", "max_bitrate_kbps"),
        ("[[channel]]\nname = 'a'\nmax_bitrate_kbps = 0", "max_bitrate_kbps"),
        ("max_bitrate_patience_s = 0", "max_bitrate_patience_s"),
        ("publisher_networks = ['192.0.2.0/33']", "publisher_networks"),
        ("playout_delay_max_ms = 50000", "playout_delay_max_ms"),
        ("playout_delay_max_ms = 5000\nplayout_delay_limit_ms = 4000", "playout_delay_limit_ms"),
        ("[[channel]]\nname = 'a'\nplayout = 1", "playout"),
        ("[[channel]]\nplayout_delay_max_ms = 1", "name"),
        ("workers = 0", "workers"),
        ("workers = 3\nports = '20000-20001'", "workers"),
        ("max_viewers = 0", "max_viewers"),
        ("max_egress_cpu_percent = 101", "max_egress_cpu_percent"),
        ("max_egress_cpu_percent = -1", "max_egress_cpu_percent"),
        ("[branding]\ntitel = 'a'", "titel"),
        ("[branding]\ncolour = 'red'", "colour"),
        ("[branding]\nground_dark = '#12345'", "ground_dark"),
        ("[branding]\nlogo = 'javascript:alert(1)'", "logo"),
        ("[branding]\nlogo = '/logo.svg'\nlogo_link = 'data:text/html,x'", "logo_link"),
        ("[branding]\nlogo_link = 'https://example.org'", "logo_link"),
        ("[branding]\nlogo = '/a.svg'\nlogo_position = 'left'", "logo_position"),
        ("ssl_cert = 'a'", "ssl_key"),
        ("auth_ws_url = 'ws://a'\nauth_http_url = 'http://a'", "auth_http_url"),
        ("addr = 'no such name.'", "addr"),
    ] {
        let error = from_toml(text, Parts::Serve).expect_err(text);
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn only_parts_that_run_can_clash() {
    assert!(from_toml("ftl_port = 8080", Parts::Serve).is_err());
    assert!(from_toml("ftl_port = 8080", Parts::Ingest).is_ok());
    assert!(from_toml("ftl_port = 8080", Parts::Relay).is_ok());
}

#[test]
fn flags_beat_the_environment_beats_the_file() {
    let file: Options = toml::from_str("ws_port = 1\nftl_port = 2\naddr = '127.0.0.3'").unwrap();
    let mut said = Options { ws_port: Some(10), ..Options::default() };
    said.fill_from_compatible(|name| match name {
        "WEBSOCKET_PORT" => Some("20".to_owned()),
        "INGEST_PORT" => Some("30".to_owned()),
        "ICE_SERVERS" => Some("stun:a:1, stun:b:2".to_owned()),
        "WEBSOCKET_HOST" => Some("none".to_owned()),
        _ => None,
    })
    .unwrap();
    let settings = Settings::complete(said.over(file)).unwrap();
    assert_eq!((settings.ws_port, settings.ftl_port), (10, 30));
    assert_eq!(settings.addr, Some(IpAddr::from([127, 0, 0, 3])));
    assert_eq!(settings.ice_servers, ["stun:a:1", "stun:b:2"]);
    assert!(settings.ip.is_empty(), "ITG's word for no address");
}

#[test]
fn a_bad_compatibility_variable_is_named() {
    let mut said = Options::default();
    let error =
        said.fill_from_compatible(|name| (name == "INGEST_PORT").then(|| "x".to_owned())).unwrap_err();
    assert!(error.contains("INGEST_PORT"), "{error}");
}

/// The example file shows every setting, each commented out at its default: with the comments taken off it must load.
#[test]
fn the_example_file_is_complete_and_right() {
    let example = include_str!("../../heliograph.example.toml");
    let active: String = example
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .filter(|line| (line.contains(" = ") || line.starts_with('[')) && !line.starts_with(' '))
        .fold(String::new(), |text, line| text + line + "\n");
    let shown: toml::Table = active.parse().unwrap();
    // Two services cannot decide at once, and files need not exist for this test.
    let mut loadable = shown.clone();
    loadable.remove("auth_http_url");
    from_toml(&loadable.to_string(), Parts::Serve).unwrap();

    let source = include_str!("options.rs");
    let fields = source.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(": Option<"));
    for (field, _) in fields {
        let found = shown.contains_key(field) || shown["channel"][0].get(field).is_some();
        assert!(found, "{field} is missing in heliograph.example.toml");
    }
}

/// In ITG's own set-up the ingest looked for the relay inside its own container, so every encoder got 500.
#[test]
fn itg_fault_3_the_parts_find_each_other_by_their_defaults() {
    let ingest = from_toml("", Parts::Ingest).unwrap();
    let relay = from_toml("", Parts::Relay).unwrap();
    assert_eq!(ingest.relay_url, format!("http://{}", relay.control));
    assert_eq!(ingest.relay_rtp_addr, relay.rtp_addr);
}

/// ITG's images named toolchains that cannot build it: what the README asks for is what the manifests need.
#[test]
fn itg_fault_4_the_toolchains_asked_for_are_the_ones_needed() {
    let readme = include_str!("../../README.md");
    let rust = env!("CARGO_PKG_RUST_VERSION");
    assert!(readme.contains(&format!("({rust} or newer)")), "README asks for another Rust than {rust}");
    let package: serde_json::Value = serde_json::from_str(include_str!("../../web/package.json")).unwrap();
    let node = package["engines"]["node"].as_str().unwrap().trim_start_matches(">=").trim_end_matches(".0");
    assert!(readme.contains(&format!("({node} or newer)")), "README asks for another Node.js than {node}");
}

/// ITG's page builds only with a switch that turns old OpenSSL algorithms back on.
#[test]
fn itg_fault_20_the_page_builds_without_old_cryptography() {
    for text in [include_str!("../../web/package.json"), include_str!("../../Makefile")] {
        assert!(!text.contains("openssl-legacy-provider"));
    }
}
