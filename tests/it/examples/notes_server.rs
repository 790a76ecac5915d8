//! The product with two modules more: what a server with modules of one's own looks like.

fn main() -> std::process::ExitCode {
    filament_server::main_with(
        filament_tests::notes::modules(),
        filament_tests::notes::Schema,
    )
}
