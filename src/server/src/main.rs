//! The only binary.

fn main() -> std::process::ExitCode {
    filament_server::main(filament_server::modules())
}
