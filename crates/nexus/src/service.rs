//! A company as a service of its user: what systemd or launchd is told.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A service that is to be described.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    /// The program by its whole path, and its arguments.
    pub(crate) command: Vec<String>,
    /// The `PATH` that agents' programs are looked for on.
    pub(crate) path: String,
    /// The file that its log goes to, where its manager keeps none.
    pub(crate) log: PathBuf,
}

/// The name of the service.
pub(crate) const NAME: &str = "nexus";

/// The unit of a systemd user manager.
pub(crate) fn systemd_unit(service: &Service) -> String {
    let command: Vec<_> = service.command.iter().map(|word| quoted(word)).collect();
    format!(
        "# Written by `nexus service install`.\n\
         [Unit]\n\
         Description=Nexus, a company of software agents\n\
         \n\
         [Service]\n\
         Type=exec\n\
         ExecStart={}\n\
         Environment={}\n\
         WorkingDirectory=%h\n\
         # The company ends its agents itself, and puts back what they have not finished.\n\
         KillMode=mixed\n\
         TimeoutStopSec=120\n\
         Restart=on-failure\n\
         RestartSec=5\n\
         \n\
         [Install]\n\
         WantedBy=default.target\n",
        command.join(" "),
        quoted(&format!("PATH={}", service.path)).replace("$$", "$"),
    )
}

/// A word as systemd reads it: nothing in it is a quote, a specifier or a variable.
fn quoted(word: &str) -> String {
    let mut quoted = String::from("\"");
    for char in word.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            '%' | '$' => quoted.extend([char, char]),
            '\n' => quoted.push_str("\\n"),
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}

/// The property list of a launchd agent.
pub(crate) fn launchd_agent(service: &Service) -> String {
    let mut words = String::new();
    for word in &service.command {
        // Writing into a string doesn't fail.
        let _ = writeln!(words, "    <string>{}</string>", escaped(word));
    }
    let log = escaped(&service.log.display().to_string());
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- Written by `nexus service install`. -->
<plist version="1.0">
<dict>
  <key>Label</key><string>{NAME}</string>
  <key>ProgramArguments</key>
  <array>
{words}  </array>
  <key>EnvironmentVariables</key>
  <dict><key>PATH</key><string>{}</string></dict>
  <key>RunAtLoad</key><true/>
  <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>
  <key>ExitTimeOut</key><integer>120</integer>
  <key>StandardOutPath</key><string>{log}</string>
  <key>StandardErrorPath</key><string>{log}</string>
</dict>
</plist>
"#,
        escaped(&service.path)
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The service manager of a system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manager {
    Systemd,
    Launchd,
}

impl Manager {
    /// That of this system, if it has one that is known.
    pub(crate) const fn here() -> Option<Self> {
        if cfg!(target_os = "linux") {
            Some(Self::Systemd)
        } else if cfg!(target_os = "macos") {
            Some(Self::Launchd)
        } else {
            None
        }
    }

    /// The file that it is told by. `config`: the user's configuration directory.
    pub(crate) fn file(self, home: &Path, config: &Path) -> PathBuf {
        match self {
            Self::Systemd => config.join("systemd/user").join(format!("{NAME}.service")),
            Self::Launchd => home.join("Library/LaunchAgents").join(format!("{NAME}.plist")),
        }
    }

    /// What that file says.
    pub(crate) fn text(self, service: &Service) -> String {
        match self {
            Self::Systemd => systemd_unit(service),
            Self::Launchd => launchd_agent(service),
        }
    }

    /// The commands that start it, now and from now on.
    pub(crate) fn start(self, file: &Path) -> Vec<String> {
        match self {
            Self::Systemd => vec![
                format!("systemctl --user daemon-reload && systemctl --user enable --now {NAME}"),
                "loginctl enable-linger    # to have it run while you are not logged in, too".to_owned(),
            ],
            Self::Launchd => vec![format!("launchctl bootstrap gui/$(id -u) '{}'", file.display())],
        }
    }

    /// The commands that end it once its file is gone.
    pub(crate) fn stop(self) -> String {
        match self {
            Self::Systemd => format!("systemctl --user stop {NAME}; systemctl --user daemon-reload"),
            Self::Launchd => format!("launchctl bootout gui/$(id -u)/{NAME}"),
        }
    }

    /// The command that shows how it is.
    pub(crate) fn look(self) -> String {
        match self {
            Self::Systemd => format!("systemctl --user status {NAME}"),
            Self::Launchd => format!("launchctl print gui/$(id -u)/{NAME}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> Service {
        let command = ["/opt/my tools/nexus", "up", "--data-dir", "/h/50%\"$x\\", "<&>"];
        Service { command: command.map(str::to_owned).into(), path: "/bin:/$a".to_owned(), log: "/d/up.log".into() }
    }

    #[test]
    fn systemd_reads_the_words_that_were_meant() {
        let unit = systemd_unit(&service());
        let start = r#"ExecStart="/opt/my tools/nexus" "up" "--data-dir" "/h/50%%\"$$x\\" "<&>""#;
        assert!(unit.lines().any(|line| line == start), "{unit}");
        assert!(unit.lines().any(|line| line == r#"Environment="PATH=/bin:/$a""#), "{unit}");
    }

    #[test]
    fn launchd_reads_the_words_that_were_meant() {
        let agent = launchd_agent(&service());
        for words in
            ["<string>/opt/my tools/nexus</string>", "<string>&lt;&amp;&gt;</string>", "<string>/d/up.log</string>"]
        {
            assert!(agent.contains(words), "{words}\n{agent}");
        }
    }
}
