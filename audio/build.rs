//! Compiles the C shim and finds the system's libavcodec, libswresample and libopus.

fn main() {
    println!("cargo:rerun-if-changed=src/sys/aac.c");
    let mut shim = cc::Build::new();
    shim.file("src/sys/aac.c").warnings(true).extra_warnings(true);
    let mut libraries = Vec::new();
    // libavcodec 59.37 (FFmpeg 5.1) is the first with `AVChannelLayout`.
    for (library, version, package) in [
        ("libavcodec", "59.37", "libavcodec-dev"),
        ("libswresample", "4.7", "libswresample-dev"),
        ("libavutil", "57.28", "libavutil-dev"),
        ("opus", "1.1", "libopus-dev"),
    ] {
        // Linked after the shim: the order on the linker's command line matters.
        let found = pkg_config::Config::new().atleast_version(version).cargo_metadata(false).probe(library);
        let found = found.unwrap_or_else(|error| {
            panic!("{library} {version} or newer is needed (Debian: {package}; scripts/setup.sh installs it): {error}")
        });
        shim.includes(&found.include_paths);
        libraries.push(found);
    }
    shim.compile("heliograph_aac");
    for library in libraries {
        for path in library.link_paths {
            println!("cargo:rustc-link-search=native={}", path.display());
        }
        for name in library.libs {
            println!("cargo:rustc-link-lib={name}");
        }
    }
}
