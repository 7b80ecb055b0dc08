//! The web app is embedded from `web/dist`. Without it the program still builds, with a page that says what to do.

use std::fs;
use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=web/dist");
    let dist = Path::new("web/dist");
    if !dist.join("index.html").exists() {
        fs::create_dir_all(dist).expect("web/dist can be made in the source tree");
        println!("cargo:warning=web/dist is empty: `make build` builds the web app first");
    }
}
