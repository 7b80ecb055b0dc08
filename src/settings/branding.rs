//! What an operator makes of the page.

use anyhow::{Result, ensure};
use heliograph_signaling::messages::{BrandLogo, Branding, Corner};
use serde::Deserialize;

/// `[branding]` of the settings file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BrandingOptions {
    title: Option<String>,
    logo: Option<String>,
    logo_link: Option<String>,
    logo_position: Option<Corner>,
    colour: Option<String>,
    ground_light: Option<String>,
    ground_dark: Option<String>,
}

/// Longest title, in characters.
const MAX_TITLE: usize = 60;

/// The same, once it is known to make sense: it goes to every viewer.
///
/// # Errors
/// A value that no page could show, by the setting's name.
pub(super) fn checked(options: BrandingOptions) -> Result<Branding> {
    let BrandingOptions { title, logo, logo_link, logo_position, colour, ground_light, ground_dark } =
        options;
    if let Some(title) = &title {
        let length = title.chars().count();
        ensure!(
            (1..=MAX_TITLE).contains(&length),
            "branding.title has {length} characters, not 1 to {MAX_TITLE}"
        );
    }
    for (name, value) in [("colour", &colour), ("ground_light", &ground_light), ("ground_dark", &ground_dark)]
    {
        if let Some(value) = value {
            ensure!(is_colour(value), "branding.{name} = '{value}' is no colour such as #f6b93b");
        }
    }
    for (name, value) in [("logo", &logo), ("logo_link", &logo_link)] {
        if let Some(value) = value {
            ensure!(
                is_address(value),
                "branding.{name} = '{value}' is neither https://, http:// nor a path that begins with /"
            );
        }
    }
    ensure!(
        logo.is_some() || (logo_link.is_none() && logo_position.is_none()),
        "branding.logo_link and branding.logo_position need branding.logo"
    );
    let logo =
        logo.map(|url| BrandLogo { url, link: logo_link, position: logo_position.unwrap_or_default() });
    Ok(Branding { title, logo, colour, ground_light, ground_dark })
}

fn is_colour(text: &str) -> bool {
    text.strip_prefix('#')
        .is_some_and(|hex| hex.len() == 6 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Nothing that runs (`javascript:`) or hides what it is (`data:`).
fn is_address(text: &str) -> bool {
    text.starts_with("https://")
        || text.starts_with("http://")
        || (text.starts_with('/') && !text.starts_with("//"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_is_said_is_what_pages_are_told() {
        let options: BrandingOptions = toml::from_str(
            "title = 'Station One'\nlogo = '/logo.svg'\nlogo_link = 'https://example.org/'\ncolour = '#F6b93b'",
        )
        .unwrap();
        let told = serde_json::to_value(checked(options).unwrap()).unwrap();
        assert_eq!(
            told,
            serde_json::json!({"title": "Station One", "colour": "#F6b93b",
                "logo": {"url": "/logo.svg", "link": "https://example.org/", "position": "top-end"}})
        );
    }
}
