//! The generated TypeScript.

use heliograph_typescript::Declarations;

use super::messages::*;

#[test]
fn the_generated_typescript_is_current() {
    Declarations::of("studio/src/messages.rs", env!("CARGO_PKG_NAME"))
        .and::<SignIn>()
        .and::<NewTitle>()
        .and::<Mute>()
        .and::<Desk>()
        .and::<DeskState>()
        .and::<Medium>()
        .and::<Sound>()
        .and::<ViewerDelay>()
        .and::<Unplayable>()
        .and::<Uplink>()
        .and::<DeskWarning>()
        .and::<Doors>()
        .and::<SrtDoor>()
        .check(concat!(env!("CARGO_MANIFEST_DIR"), "/../web/src/core/studioMessages.ts"));
}
