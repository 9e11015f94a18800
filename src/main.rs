//! eksd
fn main() {}
