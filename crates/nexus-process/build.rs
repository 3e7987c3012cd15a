//! Builds the warden, which nexus-process carries in itself: a program that is linked statically, so that forking it is
//! cheap and it runs wherever it is put.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(warden)");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return ExitCode::SUCCESS;
    }
    let Some(out) = env::var_os("OUT_DIR").map(PathBuf::from) else { return ExitCode::FAILURE };
    let source = Path::new("../nexus-warden");
    for path in ["src", "Cargo.toml"] {
        println!("cargo::rerun-if-changed={}", source.join(path).display());
    }
    match build(source, &out) {
        Ok(program) => {
            println!("cargo::rustc-cfg=warden");
            println!("cargo::rustc-env=NEXUS_WARDEN={}", program.display());
            ExitCode::SUCCESS
        }
        Err(why) => {
            println!("cargo::error=the warden could not be built: {why}");
            ExitCode::FAILURE
        }
    }
}

fn build(source: &Path, out: &Path) -> Result<PathBuf, String> {
    let wanted = |name: &str| env::var(name).map_err(|_| format!("{name} is not set: this is for cargo to run"));
    let target = wanted("TARGET")?;
    let mut cargo = Command::new(wanted("CARGO")?);
    cargo
        .args(["build", "--quiet", "--locked", "--profile", "warden", "--bin", "nexus-warden", "--manifest-path"])
        .arg(source.join("Cargo.toml"))
        // With a target named, flags for it don't reach build scripts and macros, which can't be static.
        .args(["--target", &target, "--target-dir"])
        .arg(out.join("warden"))
        .env("RUSTFLAGS", "-C target-feature=+crt-static -C relocation-model=static")
        // What this build was told is not meant for that one.
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("CARGO_BUILD_TARGET")
        .env_remove("CARGO_MAKEFLAGS")
        .env_remove("MAKEFLAGS");
    let output = cargo.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).lines().collect::<Vec<_>>().join(" / "));
    }
    let program = out.join("warden").join(target).join("warden").join("nexus-warden");
    // Next to it, nothing of that build is needed.
    let kept = out.join("nexus-warden");
    std::fs::copy(&program, &kept).map_err(|error| format!("{}: {error}", program.display()))?;
    Ok(kept)
}
