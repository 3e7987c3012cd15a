//! The warden's program. Started by the runtime, never by hand.

fn main() -> std::process::ExitCode {
    #[cfg(target_os = "linux")]
    {
        let mut args = std::env::args_os().skip(1);
        let done = match args.next().as_deref().and_then(|word| word.to_str()) {
            Some("inside") => nexus_warden::confine::inside(args),
            _ => nexus_warden::serve(),
        };
        if done.is_ok() { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE }
    }
    #[cfg(not(target_os = "linux"))]
    {
        std::process::ExitCode::FAILURE
    }
}
