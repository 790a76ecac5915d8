//! The product with one module more: what a server with a module of one's own looks like.

fn main() -> std::process::ExitCode {
    filament_server::main_with(
        filament_tests::notes::modules(),
        filament_tests::notes::Schema,
    )
}
