//! The warden's program. Started by the runtime, never by hand.

fn main() -> std::process::ExitCode {
    #[cfg(target_os = "linux")]
    {
        let mut args = std::env::args_os().skip(1);
        match args.next().as_deref().and_then(|word| word.to_str()) {
            Some("look") => nexus_warden::confine::look(args),
            Some("inside") => nexus_warden::confine::inside(args),
            Some("relay") => nexus_warden::relay::relay(args),
            Some("bridge") => nexus_warden::bridge::bridge(args),
            Some("carry") => nexus_warden::relay::carry(args),
            Some("within") => nexus_warden::within::within(args),
            Some("serve") => nexus_warden::serve(),
            _ => std::process::ExitCode::FAILURE,
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        std::process::ExitCode::FAILURE
    }
}
