//! Declares every command, so that each needs a permission of its own.

#[path = "src/command_names.rs"]
mod command_names;

fn main() {
    println!("cargo:rerun-if-changed=src/command_names.rs");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|it| it == value);
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") {
        // A quarter of the program would be names of functions. The one name that stays is the bundler's own:
        // it marks the program with the kind of its package, by which the updater knows how to replace it.
        println!("cargo:rustc-link-arg-bins=-Wl,--discard-all");
    }
    let manifest = tauri_build::AppManifest::new().commands(command_names::COMMANDS);
    let attributes = tauri_build::Attributes::new().app_manifest(manifest);
    if let Err(error) = tauri_build::try_build(attributes) {
        panic!("{error:#}");
    }
}
