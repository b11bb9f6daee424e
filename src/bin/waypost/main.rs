//! `waypost`: explains and checks a configuration with the code of the filter.

mod check;
mod document;
mod envoy;
mod explain;
mod lines;
mod manifest;
mod plain;
mod providers;
mod readers;

use clap::{CommandFactory, Parser, Subcommand};
use std::io::Write;
use std::process::ExitCode;

/// Explains and checks Waypost configurations with the same code that runs in Envoy.
#[derive(Parser)]
#[command(version = VERSION, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// The version of the package, and the commit it was built from.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("WAYPOST_COMMIT"), ")");

const EXAMPLES: &str = "\
Examples:
  Where does this request go, and why?
    waypost explain --config waypost.yaml POST /v1/chat/completions
  The same for one rule of a Higress WasmPlugin, with a body, as JSON
    waypost explain --config plugin.yaml --body request.json --json POST https://llm.example.com/v1/chat/completions
  Is this configuration sound, and where does it mean something else than in ai-proxy?
    waypost check plugin.yaml
  What does `type: deepseek` stand for?
    waypost providers deepseek";

#[derive(Subcommand)]
enum Command {
    /// Show where a request goes, and why
    Explain(explain::Arguments),
    /// Check configurations; exit with 1 if one has errors
    Check(check::Arguments),
    /// List the provider types, or show what one stands for
    Providers(providers::Arguments),
    /// Print the JSON Schema of a configuration
    #[command(after_help = "Examples:\n  waypost schema > plugin-config-schema.json")]
    Schema,
    /// Print the completions of a shell
    #[command(after_help = "Examples:
  waypost completions bash > ~/.local/share/bash-completion/completions/waypost
  waypost completions zsh > ~/.zfunc/_waypost
  waypost completions fish > ~/.config/fish/completions/waypost.fish")]
    Completions {
        /// The shell they are for
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    #[command(after_help = "Examples:\n  waypost man > ~/.local/share/man/man1/waypost.1")]
    Man,
}

/// What a command leaves behind: text for standard output, and whether all is well.
struct Outcome {
    text: String,
    good: bool,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Providers(arguments) => providers::run(&arguments),
        Command::Schema => Ok(Outcome { text: pretty(&waypost::config::schema::schema()), good: true }),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "waypost", &mut text);
            written(text)
        }
        Command::Man => {
            let mut text = Vec::new();
            manual(&mut text).map_err(|error| error.to_string()).and_then(|()| written(text))
        }
    };
    match outcome {
        Ok(Outcome { text, good }) => {
            let mut stdout = std::io::stdout();
            match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
                // A reader that closes early, as `head` does, is no failure.
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                    let _ = writeln!(std::io::stderr(), "waypost: standard output: {error}");
                    ExitCode::FAILURE
                }
                _ if good => ExitCode::SUCCESS,
                _ => ExitCode::FAILURE,
            }
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "waypost: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The manual page: the program, then each of its commands.
fn manual(out: &mut Vec<u8>) -> std::io::Result<()> {
    let mut program = Cli::command();
    program.build();
    clap_mangen::Man::new(program.clone()).render(out)?;
    for command in program.get_subcommands().filter(|command| command.get_name() != "help") {
        let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_uppercase();
        let page = clap_mangen::Man::new(command.clone());
        writeln!(out, ".SH {name}")?;
        page.render_description_section(out)?;
        page.render_options_section(out)?;
        page.render_extra_section(out)?;
    }
    Ok(())
}

/// Bytes that a library wrote for standard output.
fn written(bytes: Vec<u8>) -> Result<Outcome, String> {
    let text = String::from_utf8(bytes).map_err(|error| error.to_string())?;
    Ok(Outcome { text, good: true })
}

/// JSON for people and programs, with a line break at its end.
fn pretty(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}
