//! `eksd-agent`: the background agent, and one request for clients that go without it.

fn main() -> std::process::ExitCode {
    eksd::agent::lifecycle::main(std::env::args_os().skip(1))
}
