//! The `labwire` binary: one daemon and the commands around it.

mod analyzer;
mod arguments;
mod capture;
mod check;
mod connection;
mod control;
mod decode;
mod demo;
mod driver;
mod exit;
mod findings;
mod inherited;
mod library;
mod log_budget;
mod messages;
mod reload;
mod replay;
mod run;
mod show;
mod simulate;
mod state;
mod workbench;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Command};
use crate::exit::Outcome;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors; everything else is a matter of usage (sysexits).
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(64) } else { ExitCode::SUCCESS };
        }
    };
    match dispatch(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = &failure.message {
                // Files and replies may have a word in it.
                let message: Vec<String> = message.lines().map(show::harmless).collect();
                eprintln!("labwire: {}", message.join("\n"));
            }
            failure.code()
        }
    }
}

fn dispatch(command: Command) -> Outcome {
    match command {
        Command::Demo(demo) => demo::demo(&demo),
        Command::Run(run) => run::run(&run),
        Command::Check(check) => check::check(&check),
        Command::Decode(decode) => decode::decode(&decode),
        Command::Replay(replay) => replay::replay(&replay),
        Command::Simulate(simulate) => simulate::simulate(&simulate),
        Command::Driver(driver) => driver::driver(&driver),
        Command::Capture(capture) => capture::capture(&capture),
        Command::Messages(messages) => messages::messages(&messages),
        Command::Results(results) => state::results(&results),
        Command::Quarantine(quarantine) => state::quarantine(&quarantine),
        Command::Ledger(ledger) => state::ledger(&ledger),
        Command::Status(state) => state::status(&state),
        Command::Connection(connection) => connection::connection(&connection),
        Command::Reload(state) => reload::reload(&state),
    }
}
